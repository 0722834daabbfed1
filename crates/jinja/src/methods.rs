//! Methods of strings, lists, tuples, dictionaries and loops.

mod search;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::arguments::{Arguments, required_text};
use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::letters::{capitalize, is_cased, swap_case, title};
use crate::lexer::is_space;
use crate::operators::{all_equal, check_key, equal};
use crate::str_format::str_format;
use crate::value::{Loop, Value, ViewKind, lock};

pub(crate) use search::{lines, replace};

/// What a method returns.
///
/// Errors: arguments that Python's method does not take, and methods that are not supported.
pub(crate) fn call_method(budget: &Budget, receiver: &Value, name: &str, arguments: Arguments) -> Result<Value> {
    match receiver {
        Value::Str(text) => {
            budget.take(text.len())?;
            string(budget, text, name, arguments)
        }
        Value::List(list) | Value::Tuple(list) => {
            budget.take_items(receiver.size())?;
            sequence(receiver, &list.items, name, arguments)
        }
        Value::Dict(dict) => {
            budget.take_items(dict.entries.len())?;
            dictionary(&dict.entries, receiver, name, arguments)
        }
        Value::Loop(state) => {
            budget.take_items(arguments.positional.iter().map(Value::size).sum())?;
            of_loop(state, name, arguments)
        }
        other => Err(Error::unsupported(format!("method `{name}` of a {}", other.type_name()))),
    }
}

fn string(budget: &Budget, text: &Arc<str>, name: &str, arguments: Arguments) -> Result<Value> {
    if name == "format" {
        return str_format(budget, text, &arguments).map(Value::str);
    }
    if !arguments.named.is_empty() && !matches!(name, "split" | "rsplit" | "splitlines" | "expandtabs") {
        return Err(Error::new(format!("{name}() takes no keyword arguments")));
    }
    Ok(match name {
        "strip" | "lstrip" | "rstrip" => {
            let [set] = arguments.bind(name, ["chars"], 0)?;
            Value::str(strip(text, name, set)?)
        }
        "split" | "rsplit" => {
            let [separator, limit] = arguments.bind(name, ["sep", "maxsplit"], 0)?;
            let limit = search::integer(limit.as_ref(), name)?.and_then(|limit| usize::try_from(limit).ok());
            let parts = search::split(text, separator, limit, name == "rsplit")?;
            budget.take_items(parts.len())?;
            Value::list(parts.into_iter().map(Value::str).collect())?
        }
        "splitlines" => {
            let [keep] = arguments.bind(name, ["keepends"], 0)?;
            let keep = keep.map_or(Some(0), |keep| keep.as_int());
            let keep = keep.ok_or_else(|| Error::new("splitlines: expected true or false"))?;
            let lines = search::lines(text, keep != 0);
            budget.take_items(lines.len())?;
            Value::list(lines.into_iter().map(Value::str).collect())?
        }
        "partition" | "rpartition" => {
            let [separator] = arguments.bind(name, ["sep"], 1)?;
            let parts = search::partition(text, &required_text(separator, name)?, name == "rpartition")?;
            Value::tuple(parts.map(Value::str).to_vec())?
        }
        "replace" => {
            let [old, new, count] = arguments.bind(name, ["old", "new", "count"], 2)?;
            let count = search::integer(count.as_ref(), name)?.and_then(|count| usize::try_from(count).ok());
            Value::str(search::replace(budget, text, &required_text(old, name)?, &required_text(new, name)?, count)?)
        }
        "startswith" | "endswith" | "find" | "rfind" | "index" | "rindex" | "count" => {
            search::find(text, name, arguments)?
        }
        "removeprefix" | "removesuffix" => {
            let [part] = arguments.bind(name, ["part"], 1)?;
            let part = required_text(part, name)?;
            let cut = if name == "removeprefix" { text.strip_prefix(&*part) } else { text.strip_suffix(&*part) };
            Value::str(cut.unwrap_or(text))
        }
        "join" => {
            let [items] = arguments.bind(name, ["iterable"], 1)?;
            join(budget, text, &items.unwrap_or(Value::None))?
        }
        "center" | "ljust" | "rjust" => {
            let [width, fill] = arguments.bind(name, ["width", "fillchar"], 1)?;
            Value::str(justify(budget, text, name, width.as_ref(), fill)?)
        }
        "zfill" => {
            let [width] = arguments.bind(name, ["width"], 1)?;
            let signed = usize::from(text.starts_with(['+', '-']));
            let zeros = missing_width(budget, text, width.as_ref(), name)?;
            Value::str(format!("{}{}{}", &text[..signed], "0".repeat(zeros), &text[signed..]))
        }
        "expandtabs" => {
            let [size] = arguments.bind(name, ["tabsize"], 0)?;
            Value::str(expand_tabs(budget, text, search::integer(size.as_ref(), name)?.unwrap_or(8))?)
        }
        "encode" | "format_map" | "isprintable" | "maketrans" | "translate" => {
            return Err(Error::unsupported(format!("string method `{name}`")));
        }
        _ => {
            let [] = arguments.bind(name, [], 0)?;
            plain(text, name)?
        }
    })
}

