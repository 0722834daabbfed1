//! Rows of benchmarks' files, each with its line, and the items that are made of them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use align::types::{DataError, Item, Message, Part, Role, id_of, image_paths};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// The items of a CSV file, checked.
pub fn csv_items<T: DeserializeOwned>(path: &Path, item: impl Fn(T) -> Item) -> Result<Vec<Item>, DataError> {
    let rows = read_csv(path)?.into_iter();
    checked(path, rows.map(|(line, row)| (line, item(row))).collect())
}

/// Checks that there are items, that ids are unique and that images are there. Each item comes with its line.
pub fn checked(path: &Path, rows: Vec<(usize, Item)>) -> Result<Vec<Item>, DataError> {
    let mut ids = HashSet::new();
    for (line, item) in &rows {
        if !ids.insert(item.id.as_str()) {
            let problem = format!("id `{}` occurs twice: expected unique ids", item.id);
            return Err(line_error(path, *line, problem));
        }
        if let Some(image) = image_paths(&item.messages).find(|image| !image.is_file()) {
            let problem = format!("image {} is missing", image.display());
            return Err(line_error(path, *line, problem));
        }
    }
    if rows.is_empty() {
        return Err(DataError::Empty { path: path.to_owned() });
    }
    Ok(rows.into_iter().map(|(_, item)| item).collect())
}

/// Reads a CSV file's rows, each with the line it begins on.
pub fn read_csv<T: DeserializeOwned>(path: &Path) -> Result<Vec<(usize, T)>, DataError> {
    let mut reader = csv::Reader::from_reader(fs_err::File::open(path)?);
    let headers = reader.headers().map_err(|error| csv_error(path, 1, error))?.clone();
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| csv_error(path, 1, error))?;
        let line = record.position().map_or(1, |position| position.line() as usize);
        let row = record.deserialize(Some(&headers));
        rows.push((line, row.map_err(|error| csv_error(path, line, error))?));
    }
    Ok(rows)
}

/// A row of a CSV file from its cells by column.
pub fn from_cells<T: DeserializeOwned>(row: &Map<String, Value>) -> Result<T, String> {
    let header: csv::StringRecord = row.keys().map(String::as_str).collect();
    let cells: csv::StringRecord = row.values().map(cell_text).collect();
    cells.deserialize(Some(&header)).map_err(|error| csv_problem(error.into_kind()))
}

/// A value as a cell of a table holds it.
fn cell_text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        other => id_of(other).unwrap_or_else(|| other.to_string()),
    }
}

fn csv_error(path: &Path, line: usize, error: csv::Error) -> DataError {
    let line = error.position().map_or(line, |position| position.line() as usize);
    match error.into_kind() {
        csv::ErrorKind::Io(error) => DataError::Io(error),
        kind => line_error(path, line, csv_problem(kind)),
    }
}

fn csv_problem(kind: csv::ErrorKind) -> String {
    match kind {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("expected {expected_len} fields as in the header, got {len}")
        }
        csv::ErrorKind::Utf8 { err, .. } => format!("expected UTF-8: {err}"),
        csv::ErrorKind::Deserialize { err, .. } => err.kind().to_string(),
        kind => format!("{kind:?}"),
    }
}

/// What is wrong with a line of a file.
pub fn line_error(path: &Path, line: usize, problem: String) -> DataError {
    DataError::Line { path: path.to_owned(), line, problem }
}

/// An item with a question, and an image before its text if there is one.
pub fn question(id: String, image: Option<PathBuf>, text: impl Into<String>) -> Item {
    let mut content = vec![Part::Text { text: text.into() }];
    if let Some(image) = image {
        content.insert(0, Part::image(image));
    }
    Item {
        id,
        messages: vec![Message { role: Role::User, content }],
        split: None,
        kind: None,
        category: None,
        twin_of: None,
        truth: None,
    }
}
