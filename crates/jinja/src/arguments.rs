//! The arguments of a call.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::value::Value;

/// Arguments by place and by name.
#[derive(Default)]
pub(crate) struct Arguments {
    pub positional: Vec<Value>,
    pub named: Vec<(String, Value)>,
}

impl Arguments {
    /// The arguments as these parameters, of which the first few are required.
    ///
    /// Errors: too many or too few, or names that are no parameters.
    pub(crate) fn bind<const N: usize>(
        self,
        of: &str,
        names: [&str; N],
        required: usize,
    ) -> Result<[Option<Value>; N]> {
        if self.positional.len() > N {
            return Err(Error::new(format!("{of}: expected at most {N} argument(s), got {}", self.positional.len())));
        }
        let mut bound = [const { None }; N];
        for (place, value) in self.positional.into_iter().enumerate() {
            bound[place] = Some(value);
        }
        for (name, value) in self.named {
            match names.iter().position(|known| *known == name) {
                Some(place) if bound[place].is_none() => bound[place] = Some(value),
                Some(_) => return Err(Error::new(format!("{of}: argument `{name}` is given twice"))),
                None => return Err(Error::new(format!("{of}: unknown argument `{name}`"))),
            }
        }
        match (0..required).find(|place| bound[*place].is_none()) {
            Some(place) => Err(Error::new(format!("{of}: expected an argument `{}`, got none", names[place]))),
            None => Ok(bound),
        }
    }
}

/// A string that a call needs.
pub(crate) fn required_text(value: Option<Value>, of: &str) -> Result<Arc<str>> {
    match value {
        Some(Value::Str(text)) => Ok(text),
        Some(Value::Undefined(message)) => Err(Error::new(&*message)),
        other => {
            let got = other.map_or("nothing", |value| value.type_name());
            Err(Error::new(format!("{of}: expected a string, got {got}")))
        }
    }
}