/// Methods without arguments.
fn plain(text: &str, name: &str) -> Result<Value> {
    let all = |test: fn(char) -> bool| Value::Bool(!text.is_empty() && text.chars().all(test));
    Ok(match name {
        "upper" => Value::str(text.to_uppercase()),
        "lower" => Value::str(text.to_lowercase()),
        "title" => Value::str(title(text)?),
        "capitalize" => Value::str(capitalize(text)?),
        "swapcase" => Value::str(swap_case(text)?),
        "isspace" => all(is_space),
        "isascii" => Value::Bool(text.is_ascii()),
        "islower" => Value::Bool(text.chars().any(char::is_lowercase) && !text.chars().any(char::is_uppercase)),
        "isupper" => Value::Bool(text.chars().any(char::is_uppercase) && !text.chars().any(char::is_lowercase)),
        "isalpha" | "isalnum" | "isdigit" | "isdecimal" | "isnumeric" | "istitle" | "isidentifier" | "casefold" => {
            // Which letters beyond ASCII are which takes tables that Rust does not have.
            if !text.is_ascii() {
                return Err(Error::unsupported(format!("`{name}` of a text that is not ASCII")));
            }
            match name {
                "isalpha" => all(|letter| letter.is_ascii_alphabetic()),
                "isalnum" => all(|letter| letter.is_ascii_alphanumeric()),
                "istitle" => Value::Bool(text.chars().any(is_cased) && title(text)? == text),
                "isidentifier" => {
                    let begins = !text.is_empty() && !text.starts_with(|letter: char| letter.is_ascii_digit());
                    Value::Bool(begins && text.chars().all(|letter| letter == '_' || letter.is_ascii_alphanumeric()))
                }
                "casefold" => Value::str(text.to_ascii_lowercase()),
                _ => all(|letter| letter.is_ascii_digit()),
            }
        }
        _ => return Err(Error::unsupported(format!("string method `{name}`"))),
    })
}

/// A text without white space, or without letters of a set, at its ends.
pub(crate) fn strip(text: &str, name: &str, set: Option<Value>) -> Result<String> {
    let set = match set {
        None | Some(Value::None) => None,
        set => Some(required_text(set, name)?),
    };
    let is_stripped = |letter: char| set.as_ref().map_or_else(|| is_space(letter), |set| set.contains(letter));
    let text = if name == "rstrip" { text } else { text.trim_start_matches(is_stripped) };
    Ok(if name == "lstrip" { text } else { text.trim_end_matches(is_stripped) }.to_owned())
}

fn join(budget: &Budget, separator: &str, items: &Value) -> Result<Value> {
    let mut text = String::new();
    for (index, item) in items.iterate()?.iter().enumerate() {
        let Some(part) = item.as_str() else {
            return Err(Error::new(format!("join: item {index}: expected a string, got {}", item.type_name())));
        };
        budget.take(separator.len() + part.len())?;
        text.push_str(if index > 0 { separator } else { "" });
        text.push_str(part);
    }
    Ok(Value::str(text))
}

/// How many letters are missing to a width.
fn missing_width(budget: &Budget, text: &str, width: Option<&Value>, of: &str) -> Result<usize> {
    let width = search::integer(width, of)?.unwrap_or(0).max(0);
    let missing = usize::try_from(width).unwrap_or(usize::MAX).saturating_sub(text.chars().count());
    budget.take(missing.saturating_mul(4))?;
    Ok(missing)
}

