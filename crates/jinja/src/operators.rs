//! Python's operators.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::printf::printf;
use crate::syntax::{Arithmetic, Comparison};
use crate::value::{Value, lock};

/// Values within a tuple that is the key of a dictionary.
const MAX_KEY: usize = 100;

/// The result of an operator on two values.
///
/// Errors: for types that Python's operator does not take, division by zero, and integers beyond 128 bits.
pub(crate) fn arithmetic(budget: &Budget, operator: Arithmetic, left: &Value, right: &Value) -> Result<Value> {
    for operand in [left, right] {
        if let Value::Markup(_) = operand {
            return Err(Error::unsupported(format!("`{}` with a {}", symbol(operator), operand.type_name())));
        }
        if let Value::Undefined(message) = operand
            && !(operator == Arithmetic::Rem && matches!(left, Value::Str(_)))
        {
            return Err(Error::new(&**message));
        }
    }
    match (operator, left, right) {
        (Arithmetic::Add, Value::Str(first), Value::Str(second)) => {
            budget.take(first.len() + second.len())?;
            Ok(Value::str([&**first, second].concat()))
        }
        (Arithmetic::Add, Value::List(first), Value::List(second)) => {
            Value::list(joined(budget, &first.items, &second.items)?)
        }
        (Arithmetic::Add, Value::Tuple(first), Value::Tuple(second)) => {
            Value::tuple(joined(budget, &first.items, &second.items)?)
        }
        (Arithmetic::Mul, Value::Str(_) | Value::List(_) | Value::Tuple(_), times) if times.as_int().is_some() => {
            repeat(budget, left, times)
        }
        (Arithmetic::Mul, times, Value::Str(_) | Value::List(_) | Value::Tuple(_)) if times.as_int().is_some() => {
            repeat(budget, right, times)
        }
        (Arithmetic::Rem, Value::Str(format), arguments) => printf(budget, format, arguments).map(Value::str),
        _ => match (left.as_int(), right.as_int(), left.as_float(), right.as_float()) {
            (Some(left), Some(right), ..) => integers(operator, left, right),
            (_, _, Some(left), Some(right)) => floats(operator, left, right),
            _ => Err(Error::new(format!(
                "unsupported operand types for {}: '{}' and '{}'",
                symbol(operator),
                left.type_name(),
                right.type_name()
            ))),
        },
    }
}

fn symbol(operator: Arithmetic) -> &'static str {
    match operator {
        Arithmetic::Add => "+",
        Arithmetic::Sub => "-",
        Arithmetic::Mul => "*",
        Arithmetic::Div => "/",
        Arithmetic::FloorDiv => "//",
        Arithmetic::Rem => "%",
        Arithmetic::Pow => "**",
    }
}

fn joined(budget: &Budget, first: &[Value], second: &[Value]) -> Result<Vec<Value>> {
    budget.take_items(first.len() + second.len())?;
    Ok([first, second].concat())
}

fn repeat(budget: &Budget, value: &Value, times: &Value) -> Result<Value> {
    let times = usize::try_from(times.as_int().unwrap_or(0).max(0)).unwrap_or(usize::MAX);
    Ok(match value {
        Value::Str(text) => {
            budget.take(text.len().saturating_mul(times))?;
            Value::str(text.repeat(if text.is_empty() { 0 } else { times }))
        }
        Value::List(list) | Value::Tuple(list) => {
            let times = if list.items.is_empty() { 0 } else { times };
            budget.take_items(list.items.len().saturating_mul(times))?;
            let items = list.items.iter().cycle().take(list.items.len() * times).cloned().collect();
            if matches!(value, Value::List(_)) { Value::list(items)? } else { Value::tuple(items)? }
        }
        _ => value.clone(),
    })
}

