//! Filters of strings, which take any value as its text.

use crate::arguments::Arguments;
use crate::budget::Budget;
use crate::error::{Error, Result};
use crate::letters::capitalize;
use crate::lexer::is_space;
use crate::methods::{replace, strip};
use crate::text::to_str;
use crate::value::Value;

pub(super) const FILTERS: [&str; 8] =
    ["capitalize", "indent", "lower", "replace", "title", "trim", "upper", "wordcount"];

pub(super) fn apply(budget: &Budget, name: &str, value: &Value, arguments: Arguments) -> Result<Value> {
    let text = to_str(budget, value)?;
    match name {
        "trim" => {
            let [set] = arguments.bind(name, ["chars"], 0)?;
            strip(&text, "strip", set).map(Value::str)
        }
        "replace" => {
            let [old, new, count] = arguments.bind(name, ["old", "new", "count"], 2)?;
            let old = to_str(budget, &old.unwrap_or(Value::None))?;
            let new = to_str(budget, &new.unwrap_or(Value::None))?;
            let count = match count {
                None | Some(Value::None) => None,
                Some(count) => {
                    let count = count.as_int().ok_or_else(|| Error::new("replace: expected a number of times"))?;
                    usize::try_from(count).ok()
                }
            };
            replace(budget, &text, &old, &new, count).map(Value::str)
        }
        "indent" if value.as_str().is_none() => {
            Err(Error::new(format!("indent: expected a string, got {}", value.type_name())))
        }
        "indent" => indent(budget, &text, arguments).map(Value::str),
        _ => {
            let [] = arguments.bind(name, [], 0)?;
            Ok(match name {
                "upper" => Value::str(text.to_uppercase()),
                "lower" => Value::str(text.to_lowercase()),
                "capitalize" => Value::str(capitalize(&text)?),
                "title" => Value::str(title(&text)),
                _ => Value::Int(words(&text) as i128),
            })
        }
    }
}

/// Unlike the method: words begin after white space, hyphens and opening brackets only.
fn title(text: &str) -> String {
    let is_separator = |letter: char| is_space(letter) || "-({[<".contains(letter);
    let mut titled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let separates = is_separator(first);
        let end = rest.find(|letter| is_separator(letter) != separates).unwrap_or(rest.len());
        titled.extend(first.to_uppercase());
        titled.push_str(&rest[first.len_utf8()..end].to_lowercase());
        rest = &rest[end..];
    }
    titled
}

fn words(text: &str) -> usize {
    text.split(|letter: char| letter != '_' && !letter.is_alphanumeric()).filter(|word| !word.is_empty()).count()
}

fn indent(budget: &Budget, text: &str, arguments: Arguments) -> Result<String> {
    let [width, first, blank] = arguments.bind("indent", ["width", "first", "blank"], 0)?;
    let width = match width.unwrap_or(Value::Int(4)) {
        Value::Str(indentation) => indentation.to_string(),
        other => {
            let width = other.as_int().ok_or_else(|| Error::new("indent: expected a number or a string as width"))?;
            let width = usize::try_from(width).unwrap_or(0);
            budget.take(width)?;
            " ".repeat(width)
        }
    };
    let blank = blank.is_some_and(|flag| flag.is_true());
    // With a line end added, so that a text that ends with one keeps it.
    let lines = crate::methods::lines(&format!("{text}\n"), false);
    let mut indented = if first.is_some_and(|flag| flag.is_true()) { width.clone() } else { String::new() };
    for (index, line) in lines.iter().enumerate() {
        budget.take(width.len() + line.len())?;
        if index > 0 {
            indented.push('\n');
            indented.push_str(if blank || !line.is_empty() { &width } else { "" });
        }
        indented.push_str(line);
    }
    Ok(indented)
}
