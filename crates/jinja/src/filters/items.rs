//! The items of what a filter is given, and their attributes.

use crate::budget::Budget;
use crate::error::Result;
use crate::lookup::item;
use crate::operators::equal;
use crate::value::Value;

/// The items of a value, counted.
pub(crate) fn items(budget: &Budget, value: &Value) -> Result<Vec<Value>> {
    budget.take_items(value.len().unwrap_or(0))?;
    value.iterate()
}

/// An item's attribute by a path with dots; numbers are indices.
pub(super) fn attribute_of(budget: &Budget, value: &Value, path: &Value, default: Option<&Value>) -> Result<Value> {
    budget.take_items(1)?;
    let parts = match path {
        Value::Str(path) => path
            .split('.')
            .map(|part| match part.parse::<u32>() {
                Ok(index) if part.bytes().all(|digit| digit.is_ascii_digit()) => Value::Int(index.into()),
                _ => Value::str(part),
            })
            .collect(),
        Value::None => Vec::new(),
        other => vec![other.clone()],
    };
    let mut value = value.clone();
    for part in &parts {
        value = item(&value, part)?;
        if let (Value::Undefined(_), Some(default)) = (&value, default.filter(|default| !equal(default, &Value::None)))
        {
            value = default.clone();
        }
    }
    Ok(value)
}
