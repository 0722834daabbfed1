//! Serde's messages on settings, said for people: the key, what was expected, what was found, what may be meant.

use super::suggest::nearest;

/// Explains one error. `key` is the dotted key it stands at, `known` every key there is.
///
/// Returns the problem and, where there is one, a hint.
pub fn explain(reason: &str, key: &str, known: &[String]) -> (String, Option<String>) {
    if let Some(rest) = reason.strip_prefix("unknown field ") {
        return unknown_key(rest, key, known);
    }
    if let Some(rest) = reason.strip_prefix("unknown variant ") {
        return unknown_value(rest, key);
    }
    if let Some(field) = reason.strip_prefix("missing field ") {
        return (format!("`{key}`: expected a key {field} in the table, got none"), None);
    }
    let shown = if key.is_empty() { String::new() } else { format!("`{key}`: ") };
    if let Some((got, expected)) = mismatch(reason) {
        return (format!("{shown}expected {}, got {}", wanted(expected), found(got)), None);
    }
    (format!("{shown}{reason}"), None)
}

/// The dotted key that is unknown, where that is what is wrong.
pub fn unknown_key_in(reason: &str, key: &str) -> Option<String> {
    let (field, _) = field_and_choices(reason.strip_prefix("unknown field ")?);
    Some(format!("{}{field}", parent_of(key, &field)))
}

fn unknown_key(rest: &str, key: &str, known: &[String]) -> (String, Option<String>) {
    let (field, choices) = field_and_choices(rest);
    let prefix = parent_of(key, &field);
    let dotted = format!("{prefix}{field}");
    let expected = match choices.as_slice() {
        [] => "no keys are allowed here".to_owned(),
        [only] => format!("expected `{only}`"),
        several => format!("expected one of `{}`", several.join("`, `")),
    };
    let hint = match nearest(&field, choices.iter().map(String::as_str)) {
        Some(choice) => Some(format!("did you mean `{prefix}{choice}`?")),
        None => known
            .iter()
            .find(|known| known.ends_with(&format!(".{field}")) && **known != dotted)
            .map(|found| format!("there is a key `{found}`; did you mean that?")),
    };
    (format!("unknown key `{dotted}`: {expected}"), hint)
}

fn unknown_value(rest: &str, key: &str) -> (String, Option<String>) {
    let (value, choices) = field_and_choices(rest);
    let hint = nearest(&value, choices.iter().map(String::as_str)).map(|choice| format!("did you mean `{choice}`?"));
    let expected = choices.iter().map(|choice| format!("\"{choice}\"")).collect::<Vec<_>>().join(", ");
    (format!("`{key}`: expected one of {expected}, got \"{value}\""), hint)
}

/// Splits ``x`, expected one of `a`, `b`` into the first backticked word and the others.
fn field_and_choices(rest: &str) -> (String, Vec<String>) {
    let mut words = rest.split('`').skip(1).step_by(2).map(str::to_owned);
    let first = words.next().unwrap_or_default();
    (first, words.collect())
}

/// What stands before `field` in the dotted `key`, closing dot included. An override may name a field further up its
/// key than the last, as in `sft.optimizer.rate` when `sft` has no `optimizer`.
fn parent_of(key: &str, field: &str) -> String {
    let parts: Vec<&str> = key.split('.').collect();
    let depth = parts.iter().position(|part| *part == field).unwrap_or(parts.len());
    parts[..depth].iter().filter(|part| !part.is_empty()).map(|part| format!("{part}.")).collect()
}

/// The two sides of `invalid type: X, expected Y`.
fn mismatch(reason: &str) -> Option<(&str, &str)> {
    let starts = ["invalid type: ", "invalid value: ", "invalid "];
    let rest = starts.iter().find_map(|start| reason.strip_prefix(start))?;
    rest.split_once(", expected ")
}

/// What was found, without serde's name for its type where the value itself is shown.
fn found(got: &str) -> &str {
    match got {
        "map" => "a table",
        "sequence" => "a list",
        _ => ["integer ", "floating point ", "boolean ", "string "]
            .iter()
            .find_map(|kind| got.strip_prefix(kind))
            .unwrap_or(got),
    }
}

fn wanted(expected: &str) -> &str {
    match expected {
        "f32" | "f64" => "a number",
        "usize" | "u64" | "u32" | "u16" | "u8" => "a whole number of at least 0",
        "isize" | "i64" | "i32" => "a whole number",
        "a boolean" => "true or false",
        "path string" => "a path in quotes",
        "a sequence" => "a list in [ ]",
        other if other.starts_with("struct ") => "a table",
        other => other,
    }
}
