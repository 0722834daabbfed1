//! `'%s' % value`, and the filter `format`.

use std::iter::Peekable;
use std::str::Chars;

use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::format::{Spec, as_integer};
use crate::text::{to_repr, to_str};
use crate::value::{Value, ViewKind};

/// A format with its arguments: a tuple, a dictionary, or one value.
///
/// Errors: as Python's operator, and for conversions that are not supported.
pub(crate) fn printf(budget: &Budget, format: &str, arguments: &Value) -> Result<String> {
    let single = [arguments.clone()];
    let arguments_left: &[Value] = match arguments {
        Value::Tuple(tuple) => &tuple.items,
        _ => &single,
    };
    let mut arguments_left = arguments_left.iter();
    let mut text = String::new();
    let mut letters = format.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            text.push(letter);
            continue;
        }
        if letters.next_if_eq(&'%').is_some() {
            text.push('%');
            continue;
        }
        let key = mapping_key(&mut letters)?;
        let spec = spec(&mut letters)?;
        let value = match (&key, arguments) {
            (Some(key), Value::Dict(dict)) => {
                let found = dict.entries.iter().find(|(known, _)| known.as_str() == Some(key));
                found.map(|(_, value)| value).ok_or_else(|| Error::new(format!("no key {key:?} for the format")))?
            }
            (Some(_), _) => return Err(Error::new("format requires a mapping")),
            (None, _) => arguments_left.next().ok_or_else(|| Error::new("not enough arguments for format string"))?,
        };
        let written = convert(budget, &spec, value)?;
        budget.take(written.len())?;
        text.push_str(&written);
    }
    // What has items by key or index counts as a mapping, whose rest does not matter.
    let may_be_left = match arguments {
        Value::Dict(_) | Value::List(_) | Value::Undefined(_) => true,
        Value::View(view) => matches!(view.kind, ViewKind::Range(_)),
        _ => false,
    };
    if arguments_left.next().is_some() && !may_be_left {
        return Err(Error::new("not all arguments converted during string formatting"));
    }
    budget.take(text.len())?;
    Ok(text)
}

fn mapping_key(letters: &mut Peekable<Chars<'_>>) -> Result<Option<String>> {
    if letters.next_if_eq(&'(').is_none() {
        return Ok(None);
    }
    let mut key = String::new();
    for letter in letters {
        if letter == ')' {
            return Ok(Some(key));
        }
        key.push(letter);
    }
    Err(Error::new("incomplete format key"))
}

fn spec(letters: &mut Peekable<Chars<'_>>) -> Result<Spec> {
    let mut spec = Spec::default();
    while let Some(flag) = letters.next_if(|letter| "#0- +".contains(*letter)) {
        match flag {
            '#' => spec.alternate = true,
            '0' => spec.zeros = true,
            '-' => spec.align = Some('<'),
            '+' => spec.sign = Some('+'),
            _ => spec.sign = spec.sign.or(Some(' ')),
        }
    }
    spec.width = number(letters)?.unwrap_or(0);
    if letters.next_if_eq(&'.').is_some() {
        spec.precision = Some(number(letters)?.unwrap_or(0));
    }
    while letters.next_if(|letter| "hlL".contains(*letter)).is_some() {}
    spec.kind = letters.next();
    if spec.zeros && spec.align.is_none() && !matches!(spec.kind, Some('s' | 'r' | 'c')) {
        (spec.fill, spec.align) = (Some('0'), Some('='));
    } else if spec.align.is_none() {
        spec.align = Some('>');
    }
    Ok(spec)
}

/// A number in a format.
pub(crate) fn number(letters: &mut Peekable<Chars<'_>>) -> Result<Option<usize>> {
    if letters.peek() == Some(&'*') {
        return Err(Error::unsupported("`*` in a format"));
    }
    let mut number: Option<usize> = None;
    while let Some(digit) = letters.peek().and_then(|letter| letter.to_digit(10)) {
        letters.next();
        let next = number.unwrap_or(0).checked_mul(10).and_then(|tens| tens.checked_add(digit as usize));
        number = Some(next.ok_or_else(|| Error::new("a number in a format is too large"))?);
    }
    Ok(number)
}

fn convert(budget: &Budget, spec: &Spec, value: &Value) -> Result<String> {
    let wrong = |expected: &str| Error::new(format!("format: expected {expected}, got {}", value.type_name()));
    match spec.kind {
        Some('s') => spec.text(budget, &to_str(budget, value)?),
        Some('r') => spec.text(budget, &to_repr(budget, value)?),
        Some('d' | 'i' | 'u') => spec.integer(budget, as_integer(value, true).ok_or_else(|| wrong("a number"))?),
        Some('x' | 'X' | 'o') => spec.integer(budget, as_integer(value, false).ok_or_else(|| wrong("an integer"))?),
        Some('f' | 'F' | 'e' | 'E' | 'g' | 'G') => {
            spec.float(budget, value.as_float().ok_or_else(|| wrong("a number"))?)
        }
        Some('c') => {
            let spec = Spec { precision: None, ..spec.clone() };
            let code = value.as_int().and_then(|code| u32::try_from(code).ok()).and_then(char::from_u32);
            match (value.as_str(), code) {
                (Some(text), _) if text.chars().count() == 1 => spec.text(budget, text),
                (None, Some(letter)) => spec.text(budget, letter.encode_utf8(&mut [0; 4])),
                _ => Err(wrong("one character")),
            }
        }
        Some('a') => Err(Error::unsupported("the conversion `%a`")),
        Some(other) => Err(Error::new(format!("unsupported format character '{other}'"))),
        None => Err(Error::new("incomplete format")),
    }
}
