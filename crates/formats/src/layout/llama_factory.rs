//! How LLaMA-Factory describes its files: the entry of a `dataset_info.json` that says a file's layout, columns and
//! tags.
//!
//! ```text
//! {"NAME": {"file_name": "train.json", "formatting": "alpaca" | "sharegpt",
//!           "columns": {"messages", "prompt", "query", "response", "history", "system", "images"},
//!           "tags": {"role_tag", "content_tag", "user_tag", "assistant_tag", "system_tag"}}}
//! ```
//!
//! Source: LLaMA-Factory's `data/README.md`; what an entry leaves out has the names given there. A column that is null
//! is one that the file has not, or that is not to be read; any other null says nothing.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Layout;
use super::alpaca::Alpaca;
use super::sharegpt::ShareGpt;
use crate::format::Format;

/// The file of entries.
pub(crate) const FILE_NAME: &str = "dataset_info.json";

/// What an entry says of a file.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Description {
    file_name: String,
    #[serde(default)]
    formatting: Formatting,
    #[serde(default)]
    columns: Columns,
    #[serde(default)]
    tags: Tags,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Formatting {
    #[default]
    Alpaca,
    ShareGpt,
}

/// The names of columns; none where a column is not to be read.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Columns {
    pub messages: String,
    pub prompt: String,
    pub query: Option<String>,
    pub response: Option<String>,
    pub history: Option<String>,
    pub system: Option<String>,
    pub images: Option<String>,
}

impl Default for Columns {
    fn default() -> Self {
        Self {
            messages: "conversations".to_owned(),
            prompt: "instruction".to_owned(),
            query: Some("input".to_owned()),
            response: Some("output".to_owned()),
            history: Some("history".to_owned()),
            system: Some("system".to_owned()),
            images: Some("images".to_owned()),
        }
    }
}

/// The names of a message's fields, and of those who speak.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Tags {
    pub role_tag: String,
    pub content_tag: String,
    pub user_tag: String,
    pub assistant_tag: String,
    pub system_tag: String,
}

impl Default for Tags {
    fn default() -> Self {
        Self {
            role_tag: "from".to_owned(),
            content_tag: "value".to_owned(),
            user_tag: "human".to_owned(),
            assistant_tag: "gpt".to_owned(),
            system_tag: "system".to_owned(),
        }
    }
}

impl Tags {
    /// The name in this crate's sharegpt for whoever a file calls so.
    pub fn speaker(&self, name: &str) -> Option<&'static str> {
        let known = [
            (&self.user_tag, "human"),
            (&self.assistant_tag, "gpt"),
            (&self.system_tag, "system"),
        ];
        known.into_iter().find(|(tag, _)| *tag == name).map(|(_, known)| known)
    }
}

impl Description {
    /// The entry for a file in the `dataset_info.json` beside it or in the folder above. A file of entries that is
    /// none, and entries of other kinds (scripts, names on a hub), describe nothing here.
    pub fn of(path: &Path) -> Option<Self> {
        let folder = path.parent().unwrap_or(Path::new(""));
        [Some(folder), folder.parent()]
            .into_iter()
            .flatten()
            .find_map(|folder| {
                let text = fs_err::read_to_string(folder.join(FILE_NAME)).ok()?;
                let entries: Map<String, Value> = serde_json::from_str(&text).ok()?;
                let mut described = entries.into_iter().filter_map(|(_, entry)| Self::read(entry));
                described.find(|entry| folder.join(&entry.file_name) == path)
            })
    }

    fn read(mut entry: Value) -> Option<Self> {
        let is_said = |_: &String, value: &mut Value| !value.is_null();
        let fields = entry.as_object_mut()?;
        fields.retain(is_said);
        if let Some(Value::Object(tags)) = fields.get_mut("tags") {
            tags.retain(is_said);
        }
        if let Some(Value::Object(columns)) = fields.get_mut("columns") {
            // One of these two is the file's main column, and the other names nothing in it.
            columns.retain(|name, value| !value.is_null() || !["messages", "prompt"].contains(&name.as_str()));
        }
        Self::deserialize(entry).ok()
    }

    /// The format that the entry says.
    pub fn format(&self) -> Format {
        match self.formatting {
            Formatting::Alpaca => Format::Alpaca,
            Formatting::ShareGpt => Format::ShareGpt,
        }
    }

    /// The column without which the entry describes another file than the one that is there.
    pub fn main_column(&self) -> &str {
        match self.formatting {
            Formatting::Alpaca => &self.columns.prompt,
            Formatting::ShareGpt => &self.columns.messages,
        }
    }

    /// The layout with the entry's names.
    pub fn layout(self) -> Box<dyn Layout> {
        match self.formatting {
            Formatting::Alpaca => Box::new(Alpaca { columns: self.columns }),
            Formatting::ShareGpt => Box::new(ShareGpt {
                columns: self.columns,
                tags: self.tags,
            }),
        }
    }
}

/// The entry for a file as it is written here; none for a format that is not LLaMA-Factory's.
pub(crate) fn entry(format: Format, file_name: &str) -> Option<Value> {
    match format {
        Format::ShareGpt => Some(json!({
            "file_name": file_name,
            "formatting": "sharegpt",
            "columns": { "messages": "conversations", "images": "images", "system": "system" },
        })),
        Format::Alpaca => Some(json!({
            "file_name": file_name,
            "formatting": "alpaca",
            "columns": { "prompt": "instruction", "query": "input", "response": "output", "history": "history",
                         "images": "images", "system": "system" },
        })),
        _ => None,
    }
}
