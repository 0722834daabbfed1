//! Methods of strings that look for parts.

use std::ops::Range;
use std::sync::Arc;

use crate::arguments::{Arguments, required_text};
use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::lexer::is_space;
use crate::value::Value;

/// An integer argument; none where it is missing.
pub(super) fn integer(value: Option<&Value>, of: &str) -> Result<Option<i128>> {
    match value {
        None => Ok(None),
        Some(Value::Undefined(message)) => Err(Error::new(&**message)),
        Some(value) => {
            let integer = value.as_int();
            integer.map(Some).ok_or_else(|| Error::new(format!("{of}: expected an integer, got {}", value.type_name())))
        }
    }
}

/// The parts between separators, or between white space; at most so many cuts.
pub(super) fn split(
    text: &str,
    separator: Option<Value>,
    limit: Option<usize>,
    from_right: bool,
) -> Result<Vec<String>> {
    let limit = limit.unwrap_or(usize::MAX);
    let parts = match separator {
        None | Some(Value::None) => return Ok(split_space(text, limit, from_right)),
        separator => {
            let separator = required_text(separator, "split")?;
            if separator.is_empty() {
                return Err(Error::new("split: the separator is empty"));
            }
            let limit = limit.saturating_add(1);
            if from_right {
                let mut parts: Vec<_> = text.rsplitn(limit, &*separator).map(str::to_owned).collect();
                parts.reverse();
                parts
            } else {
                text.splitn(limit, &*separator).map(str::to_owned).collect()
            }
        }
    };
    Ok(parts)
}

fn split_space(text: &str, limit: usize, from_right: bool) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = if from_right { text.trim_end_matches(is_space) } else { text.trim_start_matches(is_space) };
    while !rest.is_empty() {
        let cut = match (parts.len() < limit, from_right) {
            (false, _) => None,
            (true, false) => rest.find(is_space),
            (true, true) => {
                rest.char_indices().rfind(|(_, letter)| is_space(*letter)).map(|(at, letter)| at + letter.len_utf8())
            }
        };
        let (part, after) = match (cut, from_right) {
            (None, _) => (rest, ""),
            (Some(cut), false) => (&rest[..cut], rest[cut..].trim_start_matches(is_space)),
            (Some(cut), true) => (&rest[cut..], rest[..cut].trim_end_matches(is_space)),
        };
        parts.push(part.to_owned());
        rest = after;
    }
    if from_right {
        parts.reverse();
    }
    parts
}

/// Lines, by all ends that Python knows.
pub(crate) fn lines(text: &str, keep_ends: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|letter: char| "\n\r\x0b\x0c\x1c\x1d\x1e\u{85}\u{2028}\u{2029}".contains(letter));
        let end = end.unwrap_or(rest.len());
        let ending = match rest[end..].chars().next() {
            Some('\r') if rest[end..].starts_with("\r\n") => 2,
            Some(letter) => letter.len_utf8(),
            None => 0,
        };
        lines.push(rest[..end + if keep_ends { ending } else { 0 }].to_owned());
        rest = &rest[end + ending..];
    }
    lines
}

/// What stands before, at and after the first or last separator.
pub(super) fn partition(text: &str, separator: &str, from_right: bool) -> Result<[String; 3]> {
    if separator.is_empty() {
        return Err(Error::new("partition: the separator is empty"));
    }
    let cut = if from_right { text.rsplit_once(separator) } else { text.split_once(separator) };
    Ok(match cut {
        Some((before, after)) => [before.into(), separator.into(), after.into()],
        None if from_right => [String::new(), String::new(), text.into()],
        None => [text.into(), String::new(), String::new()],
    })
}

/// The text with a part replaced, at most so often.
pub(crate) fn replace(budget: &Budget, text: &str, old: &str, new: &str, count: Option<usize>) -> Result<String> {
    let found = text.matches(old).count().min(count.unwrap_or(usize::MAX));
    budget.take(text.len().saturating_add(found.saturating_mul(new.len())))?;
    Ok(match count {
        Some(count) => text.replacen(old, new, count),
        None => text.replace(old, new),
    })
}

/// `startswith`, `find`, `count` and their like, within bounds.
pub(super) fn find(text: &str, name: &str, arguments: Arguments) -> Result<Value> {
    let [part, start, end] = arguments.bind(name, ["sub", "start", "end"], 1)?;
    let parts: Vec<Arc<str>> = match part {
        Some(Value::Tuple(tuple)) if matches!(name, "startswith" | "endswith") => {
            tuple.items.iter().map(|item| required_text(Some(item.clone()), name)).collect::<Result<_>>()?
        }
        part => vec![required_text(part, name)?],
    };
    let [start, end] = [start, end].map(|bound| bound.filter(|bound| !matches!(bound, Value::None)));
    let range = bounds(text, integer(start.as_ref(), name)?, integer(end.as_ref(), name)?);
    let Some(within) = range.clone().map(|range| &text[range]) else {
        return match name {
            "startswith" | "endswith" => Ok(Value::Bool(false)),
            "count" => Ok(Value::Int(0)),
            _ => position(None, name),
        };
    };
    let part = parts.first().map_or("", |part| &**part);
    let letters_before = |found: usize| range.as_ref().map_or(0, |range| text[..range.start + found].chars().count());
    match name {
        "startswith" => Ok(Value::Bool(parts.iter().any(|part| within.starts_with(&**part)))),
        "endswith" => Ok(Value::Bool(parts.iter().any(|part| within.ends_with(&**part)))),
        "count" => Ok(Value::Int(within.matches(part).count() as i128)),
        "find" | "index" => position(within.find(part).map(letters_before), name),
        _ => position(within.rfind(part).map(letters_before), name),
    }
}

fn position(found: Option<usize>, name: &str) -> Result<Value> {
    match found {
        Some(found) => Ok(Value::Int(found as i128)),
        None if name.ends_with("find") => Ok(Value::Int(-1)),
        None => Err(Error::new("substring not found")),
    }
}

/// The bytes between two letters; none where the start is behind the end.
fn bounds(text: &str, start: Option<i128>, end: Option<i128>) -> Option<Range<usize>> {
    let length = text.chars().count() as i128;
    let place = |index: i128| (if index < 0 { index.saturating_add(length) } else { index }).max(0);
    let (start, end) = (place(start.unwrap_or(0)), place(end.unwrap_or(length)).min(length));
    if start > end {
        return None;
    }
    let byte = |letter: i128| text.char_indices().nth(letter as usize).map_or(text.len(), |(byte, _)| byte);
    Some(byte(start)..byte(end))
}
