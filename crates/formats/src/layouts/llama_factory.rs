//! How LLaMA-Factory describes its files: an entry of `dataset_info.json` says a file's layout, columns and tags.
//!
//! ```text
//! {"NAME": {"file_name": "train.json" | a folder of files, "formatting": "alpaca" | "sharegpt" | "openai",
//!           "columns": {"messages", "prompt", "query", "response", "history", "system", "images", "videos", "audios"},
//!           "tags": {"role_tag", "content_tag", "user_tag", "assistant_tag", "system_tag"}}}
//! ```
//!
//! A column that is null is one that the file lacks, or that is not to be read; any other null is as good as nothing.

pub(super) mod names;

use std::path::{Path, PathBuf};

use diagnostic::read_json;
use serde_json::{Map, Value, json};

use self::names::{ColumnNames, TagNames};
use super::alpaca::{self, Alpaca};
use super::sharegpt::{self, ShareGpt};
use crate::error::FormatError;
use crate::format::{Format, Layout};
use rows::{ProblemKind, RowsError, shown};

/// The file of entries.
const FILE_NAME: &str = "dataset_info.json";

/// How many folders above a file may hold the entry for it.
const MAX_FOLDERS: usize = 4;

/// An entry: what it says of a file.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// The folder of the entries, which LLaMA-Factory looks for images in.
    pub folder: PathBuf,
    formatting: Formatting,
    columns: ColumnNames,
    tags: TagNames,
}

/// The layout that an entry says; `openai` is sharegpt's under OpenAI's names.
#[derive(Clone, Copy, Debug)]
enum Formatting {
    Alpaca,
    ShareGpt,
}

impl Entry {
    /// The entry for a file in a `dataset_info.json` of its folder or a folder above. Files of another form, and entries
    /// of other kinds (scripts, names on a hub), describe nothing here; of several entries for the file the first that
    /// can be read counts.
    ///
    /// Errors: `Malformed` naming the entry where no entry for the file can be read.
    pub fn of(path: &Path) -> Result<Option<Self>, FormatError> {
        let absolute = std::path::absolute(path)?;
        for folder in absolute.ancestors().skip(1).take(MAX_FOLDERS) {
            let text = fs_err::read_to_string(folder.join(FILE_NAME)).unwrap_or_default();
            let entries: Map<String, Value> = serde_json::from_str(&text).unwrap_or_default();
            let mut unreadable = None;
            for (name, entry) in entries {
                if !describes(&entry, folder, &absolute) {
                    continue;
                }
                match Self::read(entry, folder) {
                    Ok(entry) => return Ok(Some(entry)),
                    Err(problem) => unreadable = unreadable.or(Some((name, problem))),
                }
            }
            if let Some((name, problem)) = unreadable {
                let message = format!("entry `{name}` of {FILE_NAME}: {problem}");
                return Err(RowsError::malformed(path, ProblemKind::WrongValue, message).into());
            }
        }
        Ok(None)
    }

    fn read(mut entry: Value, folder: &Path) -> Result<Self, String> {
        let formatting = match entry.get("formatting").unwrap_or(&Value::Null) {
            Value::Null => "alpaca",
            Value::String(name) => name,
            other => return Err(unknown_formatting(&shown(other))),
        };
        let (formatting, tags) = match formatting {
            "alpaca" => (Formatting::Alpaca, TagNames::default()),
            "sharegpt" => (Formatting::ShareGpt, TagNames::default()),
            "openai" => (Formatting::ShareGpt, TagNames::open_ai()),
            other => return Err(unknown_formatting(other)),
        };
        let mut columns = names(&mut entry, "columns")?;
        // One of these two is the file's main column, and the other names nothing in it.
        columns.retain(|name, value| !value.is_null() || !["messages", "prompt"].contains(&name.as_str()));
        let tags = tags.with(names(&mut entry, "tags")?);
        Ok(Self { folder: folder.to_owned(), formatting, columns: ColumnNames::read(columns)?, tags })
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

/// Whether an entry's `file_name` is this file or its folder.
fn describes(entry: &Value, folder: &Path, path: &Path) -> bool {
    let Some(named) = entry.get("file_name").and_then(Value::as_str).map(|name| folder.join(name)) else {
        return false;
    };
    let same = |one: &Path, other: &Path| {
        one == other
            || fs_err::canonicalize(one).is_ok_and(|one| fs_err::canonicalize(other).is_ok_and(|other| one == other))
    };
    same(&named, path) || path.parent().is_some_and(|parent| same(&named, parent))
}

fn unknown_formatting(got: &str) -> String {
    format!("`formatting`: expected alpaca, sharegpt or openai, got {got}")
}

/// Takes an entry's object of names.
fn names(entry: &mut Value, key: &str) -> Result<Map<String, Value>, String> {
    let names = match entry.get_mut(key).map(Value::take) {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(names)) => names,
        Some(other) => return Err(format!("`{key}`: expected an object of names, got {}", shown(&other))),
    };
    match names.iter().find(|(_, value)| !value.is_string() && !value.is_null()) {
        Some((name, value)) => Err(format!("`{key}.{name}`: expected a name, got {}", shown(value))),
        None => Ok(names),
    }
}

/// Whether files of a format may have an entry.
pub(crate) fn is_described(format: Format) -> bool {
    format == alpaca::FORMAT || format == sharegpt::FORMAT
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
        Ok(text) => read_json(text.as_bytes()).map_err(|problem| {
            let message = format!("expected an object of datasets by name: {}", problem.with_line());
            RowsError::malformed(&path, ProblemKind::WrongValue, message)
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
