//! Values as text: Python's `str` and `repr`.

use std::fmt::Write;

use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::value::{Value, ViewKind, lock};

/// A value as `str` writes it.
///
/// Errors: for what has no text that would be the same twice, as methods and iterators.
pub(crate) fn to_str(budget: &Budget, value: &Value) -> Result<String> {
    let mut text = String::new();
    match value {
        Value::Undefined(_) => {}
        Value::Str(string) | Value::Markup(string) => text.push_str(string),
        other => write_repr(budget, &mut text, other)?,
    }
    budget.take(text.len())?;
    Ok(text)
}

/// A value as `repr` writes it.
pub(crate) fn to_repr(budget: &Budget, value: &Value) -> Result<String> {
    let mut text = String::new();
    write_repr(budget, &mut text, value)?;
    budget.take(text.len())?;
    Ok(text)
}

fn write_repr(budget: &Budget, text: &mut String, value: &Value) -> Result<()> {
    budget.take_items(1)?;
    let start = text.len();
    match value {
        Value::Undefined(_) => text.push_str("Undefined"),
        Value::None => text.push_str("None"),
        Value::Bool(flag) => text.push_str(if *flag { "True" } else { "False" }),
        Value::Int(integer) => text.push_str(&integer.to_string()),
        Value::Float(float) => text.push_str(&float_repr(*float)),
        Value::Str(string) => text.push_str(&str_repr(string)),
        Value::List(list) => write_items(budget, text, "[", &list.items, "]")?,
        Value::Tuple(tuple) => {
            let end = if tuple.items.len() == 1 { ",)" } else { ")" };
            write_items(budget, text, "(", &tuple.items, end)?;
        }
        Value::Dict(dict) => write_entries(budget, text, dict.entries.iter().map(|(key, value)| (key, value)))?,
        Value::View(view) => match &view.kind {
            ViewKind::Range(range) => text.push_str(range),
            ViewKind::Of(name) => write_items(budget, text, &format!("{name}(["), &view.items, "])")?,
        },
        Value::Namespace(namespace) => {
            let entries: Vec<_> = lock(&namespace.entries).iter().map(|(k, v)| (Value::str(k), v.clone())).collect();
            text.push_str("<Namespace ");
            write_entries(budget, text, entries.iter().map(|(key, value)| (key, value)))?;
            text.push('>');
        }
        Value::Iterator(_) => {
            return Err(Error::unsupported(
                "printing an iterator, as `map` and `select` return it without the filter `list`,",
            ));
        }
        other => return Err(Error::unsupported(format!("printing a {}", other.type_name()))),
    }
    // What containers write is counted item by item.
    let is_container = matches!(value, Value::List(_) | Value::Tuple(_) | Value::Dict(_) | Value::Namespace(_));
    budget.take(if is_container { 0 } else { text.len() - start })
}

fn write_items(budget: &Budget, text: &mut String, begin: &str, items: &[Value], end: &str) -> Result<()> {
    text.push_str(begin);
    for (index, item) in items.iter().enumerate() {
        text.push_str(if index > 0 { ", " } else { "" });
        write_repr(budget, text, item)?;
    }
    text.push_str(end);
    Ok(())
}

fn write_entries<'a>(
    budget: &Budget,
    text: &mut String,
    entries: impl Iterator<Item = (&'a Value, &'a Value)>,
) -> Result<()> {
    text.push('{');
    for (index, (key, value)) in entries.enumerate() {
        text.push_str(if index > 0 { ", " } else { "" });
        write_repr(budget, text, key)?;
        text.push_str(": ");
        write_repr(budget, text, value)?;
    }
    text.push('}');
    Ok(())
}

/// A float: the shortest digits that read as the same number, with an exponent below 1e-4 and from 1e16.
pub(crate) fn float_repr(float: f64) -> String {
    if float.is_nan() {
        return "nan".into();
    }
    if float.is_infinite() {
        return if float > 0.0 { "inf".into() } else { "-inf".into() };
    }
    // The shortest digits that read as the same number; of several, those nearest to it, and of two, the even one.
    let shortest = format!("{float:e}");
    let precision = shortest.find('.').map_or(0, |point| shortest.find('e').unwrap_or(point) - point - 1);
    let nearest = format!("{float:.precision$e}");
    let digits = if nearest.parse() == Ok(float) { nearest } else { shortest };
    let (mantissa, exponent) = digits.split_once('e').unwrap_or((&digits, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..16).contains(&exponent) {
        return format!("{mantissa}e{exponent:+03}");
    }
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |mantissa| ("-", mantissa));
    let mantissa = mantissa.replace('.', "");
    if exponent < 0 {
        return format!("{sign}0.{}{mantissa}", "0".repeat((-exponent - 1) as usize));
    }
    let whole = exponent as usize + 1;
    let padded = format!("{mantissa:0<width$}", width = whole + 1);
    let (before, after) = padded.split_at(whole);
    format!("{sign}{before}.{after}")
}

/// Writes a letter as Python's escape of its code.
pub(crate) fn push_escape(text: &mut String, letter: char) {
    let code = letter as u32;
    let _ = match code {
        0..=0xff => write!(text, "\\x{code:02x}"),
        0x100..=0xffff => write!(text, "\\u{code:04x}"),
        _ => write!(text, "\\U{code:08x}"),
    };
}

fn str_repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut repr = String::with_capacity(text.len() + 2);
    repr.push(quote);
    for letter in text.chars() {
        match letter {
            '\n' => repr.push_str("\\n"),
            '\r' => repr.push_str("\\r"),
            '\t' => repr.push_str("\\t"),
            '\\' => repr.push_str("\\\\"),
            _ if letter == quote => repr.extend(['\\', letter]),
            _ if is_printable(letter) => repr.push(letter),
            _ => push_escape(&mut repr, letter),
        }
    }
    repr.push(quote);
    repr
}

/// Python's `isprintable`: Rust's debug format escapes by the same categories, once the letter is not the first, where
/// it escapes combining marks too.
fn is_printable(letter: char) -> bool {
    let mut pair = ['a'.len_utf8() as u8; 5];
    pair[0] = b'a';
    let length = letter.encode_utf8(&mut pair[1..]).len();
    match std::str::from_utf8(&pair[..=length]) {
        Ok(text) => matches!(letter, '\'' | '"') || text.escape_debug().count() == 2,
        Err(_) => false,
    }
}