fn integers(operator: Arithmetic, left: i128, right: i128) -> Result<Value> {
    let exact = match operator {
        Arithmetic::Add => left.checked_add(right),
        Arithmetic::Sub => left.checked_sub(right),
        Arithmetic::Mul => left.checked_mul(right),
        Arithmetic::Div | Arithmetic::FloorDiv | Arithmetic::Rem if right == 0 => {
            return Err(Error::new("division by zero"));
        }
        Arithmetic::Div => return Ok(Value::Float(left as f64 / right as f64)),
        Arithmetic::FloorDiv => floor_div(left, right),
        Arithmetic::Rem => floor_div(left, right).map(|quotient| left - quotient * right),
        Arithmetic::Pow if right < 0 => return floats(operator, left as f64, right as f64),
        Arithmetic::Pow => u32::try_from(right).ok().and_then(|right| left.checked_pow(right)),
    };
    exact.map(Value::Int).ok_or_else(|| Error::unsupported("an integer beyond 128 bits"))
}

fn floor_div(left: i128, right: i128) -> Option<i128> {
    let quotient = left.checked_div(right)?;
    Some(if left % right != 0 && (left < 0) != (right < 0) { quotient - 1 } else { quotient })
}

fn floats(operator: Arithmetic, left: f64, right: f64) -> Result<Value> {
    let divides = matches!(operator, Arithmetic::Div | Arithmetic::FloorDiv | Arithmetic::Rem);
    if (divides && right == 0.0) || (operator == Arithmetic::Pow && left == 0.0 && right < 0.0) {
        return Err(Error::new("division by zero"));
    }
    let result = match operator {
        Arithmetic::Add => left + right,
        Arithmetic::Sub => left - right,
        Arithmetic::Mul => left * right,
        Arithmetic::Div => left / right,
        Arithmetic::FloorDiv => float_divmod(left, right).0,
        Arithmetic::Rem => float_divmod(left, right).1,
        Arithmetic::Pow => left.powf(right),
    };
    if operator == Arithmetic::Pow && left.is_finite() && right.is_finite() && !result.is_finite() {
        return Err(Error::new("the power is no number, or too large for one"));
    }
    Ok(Value::Float(result))
}

/// As CPython's `float_divmod`.
fn float_divmod(left: f64, right: f64) -> (f64, f64) {
    let mut remainder = left % right;
    let mut quotient = (left - remainder) / right;
    if remainder == 0.0 {
        remainder = 0.0_f64.copysign(right);
    } else if (right < 0.0) != (remainder < 0.0) {
        remainder += right;
        quotient -= 1.0;
    }
    let floored = if quotient == 0.0 { 0.0_f64.copysign(left / right) } else { quotient.floor() };
    (if quotient - floored > 0.5 { floored + 1.0 } else { floored }, remainder)
}

/// A number with the other sign, or with its own.
pub(crate) fn signed(value: &Value, negative: bool) -> Result<Value> {
    match (value, value.as_int()) {
        (Value::Undefined(message), _) => Err(Error::new(&**message)),
        (Value::Float(float), _) => Ok(Value::Float(if negative { -float } else { *float })),
        (_, Some(integer)) => integers(Arithmetic::Mul, integer, if negative { -1 } else { 1 }),
        _ => Err(Error::new(format!("bad operand type for unary sign: '{}'", value.type_name()))),
    }
}

/// Whether two sequences have equal values.
pub(crate) fn all_equal(left: &[Value], right: &[Value]) -> bool {
    left.len() == right.len() && left.iter().zip(right).all(|(left, right)| equal(left, right))
}

