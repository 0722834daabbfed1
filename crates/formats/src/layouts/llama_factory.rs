//! How LLaMA-Factory describes its files: an entry of `dataset_info.json` says a file's layout, columns and tags.
//!
//! ```text
//! {"NAME": {"file_name": "train.json", "formatting": "alpaca" | "sharegpt",
//!           "columns": {"messages", "prompt", "query", "response", "history", "system", "images"},
//!           "tags": {"role_tag", "content_tag", "user_tag", "assistant_tag", "system_tag"}}}
//! ```
//!
//! A column that is null is one that the file lacks, or that is not to be read; any other null is as good as nothing.

pub(super) mod names;

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use self::names::{ColumnNames, TagNames};
use super::alpaca::{self, Alpaca};
use super::sharegpt::{self, ShareGpt};
use crate::error::FormatError;
use crate::format::{Format, Layout};
use crate::problem::ProblemKind;

/// The file of entries.
const FILE_NAME: &str = "dataset_info.json";

/// An entry: what it says of a file.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Entry {
    file_name: String,
    #[serde(default)]
    formatting: Formatting,
    #[serde(default)]
    columns: ColumnNames,
    #[serde(default)]
    tags: TagNames,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Formatting {
    #[default]
    Alpaca,
    ShareGpt,
}

impl Entry {
    /// The entry for a file in the `dataset_info.json` next to it or in the folder above. Files of another form, and
    /// entries of other kinds (scripts, names on a hub), describe nothing here.
    pub fn of(path: &Path) -> Option<Self> {
        let folder = path.parent().unwrap_or(Path::new(""));
        let folders = [Some(folder), folder.parent()];
        folders.into_iter().flatten().find_map(|folder| {
            let text = fs_err::read_to_string(folder.join(FILE_NAME)).ok()?;
            let entries: Map<String, Value> = serde_json::from_str(&text).ok()?;
            let mut entries = entries.into_iter().filter_map(|(_, entry)| Self::read(entry));
            entries.find(|entry| folder.join(&entry.file_name) == path)
        })
    }

    fn read(mut entry: Value) -> Option<Self> {
        let fields = entry.as_object_mut()?;
        fields.retain(|_, value| !value.is_null());
        if let Some(Value::Object(tags)) = fields.get_mut("tags") {
            tags.retain(|_, value| !value.is_null());
        }
        if let Some(Value::Object(columns)) = fields.get_mut("columns") {
            // One of these two is the file's main column, and the other names nothing in it.
            columns.retain(|name, value| !value.is_null() || !["messages", "prompt"].contains(&name.as_str()));
        }
        Self::deserialize(entry).ok()
    }

    /// The column without which the entry describes another file than the one that is there.
    pub fn main_column(&self) -> &String {
        match self.formatting {
            Formatting::Alpaca => &self.columns.prompt,
            Formatting::ShareGpt => &self.columns.messages,
        }
    }

    /// The format that the entry says.
    pub fn format(&self) -> Format {
        match self.formatting {
            Formatting::Alpaca => alpaca::FORMAT,
            Formatting::ShareGpt => sharegpt::FORMAT,
        }
    }

    /// The layout with the entry's names.
    pub fn layout(self) -> Box<dyn Layout> {
        match self.formatting {
            Formatting::Alpaca => Box::new(Alpaca { columns: self.columns }),
            Formatting::ShareGpt => Box::new(ShareGpt { columns: self.columns, tags: self.tags }),
        }
    }
}

/// The path of the `dataset_info.json` next to an output, and its text with an entry for the output; none for a format
/// that is not LLaMA-Factory's.
///
/// Errors: `Io`, or `Malformed` naming the file of entries where it cannot be read.
pub(crate) fn described(output: &Path, format: Format) -> Result<Option<(PathBuf, String)>, FormatError> {
    let columns = if format == sharegpt::FORMAT {
        json!({ "messages": "conversations", "images": "images", "system": "system" })
    } else if format == alpaca::FORMAT {
        json!({ "prompt": "instruction", "query": "input", "response": "output", "history": "history",
                "images": "images", "system": "system" })
    } else {
        return Ok(None);
    };
    let path = output.with_file_name(FILE_NAME);
    let mut entries: Map<String, Value> = match fs_err::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text).map_err(|error| {
            let message = format!("expected an object of datasets by name: {error}");
            FormatError::malformed(&path, ProblemKind::WrongValue, message)
        })?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Map::new(),
        Err(error) => return Err(error.into()),
    };
    let name = output.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let file_name = output.file_name().unwrap_or_default().to_string_lossy();
    let entry = json!({ "file_name": file_name, "formatting": format.name(), "columns": columns });
    entries.insert(name, entry);
    let text = serde_json::to_string_pretty(&entries).map_err(std::io::Error::from)?;
    Ok(Some((path, text + "\n")))
}
