//! The filter `tojson`: what `json.dumps` writes, with the arguments that transformers gives it.

use std::fmt::Write;

use crate::arguments::Arguments;
use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::operators::sort_by_key;
use crate::text::float_repr;
use crate::value::Value;

/// How `json.dumps` is told to write.
struct Layout {
    ensure_ascii: bool,
    /// What each level is indented by; on one line without it.
    indent: Option<String>,
    item_separator: String,
    key_separator: String,
    sort_keys: bool,
}

/// A value as JSON.
///
/// Errors: for what JSON cannot say, as for `json.dumps`.
pub(crate) fn to_json(budget: &Budget, value: &Value, arguments: Arguments) -> Result<Value> {
    let names = ["ensure_ascii", "indent", "separators", "sort_keys"];
    let [ensure_ascii, indent, separators, sort_keys] = arguments.bind("tojson", names, 0)?;
    let indent = match indent {
        None | Some(Value::None) => None,
        Some(Value::Str(text)) => Some(text.to_string()),
        Some(other) => {
            let width =
                other.as_int().ok_or_else(|| Error::new("tojson: `indent` is neither a number nor a string"))?;
            budget.take(usize::try_from(width).unwrap_or(0))?;
            Some(" ".repeat(usize::try_from(width).unwrap_or(0)))
        }
    };
    let (item_separator, key_separator) = match separators {
        None | Some(Value::None) => (if indent.is_some() { "," } else { ", " }.to_owned(), ": ".to_owned()),
        Some(pair) => match pair.iterate()?.as_slice() {
            [Value::Str(item), Value::Str(key)] => (item.to_string(), key.to_string()),
            _ => return Err(Error::new("tojson: `separators` are not two strings")),
        },
    };
    let layout = Layout {
        ensure_ascii: ensure_ascii.is_some_and(|flag| flag.is_true()),
        indent,
        item_separator,
        key_separator,
        sort_keys: sort_keys.is_some_and(|flag| flag.is_true()),
    };
    let mut text = String::new();
    layout.write(budget, &mut text, value, 0)?;
    Ok(Value::str(text))
}

impl Layout {
    fn write(&self, budget: &Budget, text: &mut String, value: &Value, level: usize) -> Result<()> {
        budget.take_items(1)?;
        let start = text.len();
        match value {
            Value::None => text.push_str("null"),
            Value::Bool(flag) => text.push_str(if *flag { "true" } else { "false" }),
            Value::Int(integer) => text.push_str(&integer.to_string()),
            Value::Float(float) => text.push_str(&json_float(*float)),
            Value::Str(string) | Value::Markup(string) => self.write_str(text, string),
            Value::List(list) | Value::Tuple(list) => {
                let items: Vec<_> = list.items.iter().map(|item| (None, item)).collect();
                return self.write_all(budget, text, ["[", "]"], &items, level);
            }
            Value::Dict(dict) => {
                let entries = self.entries(&dict.entries)?;
                let items: Vec<_> = entries.iter().map(|(key, value)| (Some(key.as_str()), *value)).collect();
                return self.write_all(budget, text, ["{", "}"], &items, level);
            }
            other => return Err(Error::new(format!("object of type {} is not JSON serializable", other.type_name()))),
        }
        budget.take(text.len() - start)
    }

    /// The entries of a dictionary with their keys as strings.
    fn entries<'a>(&self, entries: &'a [(Value, Value)]) -> Result<Vec<(String, &'a Value)>> {
        let mut sorted: Vec<&(Value, Value)> = entries.iter().collect();
        if self.sort_keys {
            sort_by_key(&mut sorted, |(key, _)| key, false)?;
        }
        sorted.into_iter().map(|(key, value)| Ok((key_text(key)?, value))).collect()
    }

    fn write_all(
        &self,
        budget: &Budget,
        text: &mut String,
        [begin, end]: [&str; 2],
        items: &[(Option<&str>, &Value)],
        level: usize,
    ) -> Result<()> {
        text.push_str(begin);
        for (index, (key, value)) in items.iter().enumerate() {
            text.push_str(if index > 0 { &self.item_separator } else { "" });
            self.new_line(budget, text, level + 1)?;
            if let Some(key) = key {
                self.write_str(text, key);
                text.push_str(&self.key_separator);
            }
            self.write(budget, text, value, level + 1)?;
        }
        if !items.is_empty() {
            self.new_line(budget, text, level)?;
        }
        text.push_str(end);
        Ok(())
    }

    fn new_line(&self, budget: &Budget, text: &mut String, level: usize) -> Result<()> {
        if let Some(indent) = &self.indent {
            budget.take(indent.len().saturating_mul(level))?;
            text.push('\n');
            text.push_str(&indent.repeat(level));
        }
        Ok(())
    }

    fn write_str(&self, text: &mut String, string: &str) {
        text.push('"');
        for letter in string.chars() {
            match letter {
                '"' => text.push_str("\\\""),
                '\\' => text.push_str("\\\\"),
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '\t' => text.push_str("\\t"),
                '\x08' => text.push_str("\\b"),
                '\x0c' => text.push_str("\\f"),
                _ if letter < ' ' || (self.ensure_ascii && !(' '..='~').contains(&letter)) => {
                    for unit in letter.encode_utf16(&mut [0; 2]) {
                        let _ = write!(text, "\\u{unit:04x}");
                    }
                }
                _ => text.push(letter),
            }
        }
        text.push('"');
    }
}

/// A dictionary's key as a string.
fn key_text(key: &Value) -> Result<String> {
    Ok(match key {
        Value::Str(text) | Value::Markup(text) => text.to_string(),
        Value::None => "null".into(),
        Value::Bool(flag) => flag.to_string(),
        Value::Int(integer) => integer.to_string(),
        Value::Float(float) => json_float(*float),
        other => {
            return Err(Error::new(format!("tojson: keys must be strings or numbers, not {}", other.type_name())));
        }
    })
}

fn json_float(float: f64) -> String {
    match float_repr(float).as_str() {
        "nan" => "NaN".into(),
        "inf" => "Infinity".into(),
        "-inf" => "-Infinity".into(),
        finite => finite.to_owned(),
    }
}
