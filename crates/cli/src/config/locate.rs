//! From a byte offset in a TOML file to its line and to the dotted key that stands there.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

pub use diagnostic::line_at;

/// The dotted key whose name or value stands at byte `offset`; empty where there is none, as in a file that is not
/// TOML.
pub fn key_at(text: &str, offset: usize) -> String {
    let Ok(table) = DeTable::parse(text) else {
        return String::new();
    };
    let mut path = Vec::new();
    descend(table.get_ref(), offset, &mut path);
    path.join(".")
}

/// Where the dotted `key` is set: the bytes of its name and of its value; nothing where the file does not set it.
pub fn spans_of(text: &str, key: &str) -> Option<[Range<usize>; 2]> {
    let document = DeTable::parse(text).ok()?;
    let mut table = document.get_ref();
    let mut parts = key.split('.').peekable();
    while let Some(part) = parts.next() {
        let (name, value) = table.iter().find(|(name, _)| name.get_ref() == part)?;
        match value.get_ref() {
            DeValue::Table(inner) if parts.peek().is_some() => table = inner,
            _ => return Some([name.span(), value.span()]),
        }
    }
    None
}

/// The line that sets the dotted `key`, counted from one; nothing where the file does not set it.
pub fn line_of(text: &str, key: &str) -> Option<usize> {
    spans_of(text, key).map(|[name, _]| line_at(text, name.start))
}

fn descend(table: &DeTable, offset: usize, path: &mut Vec<String>) -> bool {
    for (key, value) in table {
        path.push(key.get_ref().to_string());
        // Tables go first: the span of a `[header]` or an inline table covers what lies within.
        let below = matches!(value.get_ref(), DeValue::Table(inner) if descend(inner, offset, path));
        if below || key.span().contains(&offset) || value.span().contains(&offset) {
            return true;
        }
        path.pop();
    }
    false
}
