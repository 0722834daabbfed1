//! Tests: what stands after `is`.

use crate::arguments::Arguments;
use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::operators::{compare, equal};
use crate::syntax::{Arithmetic, Comparison};
use crate::value::{Value, ViewKind};

/// Tests with one argument that are comparisons.
const COMPARISONS: [(&str, Comparison); 16] = [
    ("==", Comparison::Eq),
    ("eq", Comparison::Eq),
    ("equalto", Comparison::Eq),
    ("!=", Comparison::Ne),
    ("ne", Comparison::Ne),
    (">", Comparison::Gt),
    ("gt", Comparison::Gt),
    ("greaterthan", Comparison::Gt),
    (">=", Comparison::Ge),
    ("ge", Comparison::Ge),
    ("<", Comparison::Lt),
    ("lt", Comparison::Lt),
    ("lessthan", Comparison::Lt),
    ("<=", Comparison::Le),
    ("le", Comparison::Le),
    ("in", Comparison::In),
];

/// Tests without arguments.
const PLAIN: [&str; 19] = [
    "boolean",
    "callable",
    "defined",
    "escaped",
    "even",
    "false",
    "float",
    "integer",
    "iterable",
    "lower",
    "mapping",
    "none",
    "number",
    "odd",
    "sequence",
    "string",
    "true",
    "undefined",
    "upper",
];

/// Whether a value passes a test.
pub(crate) fn passes(budget: &Budget, name: &str, value: &Value, arguments: Arguments) -> Result<bool> {
    if let Some((_, comparison)) = COMPARISONS.iter().find(|(known, _)| *known == name) {
        let [other] = arguments.bind(name, ["other"], 1)?;
        return compare(budget, *comparison, value, &other.unwrap_or(Value::None));
    }
    match name {
        "divisibleby" => {
            let [number] = arguments.bind(name, ["num"], 1)?;
            is_remainder(budget, value, &number.unwrap_or(Value::None), 0)
        }
        "sameas" => {
            let [other] = arguments.bind(name, ["other"], 1)?;
            is_same(value, &other.unwrap_or(Value::None))
        }
        "filter" | "test" => Err(Error::unsupported(format!("test `{name}`"))),
        _ if PLAIN.contains(&name) => {
            let [] = arguments.bind(name, [], 0)?;
            plain(budget, name, value)
        }
        _ => Err(Error::new(format!("no test named `{name}`"))),
    }
}

fn plain(budget: &Budget, name: &str, value: &Value) -> Result<bool> {
    Ok(match name {
        "boolean" => matches!(value, Value::Bool(_)),
        "callable" => {
            matches!(
                value,
                Value::Function(_) | Value::Method(_) | Value::Macro(_) | Value::Loop(_) | Value::Undefined(_)
            )
        }
        "defined" => !matches!(value, Value::Undefined(_)),
        "undefined" => matches!(value, Value::Undefined(_)),
        "even" => is_remainder(budget, value, &Value::Int(2), 0)?,
        "odd" => is_remainder(budget, value, &Value::Int(2), 1)?,
        "true" => matches!(value, Value::Bool(true)),
        "false" => matches!(value, Value::Bool(false)),
        "float" => matches!(value, Value::Float(_)),
        "integer" => matches!(value, Value::Int(_)),
        "number" => matches!(value, Value::Int(_) | Value::Float(_) | Value::Bool(_)),
        "none" => matches!(value, Value::None),
        "string" => matches!(value, Value::Str(_) | Value::Markup(_)),
        "escaped" => matches!(value, Value::Markup(_)),
        "mapping" => matches!(value, Value::Dict(_)),
        "iterable" => {
            matches!(value, Value::Iterator(_) | Value::Loop(_) | Value::Markup(_)) || value.iterate().is_ok()
        }
        // What has a length and items by index or key.
        "sequence" => match value {
            Value::Undefined(_)
            | Value::Str(_)
            | Value::Markup(_)
            | Value::List(_)
            | Value::Tuple(_)
            | Value::Dict(_) => true,
            Value::View(view) => matches!(view.kind, ViewKind::Range(_)),
            _ => false,
        },
        _ => {
            let text = crate::text::to_str(budget, value)?;
            let (lower, upper) = (text.chars().any(char::is_lowercase), text.chars().any(char::is_uppercase));
            if name == "lower" { lower && !upper } else { upper && !lower }
        }
    })
}

fn is_remainder(budget: &Budget, value: &Value, divisor: &Value, remainder: i128) -> Result<bool> {
    let left = crate::operators::arithmetic(budget, Arithmetic::Rem, value, divisor)?;
    Ok(equal(&left, &Value::Int(remainder)))
}

/// Whether two values are one object; small values that are equal are.
fn is_same(left: &Value, right: &Value) -> Result<bool> {
    match (left, right) {
        (Value::None | Value::Bool(_), _) | (_, Value::None | Value::Bool(_)) => {
            Ok(std::mem::discriminant(left) == std::mem::discriminant(right) && equal(left, right))
        }
        _ => Err(Error::unsupported("test `sameas` with other values than true, false and none")),
    }
}
