//! `value.name` and `value[key]`, as Jinja2's sandbox looks them up.

use std::sync::atomic::Ordering;

use crate::error::{Error, Result};
use crate::value::{Value, ViewKind, lock};

/// Methods of Python's strings.
const OF_STR: &str = " capitalize casefold center count encode endswith expandtabs find format format_map index isalnum \
    isalpha isascii isdecimal isdigit isidentifier islower isnumeric isprintable isspace istitle isupper join ljust \
    lower lstrip maketrans partition removeprefix removesuffix replace rfind rindex rjust rpartition rsplit rstrip \
    split splitlines startswith strip swapcase title translate upper zfill ";
const OF_DICT: &str = " copy fromkeys get items keys values ";
const OF_LIST: &str = " copy count index ";
const OF_TUPLE: &str = " count index ";
const OF_LOOP: &str = " cycle changed ";
const OF_NUMBER: &str = " as_integer_ratio bit_count bit_length conjugate denominator from_bytes fromhex hex imag \
    is_integer numerator real to_bytes ";

/// Methods that would change a value, which the sandbox does not allow.
const CHANGING_DICT: &str = " clear pop popitem setdefault update ";
const CHANGING_LIST: &str = " append clear extend insert pop remove reverse sort ";

/// An attribute: a method or field if the type has one, else an item.
pub(crate) fn attribute(value: &Value, name: &str) -> Result<Value> {
    if let Some(found) = own_attribute(value, name)? {
        return Ok(found);
    }
    if let Value::Dict(dict) = value
        && let Some((_, found)) = dict.entries.iter().find(|(key, _)| key.as_str() == Some(name))
    {
        return Ok(found.clone());
    }
    missing(value, name)
}

/// An item: by key or index, else, for a name, an attribute.
pub(crate) fn item(value: &Value, key: &Value) -> Result<Value> {
    let items = match value {
        Value::Dict(dict) => {
            if let Some((_, found)) = dict.entries.iter().find(|(known, _)| crate::operators::equal(known, key)) {
                return Ok(found.clone());
            }
            None
        }
        Value::List(list) | Value::Tuple(list) => Some(&list.items),
        Value::View(view) if matches!(view.kind, ViewKind::Range(_)) => Some(&view.items),
        Value::Str(text) => {
            let letter = key.as_int().and_then(|index| {
                let index = if index < 0 { index + text.chars().count() as i128 } else { index };
                text.chars().nth(usize::try_from(index).ok()?)
            });
            if let Some(letter) = letter {
                return Ok(Value::str(letter.encode_utf8(&mut [0; 4])));
            }
            None
        }
        _ => None,
    };
    if let (Some(items), Some(index)) = (items, key.as_int()) {
        let index = if index < 0 { index.saturating_add(items.len() as i128) } else { index };
        if let Some(found) = usize::try_from(index).ok().and_then(|index| items.get(index)) {
            return Ok(found.clone());
        }
    }
    match (value, key) {
        (Value::Undefined(message), _) => Err(Error::new(&**message)),
        (_, Value::Str(name)) => match own_attribute(value, name)? {
            Some(found) => Ok(found),
            None => missing(value, name),
        },
        (Value::Markup(_), _) => Err(Error::unsupported(format!("an index of a {}", value.type_name()))),
        _ => Ok(Value::undefined(format!("{} has no such element", object(value)))),
    }
}

/// What is not there; names that begin with an underscore are not looked up at all.
fn missing(value: &Value, name: &str) -> Result<Value> {
    match value {
        Value::Undefined(message) => Err(Error::new(&**message)),
        _ if name.starts_with('_') => Ok(Value::undefined(format!("access to attribute '{name}' is unsafe"))),
        _ => Ok(Value::undefined(format!("{} has no attribute '{name}'", object(value)))),
    }
}

fn object(value: &Value) -> String {
    match value {
        Value::None => "None".into(),
        other => format!("'{} object'", other.type_name()),
    }
}

/// A method or field that the type itself has.
fn own_attribute(value: &Value, name: &str) -> Result<Option<Value>> {
    let listed = |names: &str| !name.is_empty() && names.split(' ').any(|known| known == name);
    let (methods, changing) = match value {
        Value::Str(_) => (OF_STR, ""),
        Value::Dict(_) => (OF_DICT, CHANGING_DICT),
        Value::List(_) => (OF_LIST, CHANGING_LIST),
        Value::Tuple(_) => (OF_TUPLE, ""),
        Value::Loop(_) => (OF_LOOP, ""),
        Value::Bool(_) | Value::Int(_) | Value::Float(_) if listed(OF_NUMBER) => {
            return Err(Error::unsupported(format!("the attribute `{name}` of a number")));
        }
        Value::Namespace(namespace) => {
            let entries = lock(&namespace.entries);
            return Ok(entries.iter().find(|(known, _)| known == name).map(|(_, found)| found.clone()));
        }
        Value::Macro(_) if ["name", "arguments", "catch_kwargs", "catch_varargs", "caller"].contains(&name) => {
            return Err(Error::unsupported(format!("the attribute `{name}` of a macro")));
        }
        Value::Undefined(message) => return Err(Error::new(&**message)),
        Value::Markup(_) => return Err(Error::unsupported(format!("`{name}` of a {}", value.type_name()))),
        _ => ("", ""),
    };
    if listed(methods) {
        return Ok(Some(Value::Method((value.clone(), name.to_owned()).into())));
    }
    if listed(changing) {
        let problem = format!("method '{name}' of a {} would change it, which templates may not", value.type_name());
        return Ok(Some(Value::undefined(problem)));
    }
    Ok(if let Value::Loop(state) = value { loop_field(state, name) } else { None })
}

/// A field of the variable `loop`.
fn loop_field(state: &crate::value::Loop, name: &str) -> Option<Value> {
    let (index, length) = (state.index.load(Ordering::Relaxed), state.items.len());
    let number = |number: usize| Some(Value::Int(number as i128));
    match name {
        "index" => number(index + 1),
        "index0" => number(index),
        "revindex" => number(length - index),
        "revindex0" => number(length - index - 1),
        "length" => number(length),
        "depth" => number(state.depth + 1),
        "depth0" => number(state.depth),
        "first" => Some(Value::Bool(index == 0)),
        "last" => Some(Value::Bool(index + 1 == length)),
        "previtem" => Some(match index.checked_sub(1) {
            Some(before) => state.items[before].clone(),
            None => Value::undefined("there is no previous item"),
        }),
        "nextitem" => {
            Some(state.items.get(index + 1).cloned().unwrap_or_else(|| Value::undefined("there is no next item")))
        }
        _ => None,
    }
}
