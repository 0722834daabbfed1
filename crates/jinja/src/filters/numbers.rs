//! Filters of numbers.

use super::items::{attribute_of, items};
use crate::arguments::Arguments;
use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::lexer::is_space;
use crate::operators::{arithmetic, signed};
use crate::syntax::Arithmetic;
use crate::value::Value;

pub(super) fn apply(budget: &Budget, name: &str, value: &Value, arguments: Arguments) -> Result<Value> {
    match name {
        "abs" => {
            let [] = arguments.bind(name, [], 0)?;
            match value {
                Value::Float(float) => Ok(Value::Float(float.abs())),
                other => signed(other, other.as_int().is_some_and(|integer| integer < 0)),
            }
        }
        "int" => to_int(value, arguments),
        "float" => {
            let [default] = arguments.bind(name, ["default"], 0)?;
            let float = match value {
                Value::Undefined(message) => return Err(Error::new(&**message)),
                Value::Str(text) => parse_float(text),
                other => other.as_float(),
            };
            Ok(float.map_or_else(|| default.unwrap_or(Value::Float(0.0)), Value::Float))
        }
        "round" => round(value, arguments),
        _ => {
            let [attribute, start] = arguments.bind(name, ["attribute", "start"], 0)?;
            let mut sum = start.unwrap_or(Value::Int(0));
            if sum.as_str().is_some() {
                return Err(Error::new("sum() can't sum strings"));
            }
            for item in items(budget, value)? {
                let item = match attribute.as_ref().filter(|attribute| !matches!(attribute, Value::None)) {
                    Some(attribute) => attribute_of(budget, &item, attribute, None)?,
                    None => item,
                };
                sum = arithmetic(budget, Arithmetic::Add, &sum, &item)?;
            }
            Ok(sum)
        }
    }
}

fn to_int(value: &Value, arguments: Arguments) -> Result<Value> {
    let [default, base] = arguments.bind("int", ["default", "base"], 0)?;
    let base = base.map_or(Some(10), |base| base.as_int());
    let truncated = |float: f64| {
        let fits = float.is_finite().then_some(float.abs() < 1e38);
        fits.map(|fits| {
            if fits {
                Ok(Value::Int(float.trunc() as i128))
            } else {
                Err(Error::unsupported("an integer beyond 128 bits"))
            }
        })
    };
    let integer = match value {
        Value::Undefined(message) => return Err(Error::new(&**message)),
        Value::Float(float) => truncated(*float),
        Value::Str(text) => match parse_int(text, base) {
            Some(integer) => Some(Ok(Value::Int(integer))),
            None => parse_float(text).and_then(truncated),
        },
        other => other.as_int().map(|integer| Ok(Value::Int(integer))),
    };
    integer.unwrap_or_else(|| Ok(default.unwrap_or(Value::Int(0))))
}

fn parse_int(text: &str, base: Option<i128>) -> Option<i128> {
    let base = base.and_then(|base| u32::try_from(base).ok()).filter(|base| (2..=36).contains(base))?;
    let text = text.trim_matches(is_space);
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let prefix = match base {
        2 => "0b",
        8 => "0o",
        16 => "0x",
        _ => "",
    };
    let has_prefix = !prefix.is_empty() && digits.get(..2).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    let digits = if has_prefix { &digits[2..] } else { digits };
    let digits = without_underscores(digits)?;
    i128::from_str_radix(&format!("{sign}{digits}"), base).ok().filter(|_| !digits.starts_with(['+', '-']))
}

fn parse_float(text: &str) -> Option<f64> {
    without_underscores(text.trim_matches(is_space))?.parse().ok()
}

/// Digits without the single underscores that Python allows between them.
fn without_underscores(text: &str) -> Option<String> {
    let is_wrong = text.starts_with('_') || text.ends_with('_') || text.contains("__");
    (!is_wrong).then(|| text.replace('_', ""))
}

fn round(value: &Value, arguments: Arguments) -> Result<Value> {
    let [precision, method] = arguments.bind("round", ["precision", "method"], 0)?;
    let precision = precision.map_or(Some(0), |precision| precision.as_int());
    let precision =
        precision.and_then(|precision| i32::try_from(precision).ok()).filter(|it| (-300..=300).contains(it));
    let precision = precision.ok_or_else(|| Error::new("round: expected a small integer as precision"))?;
    let method = method.unwrap_or_else(|| Value::str("common"));
    let Some(float) = value.as_float() else {
        return Err(Error::new(format!("round: expected a number, got {}", value.type_name())));
    };
    let scaled = |round: fn(f64) -> f64| {
        // Zero has no sign here, since Python rounds to an integer.
        let whole = round(float * 10_f64.powi(precision)) + 0.0;
        let is_finite = whole.is_finite();
        is_finite.then_some(Value::Float(whole / 10_f64.powi(precision))).ok_or_else(|| Error::new("round: too large"))
    };
    match method.as_str() {
        Some("ceil") => scaled(f64::ceil),
        Some("floor") => scaled(f64::floor),
        Some("common") => match value.as_int() {
            Some(integer) if precision >= 0 => Ok(Value::Int(integer)),
            Some(_) => Err(Error::unsupported("rounding of an integer to tens")),
            None if precision < 0 => Err(Error::unsupported("rounding of a float to tens")),
            None => {
                // Half to even, on the exact value, as Python rounds.
                let places = precision as usize;
                Ok(Value::Float(format!("{float:.places$}").parse().unwrap_or(float)))
            }
        },
        _ => Err(Error::new("round: expected the method common, ceil or floor")),
    }
}
