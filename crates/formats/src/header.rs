//! What a format is recognized by.

use serde_json::{Map, Value};

use crate::placeholders::PLACEHOLDER;
use rows::Container;

/// The beginning of a file: its container, and the names of the columns or of a row's fields.
pub(crate) struct Header<'a> {
    container: Container,
    names: Vec<&'a str>,
    row: Option<&'a Map<String, Value>>,
}

impl<'a> Header<'a> {
    /// The header of a file with columns.
    pub fn of_columns(container: Container, columns: &'a [String]) -> Self {
        Self { container, names: columns.iter().map(String::as_str).collect(), row: None }
    }

    /// The header that a row of JSON makes.
    pub fn of_row(container: Container, row: &'a Map<String, Value>) -> Self {
        Self { container, names: row.keys().map(String::as_str).collect(), row: Some(row) }
    }

    /// Whether the container is this one.
    pub fn is(&self, container: Container) -> bool {
        self.container == container
    }

    /// Whether rows are JSON objects.
    pub fn is_json(&self) -> bool {
        matches!(self.container, Container::JsonLines | Container::JsonList)
    }

    /// Whether there is such a column or field.
    pub fn has(&self, name: &str) -> bool {
        self.names.contains(&name)
    }

    /// Whether there are such columns or fields.
    pub fn has_all(&self, names: &[&str]) -> bool {
        names.iter().all(|name| self.has(name))
    }

    /// Whether there is one of these columns or fields.
    pub fn has_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.has(name))
    }

    /// Whether a field of a JSON row is a list.
    pub fn is_list(&self, name: &str) -> bool {
        self.row.is_some_and(|row| row.get(name).is_some_and(Value::is_array))
    }

    /// Whether a message of a JSON row has a placeholder for an image in its text.
    pub fn has_placeholder(&self) -> bool {
        let messages = self.row.and_then(|row| row.get("messages")?.as_array());
        messages.into_iter().flatten().any(|message| {
            let content = message.get("content").and_then(Value::as_str);
            content.is_some_and(|text| text.contains(PLACEHOLDER))
        })
    }
}