/// Whether two values are equal.
pub(crate) fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Undefined(_), Value::Undefined(_)) | (Value::None, Value::None) => true,
        (Value::Str(left) | Value::Markup(left), Value::Str(right) | Value::Markup(right)) => left == right,
        (Value::List(left), Value::List(right)) | (Value::Tuple(left), Value::Tuple(right)) => {
            all_equal(&left.items, &right.items)
        }
        (Value::Dict(left), Value::Dict(right)) => {
            left.entries.len() == right.entries.len()
                && left.entries.iter().all(|(key, value)| {
                    right.entries.iter().any(|(other, found)| equal(key, other) && equal(value, found))
                })
        }
        (Value::View(left), Value::View(right)) => left.kind == right.kind && all_equal(&left.items, &right.items),
        (Value::Iterator(left), Value::Iterator(right)) => Arc::ptr_eq(left, right),
        (Value::Namespace(left), Value::Namespace(right)) => Arc::ptr_eq(left, right),
        (Value::Loop(left), Value::Loop(right)) => Arc::ptr_eq(left, right),
        (Value::Function(left), Value::Function(right)) => left == right,
        (Value::Macro(left), Value::Macro(right)) => left == right,
        _ => numbers(left, right) == Some(Ordering::Equal),
    }
}

/// The order of two numbers; none for other types and NaN.
fn numbers(left: &Value, right: &Value) -> Option<Ordering> {
    match (left.as_int(), right.as_int()) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        (Some(left), None) => integer_and_float(left, right.as_float()?),
        (None, Some(right)) => integer_and_float(right, left.as_float()?).map(Ordering::reverse),
        (None, None) => left.as_float()?.partial_cmp(&right.as_float()?),
    }
}

/// Exactly, as Python compares them.
fn integer_and_float(integer: i128, float: f64) -> Option<Ordering> {
    if float.abs() >= 1e38 || float.is_nan() {
        return 0.0.partial_cmp(&float);
    }
    let whole = float.floor();
    Some(integer.cmp(&(whole as i128)).then(if float > whole { Ordering::Less } else { Ordering::Equal }))
}

/// The order of two values.
///
/// Errors: for types that Python does not compare.
fn order(left: &Value, right: &Value) -> Result<Option<Ordering>> {
    match (left, right) {
        (Value::Undefined(message), _) | (_, Value::Undefined(message)) => Err(Error::new(&**message)),
        (Value::Str(left), Value::Str(right)) => Ok(Some(left.cmp(right))),
        (Value::List(left), Value::List(right)) | (Value::Tuple(left), Value::Tuple(right)) => {
            for (left, right) in left.items.iter().zip(&right.items) {
                if !equal(left, right) {
                    return order(left, right);
                }
            }
            Ok(Some(left.items.len().cmp(&right.items.len())))
        }
        _ if left.as_float().is_some() && right.as_float().is_some() => Ok(numbers(left, right)),
        _ => Err(Error::new(format!(
            "'<' not supported between instances of '{}' and '{}'",
            left.type_name(),
            right.type_name()
        ))),
    }
}

/// Sorts by keys, stable in both directions, as Python's sort.
///
/// Errors: the first pair of keys that Python does not compare.
pub(crate) fn sort_by_key<T>(items: &mut [T], key: impl Fn(&T) -> &Value, reverse: bool) -> Result<()> {
    let mut problem = None;
    items.sort_by(|left, right| {
        let order = order(key(left), key(right)).unwrap_or_else(|error| {
            problem.get_or_insert(error);
            None
        });
        let order = order.unwrap_or(Ordering::Equal);
        if reverse { order.reverse() } else { order }
    });
    problem.map_or(Ok(()), Err)
}

/// The result of a comparison.
pub(crate) fn compare(budget: &Budget, comparison: Comparison, left: &Value, right: &Value) -> Result<bool> {
    budget.take_items(left.size().min(right.size()))?;
    Ok(match comparison {
        Comparison::Eq => equal(left, right),
        Comparison::Ne => !equal(left, right),
        Comparison::In => contains(budget, right, left)?,
        Comparison::NotIn => !contains(budget, right, left)?,
        Comparison::Lt => order(left, right)? == Some(Ordering::Less),
        Comparison::Gt => order(left, right)? == Some(Ordering::Greater),
        Comparison::Le => matches!(order(left, right)?, Some(Ordering::Less | Ordering::Equal)),
        Comparison::Ge => matches!(order(left, right)?, Some(Ordering::Greater | Ordering::Equal)),
    })
}