fn justify(budget: &Budget, text: &str, name: &str, width: Option<&Value>, fill: Option<Value>) -> Result<String> {
    let fill = if fill.is_some() { required_text(fill, name)? } else { " ".into() };
    if fill.chars().count() != 1 {
        return Err(Error::new(format!("{name}: the fill character must be exactly one character long")));
    }
    let missing = missing_width(budget, text, width, name)?;
    let width = text.chars().count() + missing;
    let before = match name {
        "ljust" => 0,
        "rjust" => missing,
        // As CPython: the odd space goes to the left where the width is odd.
        _ => missing / 2 + (missing & width & 1),
    };
    Ok(format!("{}{text}{}", fill.repeat(before), fill.repeat(missing - before)))
}

fn expand_tabs(budget: &Budget, text: &str, size: i128) -> Result<String> {
    let size = usize::try_from(size).unwrap_or(0);
    let (mut expanded, mut column) = (String::new(), 0_usize);
    for letter in text.chars() {
        if letter == '\t' {
            let spaces = if size == 0 { 0 } else { size - column % size };
            budget.take(spaces)?;
            expanded.push_str(&" ".repeat(spaces));
            column += spaces;
        } else {
            expanded.push(letter);
            column = if matches!(letter, '\n' | '\r') { 0 } else { column + 1 };
        }
    }
    Ok(expanded)
}

fn sequence(receiver: &Value, items: &[Value], name: &str, arguments: Arguments) -> Result<Value> {
    match name {
        "count" => {
            let [wanted] = arguments.bind(name, ["value"], 1)?;
            let count = items.iter().filter(|item| wanted.as_ref().is_some_and(|wanted| equal(item, wanted))).count();
            Ok(Value::Int(count as i128))
        }
        "index" => {
            let [wanted] = arguments.bind(name, ["value"], 1)?;
            let place = items.iter().position(|item| wanted.as_ref().is_some_and(|wanted| equal(item, wanted)));
            place.map(|place| Value::Int(place as i128)).ok_or_else(|| Error::new("index: no such item in the list"))
        }
        "copy" => {
            let [] = arguments.bind(name, [], 0)?;
            Ok(receiver.clone())
        }
        _ => Err(Error::unsupported(format!("list method `{name}`"))),
    }
}

fn dictionary(entries: &[(Value, Value)], receiver: &Value, name: &str, arguments: Arguments) -> Result<Value> {
    let view = |name: &'static str, items: Vec<Value>| Value::view(ViewKind::Of(name), items);
    match name {
        "get" => {
            let [key, default] = arguments.bind(name, ["key", "default"], 1)?;
            key.as_ref().map_or(Ok(()), check_key)?;
            let found = entries.iter().find(|(known, _)| key.as_ref().is_some_and(|key| equal(known, key)));
            Ok(found.map_or_else(|| default.unwrap_or(Value::None), |(_, value)| value.clone()))
        }
        "keys" | "values" | "items" | "copy" => {
            let [] = arguments.bind(name, [], 0)?;
            match name {
                "keys" => view("dict_keys", entries.iter().map(|entry| entry.0.clone()).collect()),
                "values" => view("dict_values", entries.iter().map(|entry| entry.1.clone()).collect()),
                "items" => view("dict_items", pairs(entries)?),
                _ => Ok(receiver.clone()),
            }
        }
        _ => Err(Error::unsupported(format!("dictionary method `{name}`"))),
    }
}

/// A dictionary's entries as tuples.
pub(crate) fn pairs(entries: &[(Value, Value)]) -> Result<Vec<Value>> {
    entries.iter().map(|(key, value)| Value::tuple(vec![key.clone(), value.clone()])).collect()
}

fn of_loop(state: &Loop, name: &str, arguments: Arguments) -> Result<Value> {
    let values = arguments.positional;
    if name == "cycle" {
        if values.is_empty() {
            return Err(Error::new("no items for cycling given"));
        }
        return Ok(values[state.index.load(Ordering::Relaxed) % values.len()].clone());
    }
    let mut last = lock(&state.changed);
    let is_same = last.as_ref().is_some_and(|last| all_equal(last, &values));
    *last = Some(values);
    Ok(Value::Bool(!is_same))
}
