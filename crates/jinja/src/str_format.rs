//! `'{}'.format(value)`.

use std::iter::Peekable;
use std::str::Chars;

use crate::arguments::Arguments;
use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::format::{Spec, as_integer};
use crate::lookup::{attribute, item};
use crate::printf::number;
use crate::text::{to_repr, to_str};
use crate::value::Value;

/// A format with its arguments.
///
/// Errors: as Python's method, and for what is not supported.
pub(crate) fn str_format(budget: &Budget, format: &str, arguments: &Arguments) -> Result<String> {
    let mut text = String::new();
    let mut letters = format.chars().peekable();
    let mut automatic = 0;
    while let Some(letter) = letters.next() {
        match letter {
            '{' if letters.next_if_eq(&'{').is_some() => text.push('{'),
            '}' if letters.next_if_eq(&'}').is_some() => text.push('}'),
            '}' => return Err(Error::new("single '}' encountered in format string")),
            '{' => {
                let written = field(budget, &mut letters, arguments, &mut automatic)?;
                budget.take(written.len())?;
                text.push_str(&written);
            }
            other => text.push(other),
        }
    }
    budget.take(text.len())?;
    Ok(text)
}

/// One field up to its closing brace.
fn field(
    budget: &Budget,
    letters: &mut Peekable<Chars<'_>>,
    arguments: &Arguments,
    automatic: &mut usize,
) -> Result<String> {
    let mut name = String::new();
    while let Some(letter) = letters.next_if(|letter| !"{}!:".contains(*letter)) {
        name.push(letter);
    }
    let value = argument(&name, arguments, automatic)?;
    let value = match letters.next_if_eq(&'!').and_then(|_| letters.next()) {
        None => value,
        Some('s') => Value::str(to_str(budget, &value)?),
        Some('r') => Value::str(to_repr(budget, &value)?),
        Some(other) => return Err(Error::unsupported(format!("the conversion `!{other}` in a format"))),
    };
    let spec = if letters.next_if_eq(&':').is_some() { spec(letters)? } else { Spec::default() };
    match letters.next() {
        Some('}') => convert(budget, &spec, &value),
        Some('{') => Err(Error::unsupported("a field within a field of a format")),
        _ => Err(Error::new("expected '}' before end of string")),
    }
}

/// The argument that a field names, or the next one.
fn argument(path: &str, arguments: &Arguments, automatic: &mut usize) -> Result<Value> {
    let end = path.find(['.', '[']).unwrap_or(path.len());
    let (name, mut rest) = path.split_at(end);
    let mut value = if name.is_empty() || name.bytes().all(|digit| digit.is_ascii_digit()) {
        if name.is_empty() != (*automatic != usize::MAX) && *automatic != 0 {
            return Err(Error::new("automatic and manual field numbers in one format"));
        }
        let place = name.parse().unwrap_or(*automatic);
        *automatic = if name.is_empty() { *automatic + 1 } else { usize::MAX };
        arguments.positional.get(place).cloned().ok_or_else(|| Error::new("not enough arguments for the format"))?
    } else {
        let found = arguments.named.iter().find(|(known, _)| known == name);
        found
            .map(|(_, value)| value.clone())
            .ok_or_else(|| Error::new(format!("no argument `{name}` for the format")))?
    };
    while !rest.is_empty() {
        let (found, after) = if let Some(inner) = rest.strip_prefix('[') {
            let (key, after) = inner.split_once(']').ok_or_else(|| Error::new("expected ']' in a format"))?;
            let key = key.parse().map_or_else(|_| Value::str(key), Value::Int);
            (item(&value, &key)?, after)
        } else {
            let inner = &rest[1..];
            let end = inner.find(['.', '[']).unwrap_or(inner.len());
            (attribute(&value, &inner[..end])?, &inner[end..])
        };
        if let Value::Undefined(message) = &found {
            return Err(Error::new(&**message));
        }
        (value, rest) = (found, after);
    }
    Ok(value)
}

fn spec(letters: &mut Peekable<Chars<'_>>) -> Result<Spec> {
    let mut spec = Spec::default();
    let mut ahead = letters.clone();
    let (first, second) = (ahead.next(), ahead.next());
    if second.is_some_and(|letter| "<>^=".contains(letter)) {
        (spec.fill, spec.align) = (first, second);
        letters.nth(1);
    } else if first.is_some_and(|letter| "<>^=".contains(letter)) {
        spec.align = letters.next();
    }
    spec.sign = letters.next_if(|letter| "+- ".contains(*letter));
    spec.alternate = letters.next_if_eq(&'#').is_some();
    if letters.next_if_eq(&'0').is_some() {
        spec.fill = spec.fill.or(Some('0'));
        spec.zeros = true;
    }
    spec.width = number(letters)?.unwrap_or(0);
    spec.grouping = letters.next_if(|letter| ",_".contains(*letter));
    if letters.next_if_eq(&'.').is_some() {
        spec.precision = Some(number(letters)?.ok_or_else(|| Error::new("format specifier missing precision"))?);
    }
    spec.kind = letters.next_if(|letter| !"{}".contains(*letter));
    Ok(spec)
}

fn convert(budget: &Budget, spec: &Spec, value: &Value) -> Result<String> {
    if *spec == Spec::default() {
        return to_str(budget, value);
    }
    let number = as_integer(value, false);
    let only_numbers = spec.sign.is_some() || spec.alternate || spec.grouping.is_some() || spec.align == Some('=');
    let for_number = Spec { align: spec.align.or(spec.zeros.then_some('=')), ..spec.clone() };
    match (spec.kind, value, number) {
        (None | Some('s'), Value::Str(_), _) if only_numbers => {
            Err(Error::new("format: signs, `#`, `=` and separators are not for strings"))
        }
        (None | Some('s'), Value::Str(text), _) => spec.text(budget, text),
        (Some('x' | 'X' | 'o' | 'b'), ..) if spec.grouping == Some(',') => {
            Err(Error::new("format: `,` is for decimal digits"))
        }
        (None | Some('d' | 'x' | 'X' | 'o' | 'b'), _, Some(integer)) if spec.precision.is_none() => {
            for_number.integer(budget, integer)
        }
        (None, Value::Float(float), _) => for_number.float(budget, *float),
        (Some('f' | 'F' | 'e' | 'E' | 'g' | 'G' | '%'), other, _) if other.as_float().is_some() => {
            for_number.float(budget, other.as_float().unwrap_or_default())
        }
        (kind, ..) => Err(Error::new(format!(
            "format code '{}' is unknown, or not for an object of type '{}'",
            kind.map(String::from).unwrap_or_default(),
            value.type_name()
        ))),
    }
}
