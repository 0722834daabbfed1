//! Filters: what stands after `|`.

mod items;
mod numbers;
mod sequences;
mod strings;

use items::attribute_of;
pub(crate) use items::items;

use crate::arguments::Arguments;
use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::json::to_json;
use crate::printf::printf;
use crate::text::to_str;
use crate::value::Value;

/// Filters of Jinja2 that this crate has not, since chat templates do not use them.
const UNSUPPORTED: [&str; 14] = [
    "attr",
    "batch",
    "center",
    "filesizeformat",
    "groupby",
    "pprint",
    "random",
    "slice",
    "striptags",
    "truncate",
    "urlencode",
    "urlize",
    "wordwrap",
    "xmlattr",
];

/// The result of a filter.
///
/// Errors: values and arguments that Jinja2's filter does not take, filters that it has not, and those not supported.
pub(crate) fn apply(budget: &Budget, name: &str, value: Value, arguments: Arguments) -> Result<Value> {
    match name {
        "tojson" => to_json(budget, &value, arguments),
        "default" | "d" => default(value, arguments),
        "string" => {
            let [] = arguments.bind(name, [], 0)?;
            if let Value::Markup(_) = value { Ok(value) } else { to_str(budget, &value).map(Value::str) }
        }
        _ if matches!(value, Value::Markup(_)) && changes_text(name) => {
            Err(Error::unsupported(format!("filter `{name}` of a {}", value.type_name())))
        }
        "format" => {
            let text = to_str(budget, &value)?;
            let named = arguments.named.into_iter().map(|(key, value)| (Value::str(key), value)).collect::<Vec<_>>();
            let values = if named.is_empty() { Value::tuple(arguments.positional)? } else { Value::dict(named)? };
            printf(budget, &text, &values).map(Value::str)
        }
        "safe" | "e" | "escape" | "forceescape" => {
            let [] = arguments.bind(name, [], 0)?;
            let text = to_str(budget, &value)?;
            budget.take(text.len().saturating_mul(5))?;
            let stays = name == "safe" || (name != "forceescape" && matches!(value, Value::Markup(_)));
            Ok(Value::Markup(if stays { text } else { escaped(&text) }.into()))
        }
        "abs" | "float" | "int" | "round" | "sum" => numbers::apply(budget, name, &value, arguments),
        _ if strings::FILTERS.contains(&name) => strings::apply(budget, name, &value, arguments),
        "map" | "select" | "reject" | "selectattr" | "rejectattr" => {
            // As Jinja2: what is false is not gone through at all.
            if !value.is_true() {
                return Value::iterator(Vec::new());
            }
            choose(budget, name, items(budget, &value)?, arguments)
        }
        _ if sequences::FILTERS.contains(&name) => sequences::apply(budget, name, &value, arguments),
        _ if UNSUPPORTED.contains(&name) => Err(Error::unsupported(format!("filter `{name}`"))),
        _ => Err(Error::new(format!("no filter named `{name}`"))),
    }
}

/// Whether a filter makes other text of text, which would be marked as safe too.
fn changes_text(name: &str) -> bool {
    strings::FILTERS.contains(&name) || matches!(name, "format" | "reverse" | "int" | "float")
}

/// Text with what means something in HTML written so that it does not.
fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('>', "&gt;").replace('<', "&lt;");
    text.replace('\'', "&#39;").replace('"', "&#34;")
}

fn default(value: Value, arguments: Arguments) -> Result<Value> {
    let [default, boolean] = arguments.bind("default", ["default_value", "boolean"], 0)?;
    let replaces_false = boolean.is_some_and(|flag| flag.is_true());
    if matches!(value, Value::Undefined(_)) || (replaces_false && !value.is_true()) {
        return Ok(default.unwrap_or_else(|| Value::str("")));
    }
    Ok(value)
}

/// `map` and those that keep some items: by a test, or whether they are true.
fn choose(budget: &Budget, name: &str, items: Vec<Value>, arguments: Arguments) -> Result<Value> {
    let Arguments { positional, mut named } = arguments;
    let mut positional = positional.into_iter();
    let text_argument = |value: Option<Value>| match value {
        Some(Value::Str(text)) => Ok(text),
        _ => Err(Error::new(format!("{name}: expected a name as its first argument"))),
    };
    let mut chosen = Vec::new();
    if name == "map" {
        if let (0, Some(place)) = (positional.len(), named.iter().position(|(key, _)| key == "attribute")) {
            let attribute = named.swap_remove(place).1;
            let [default] = Arguments { positional: Vec::new(), named }.bind("map", ["default"], 0)?;
            for item in items {
                chosen.push(attribute_of(budget, &item, &attribute, default.as_ref())?);
            }
            return Value::iterator(chosen);
        }
        let filter = text_argument(positional.next())?;
        let positional: Vec<_> = positional.collect();
        for item in items {
            budget.take_items(1)?;
            let arguments = Arguments { positional: positional.clone(), named: named.clone() };
            chosen.push(apply(budget, &filter, item, arguments)?);
        }
        return Value::iterator(chosen);
    }
    let attribute = if name.ends_with("attr") {
        Some(positional.next().ok_or_else(|| Error::new(format!("{name}: expected an attribute, got none")))?)
    } else {
        None
    };
    let test = positional.next().map(|test| text_argument(Some(test))).transpose()?;
    let positional: Vec<_> = positional.collect();
    for item in items {
        let tested = match &attribute {
            Some(attribute) => attribute_of(budget, &item, attribute, None)?,
            None => item.clone(),
        };
        let passes = match &test {
            Some(test) => {
                let arguments = Arguments { positional: positional.clone(), named: named.clone() };
                crate::predicates::passes(budget, test, &tested, arguments)?
            }
            None => tested.is_true(),
        };
        if passes == name.starts_with("select") {
            chosen.push(item);
        }
    }
    Value::iterator(chosen)
}