fn contains(budget: &Budget, container: &Value, item: &Value) -> Result<bool> {
    match (container, item) {
        (Value::Str(text) | Value::Markup(text), Value::Str(part) | Value::Markup(part)) => {
            budget.take_items(container.size())?;
            Ok(text.contains(&**part))
        }
        (Value::Str(_), other) => {
            Err(Error::new(format!("'in <string>' requires string as left operand, not {}", other.type_name())))
        }
        (Value::Dict(dict), key) => {
            budget.take_items(dict.entries.len())?;
            check_key(key)?;
            Ok(dict.entries.iter().any(|(known, _)| equal(known, key)))
        }
        (Value::Iterator(iterator), item) => {
            budget.take_items(container.size())?;
            let mut items = lock(&iterator.items);
            while let Some(next) = items.pop_front() {
                if equal(&next, item) {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        (container, item) => {
            budget.take_items(container.size())?;
            let items = container.iterate()?;
            Ok(items.iter().any(|known| equal(known, item)))
        }
    }
}

/// Refuses what cannot be a key.
pub(crate) fn check_key(key: &Value) -> Result<()> {
    match key {
        Value::Tuple(_) if key.size() > MAX_KEY => Err(Error::unsupported("a large tuple as a key")),
        Value::List(_) | Value::Dict(_) => Err(Error::new(format!("unhashable type: '{}'", key.type_name()))),
        Value::Tuple(tuple) => tuple.items.iter().try_for_each(check_key),
        _ => Ok(()),
    }
}

/// The items of a slice.
pub(crate) fn slice(budget: &Budget, value: &Value, bounds: [Option<Value>; 3]) -> Result<Value> {
    let mut numbers = [None; 3];
    for (number, bound) in numbers.iter_mut().zip(bounds) {
        *number = match bound {
            None | Some(Value::None) => None,
            Some(Value::Undefined(message)) => return Err(Error::new(&*message)),
            Some(bound) => Some(bound.as_int().ok_or_else(|| Error::new("slice indices must be integers or None"))?),
        };
    }
    match value {
        Value::Str(text) => {
            budget.take(text.len())?;
            let letters: Vec<char> = text.chars().collect();
            let indices = slice_indices(letters.len(), numbers)?;
            Ok(Value::str(indices.into_iter().map(|index| letters[index]).collect::<String>()))
        }
        Value::List(list) | Value::Tuple(list) => {
            budget.take_items(list.items.len())?;
            let indices = slice_indices(list.items.len(), numbers)?;
            let items = indices.into_iter().map(|index| list.items[index].clone()).collect();
            if matches!(value, Value::List(_)) { Value::list(items) } else { Value::tuple(items) }
        }
        Value::Undefined(message) => Err(Error::new(&**message)),
        Value::View(_) => Err(Error::unsupported(format!("a slice of a {}", value.type_name()))),
        other => Err(Error::new(format!("'{}' object has no slices", other.type_name()))),
    }
}

fn slice_indices(length: usize, [start, stop, step]: [Option<i128>; 3]) -> Result<Vec<usize>> {
    let (length, step) = (length as i128, step.unwrap_or(1));
    if step == 0 {
        return Err(Error::new("slice step cannot be zero"));
    }
    let (lowest, highest) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let bound = |bound: Option<i128>, default: i128| {
        bound.map_or(default, |bound| {
            if bound < 0 { bound.saturating_add(length) } else { bound }.clamp(lowest, highest)
        })
    };
    let (default_start, default_stop) = if step > 0 { (lowest, highest) } else { (highest, lowest) };
    let (mut index, stop) = (bound(start, default_start), bound(stop, default_stop));
    let mut indices = Vec::new();
    while (step > 0 && index < stop) || (step < 0 && index > stop) {
        indices.push(index as usize);
        index = index.saturating_add(step);
    }
    Ok(indices)
}
