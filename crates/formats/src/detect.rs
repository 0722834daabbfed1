//! Which format a file is.

use std::path::Path;

use align::types::rows_within;

use crate::error::FormatError;
use crate::format::Format;
use crate::header::Header;
use crate::layouts::openai;
use rows::{Container, RowsError, extension_of};

/// How many rows are read for the names of fields.
const MAX_ROWS_READ: usize = 20;

/// The format that a file's columns, or the fields of its first rows, belong to.
///
/// Errors: `Io` naming the file; `Malformed` where it cannot be read; `Foreign` where an object holds the rows; `Unrecognized`
/// naming what was looked at.
pub(crate) fn detect(path: &Path, container: Container) -> Result<Format, FormatError> {
    if let Some(columns) = columns_of(path, container)? {
        return recognized(&Header::of_columns(container, &columns))
            .ok_or_else(|| unrecognized(path, format!("the columns are {}", columns.join(", "))));
    }
    let mut first_names = None;
    let mut first_broken = None;
    let mut n_rows = 0;
    for row in rows::open(path, container)?.rows.take(MAX_ROWS_READ) {
        n_rows += 1;
        let row = match row {
            Ok(row) => row,
            Err(broken) => {
                first_broken.get_or_insert(broken);
                continue;
            }
        };
        if let Some(format) = recognized(&Header::of_row(container, &row.fields)) {
            return Ok(format);
        }
        if let (1, Some(other)) = (n_rows, rows_within(&row.fields, path)) {
            return Err(RowsError::Foreign { path: path.to_owned(), other }.into());
        }
        first_names.get_or_insert_with(|| row.fields.keys().cloned().collect::<Vec<_>>().join(", "));
    }
    match (first_names, first_broken) {
        (Some(names), _) => Err(unrecognized(path, format!("the fields of the first row are {names}"))),
        (None, _) if container == Container::JsonLines && extension_of(path) == "jsonl" => Ok(openai::FORMAT),
        (None, Some(broken)) => {
            Err(RowsError::Malformed { path: path.to_owned(), row: Some(broken.number), problem: broken.problem }
                .into())
        }
        (None, None) => Err(unrecognized(path, "it has no rows".to_owned())),
    }
}

/// The names of a file's columns, or of the fields of the first row that can be read.
///
/// Errors: `Io` naming the file; `Malformed` where it cannot be read at all.
pub(crate) fn first_names(path: &Path, container: Container) -> Result<Vec<String>, FormatError> {
    if let Some(columns) = columns_of(path, container)? {
        return Ok(columns);
    }
    let mut rows = rows::open(path, container)?.rows.take(MAX_ROWS_READ).flatten();
    let first = rows.next();
    Ok(first.map(|row| row.fields.keys().cloned().collect()).unwrap_or_default())
}

fn columns_of(path: &Path, container: Container) -> Result<Option<Vec<String>>, FormatError> {
    match container {
        Container::Parquet => Ok(rows::column_names(path).map(Some)?),
        _ => Ok(rows::open(path, container)?.columns),
    }
}

fn recognized(header: &Header) -> Option<Format> {
    Format::ALL.iter().copied().find(|format| (format.description().recognizes)(header))
}

fn unrecognized(path: &Path, looked_at: String) -> FormatError {
    RowsError::Unrecognized { path: path.to_owned(), looked_at }.into()
}
