//! Filters of lists and other sequences.

use super::items::{attribute_of, items};
use crate::arguments::Arguments;
use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::methods::pairs;
use crate::operators::{equal, sort_by_key};
use crate::text::to_str;
use crate::value::{Value, lock};

pub(super) const FILTERS: [&str; 13] = [
    "count", "dictsort", "first", "items", "join", "last", "length", "list", "max", "min", "reverse", "sort", "unique",
];

pub(super) fn apply(budget: &Budget, name: &str, value: &Value, arguments: Arguments) -> Result<Value> {
    match name {
        "join" => join(budget, value, arguments),
        "sort" | "min" | "max" | "unique" => ordered(budget, name, value, arguments),
        "dictsort" => dictsort(budget, value, arguments),
        _ => {
            let [] = arguments.bind(name, [], 0)?;
            plain(budget, name, value)
        }
    }
}

fn plain(budget: &Budget, name: &str, value: &Value) -> Result<Value> {
    match (name, value) {
        ("count" | "length", _) => {
            budget.take_items(if let Value::Str(_) = value { value.size() } else { 1 })?;
            let length = value.len().map(|length| Value::Int(length as i128));
            length.ok_or_else(|| Error::new(format!("object of type '{}' has no len()", value.type_name())))
        }
        ("first", Value::Iterator(iterator)) => Ok(lock(&iterator.items).pop_front().unwrap_or_else(|| empty("first"))),
        ("first", _) => Ok(items(budget, value)?.into_iter().next().unwrap_or_else(|| empty("first"))),
        ("last", Value::Undefined(message)) => Err(Error::new(&**message)),
        ("last", Value::Iterator(_)) => Err(Error::new("'generator' object is not reversible")),
        ("last", _) => Ok(items(budget, value)?.pop().unwrap_or_else(|| empty("last"))),
        ("reverse", Value::Str(text)) => {
            budget.take(text.len())?;
            Ok(Value::str(text.chars().rev().collect::<String>()))
        }
        ("reverse", _) => {
            let mut reversed = items(budget, value)?;
            reversed.reverse();
            match value {
                Value::Iterator(_) => Value::list(reversed),
                _ => Value::iterator(reversed),
            }
        }
        ("items", Value::Undefined(_)) => Value::iterator(Vec::new()),
        ("items", Value::Dict(dict)) => {
            budget.take_items(dict.entries.len())?;
            Value::iterator(pairs(&dict.entries)?)
        }
        ("items", _) => Err(Error::new(format!("items: expected a mapping, got {}", value.type_name()))),
        ("list", _) => Value::list(items(budget, value)?),
        _ => Err(Error::unsupported(format!("filter `{name}`"))),
    }
}

fn empty(which: &str) -> Value {
    Value::undefined(format!("no {which} item, sequence was empty"))
}

fn join(budget: &Budget, value: &Value, arguments: Arguments) -> Result<Value> {
    let [separator, attribute] = arguments.bind("join", ["d", "attribute"], 0)?;
    let separator = separator.map_or(Ok(String::new()), |separator| to_str(budget, &separator))?;
    let mut text = String::new();
    for (index, item) in items(budget, value)?.iter().enumerate() {
        let part = match attribute.as_ref().filter(|attribute| !matches!(attribute, Value::None)) {
            Some(attribute) => to_str(budget, &attribute_of(budget, item, attribute, None)?)?,
            None => to_str(budget, item)?,
        };
        budget.take(separator.len())?;
        text.push_str(if index > 0 { &separator } else { "" });
        text.push_str(&part);
    }
    Ok(Value::str(text))
}

/// `sort`, `min`, `max` and `unique`: by a key, whose case is ignored unless told otherwise.
fn ordered(budget: &Budget, name: &str, value: &Value, arguments: Arguments) -> Result<Value> {
    let (reverse, case_sensitive, attribute) = if name == "sort" {
        let [reverse, case_sensitive, attribute] =
            arguments.bind(name, ["reverse", "case_sensitive", "attribute"], 0)?;
        (reverse.is_some_and(|flag| flag.is_true()), case_sensitive, attribute)
    } else {
        let [case_sensitive, attribute] = arguments.bind(name, ["case_sensitive", "attribute"], 0)?;
        (false, case_sensitive, attribute)
    };
    let case_sensitive = case_sensitive.is_some_and(|flag| flag.is_true());
    let attribute = attribute.filter(|attribute| !matches!(attribute, Value::None));
    if name == "sort" && attribute.as_ref().and_then(Value::as_str).is_some_and(|path| path.contains(',')) {
        return Err(Error::unsupported("sorting by several attributes"));
    }
    budget.take_items(value.size())?;
    let mut keyed = Vec::new();
    for item in items(budget, value)? {
        let key = match &attribute {
            Some(attribute) => attribute_of(budget, &item, attribute, None)?,
            None => item.clone(),
        };
        keyed.push((if case_sensitive { key } else { small(key) }, item));
    }
    if name == "unique" {
        let mut seen: Vec<Value> = Vec::new();
        let mut kept = Vec::new();
        for (key, item) in keyed {
            crate::operators::check_key(&key)?;
            budget.take_items(seen.len() + key.size())?;
            if !seen.iter().any(|known| equal(known, &key)) {
                seen.push(key);
                kept.push(item);
            }
        }
        return Value::iterator(kept);
    }
    sort_by_key(&mut keyed, |(key, _)| key, reverse || name == "max")?;
    let mut sorted = keyed.into_iter().map(|(_, item)| item);
    if name == "sort" {
        return Value::list(sorted.collect());
    }
    Ok(sorted.next().unwrap_or_else(|| Value::undefined("no aggregated item, sequence was empty")))
}

/// Strings in lower case.
fn small(key: Value) -> Value {
    match key {
        Value::Str(text) => Value::str(text.to_lowercase()),
        other => other,
    }
}

fn dictsort(budget: &Budget, value: &Value, arguments: Arguments) -> Result<Value> {
    let [case_sensitive, by, reverse] = arguments.bind("dictsort", ["case_sensitive", "by", "reverse"], 0)?;
    let Value::Dict(dict) = value else {
        return Err(Error::new(format!("dictsort: expected a mapping, got {}", value.type_name())));
    };
    let case_sensitive = case_sensitive.is_some_and(|flag| flag.is_true());
    let reverse = reverse.is_some_and(|flag| flag.is_true());
    let by_value = match by.as_ref().map(|by| by.as_str()) {
        None | Some(Some("key")) => false,
        Some(Some("value")) => true,
        _ => return Err(Error::new("dictsort: expected `by` to be \"key\" or \"value\"")),
    };
    budget.take_items(value.size())?;
    let mut keyed: Vec<_> = dict
        .entries
        .iter()
        .map(|entry| {
            let key = if by_value { &entry.1 } else { &entry.0 };
            (if case_sensitive { key.clone() } else { small(key.clone()) }, entry.clone())
        })
        .collect();
    sort_by_key(&mut keyed, |(key, _)| key, reverse)?;
    let entries: Vec<_> = keyed.into_iter().map(|(_, entry)| entry).collect();
    Value::list(pairs(&entries)?)
}
