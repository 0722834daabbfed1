//! Rows of fields, and the containers that hold them: read one by one, written one by one.
//!
//! A row at fault never hides the next one, as long as the container says where that begins.

mod cell_index;
mod columns;
mod delimited;
mod json;
mod parquet;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};

pub(crate) use self::cell_index::CellIndex;
pub(crate) use self::columns::{ColumnType, Columns};
pub(crate) use self::parquet::{MAGIC as PARQUET_MAGIC, column_names};
use crate::error::FormatError;
use crate::fault::Fault;
use crate::record::Picture;

/// One row as its container holds it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Row {
    /// The row's number, counted from one.
    pub number: usize,
    /// The line that the row begins on, where the container has lines.
    pub line: Option<usize>,
    /// The fields, pictures held as bytes apart.
    pub fields: Map<String, Value>,
    /// Pictures held as bytes, by column.
    pub pictures: BTreeMap<String, Vec<Picture>>,
    /// What is wrong with the row, or with the file where this is its first row, though it could be read.
    pub faults: Vec<Fault>,
}

/// A row that could not be read.
#[derive(Clone, Debug)]
pub(crate) struct BrokenRow {
    /// The row's number, counted from one.
    pub number: usize,
    /// The line that the row begins on, where the container has lines.
    pub line: Option<usize>,
    /// What is wrong.
    pub fault: Fault,
}

/// What a row is read as.
pub(crate) type RowResult = Result<Row, BrokenRow>;

/// How rows are held in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Container {
    /// A JSON object a line.
    JsonLines,
    /// One JSON list of objects.
    JsonList,
    /// Fields between commas, the first line naming them.
    Comma,
    /// Fields between tabs, the first line naming them.
    Tab,
    /// Apache Parquet.
    Parquet,
}

impl Container {
    /// The file name endings that say so.
    pub fn ending(self) -> &'static str {
        match self {
            Self::JsonLines => "jsonl",
            Self::JsonList => "json",
            Self::Comma => "csv",
            Self::Tab => "tsv",
            Self::Parquet => "parquet",
        }
    }

    /// Whether columns must be known before the first row is written.
    pub fn has_columns(self) -> bool {
        matches!(self, Self::Comma | Self::Tab | Self::Parquet)
    }
}

/// A file's rows.
pub(crate) struct Rows {
    /// The columns, where the container names them at the beginning.
    pub columns: Option<Vec<String>>,
    /// The rows, in order.
    pub rows: Box<dyn Iterator<Item = RowResult>>,
}

/// Opens a file for reading. Memory holds one row, or a small batch of a parquet file's.
///
/// Errors: `Io` naming the file; `Malformed` where not even the beginning of a parquet or CSV file can be read.
pub(crate) fn open(path: &Path, container: Container) -> Result<Rows, FormatError> {
    match container {
        Container::JsonLines => json::lines(path),
        Container::JsonList => json::list(path),
        Container::Comma => delimited::open(path, b','),
        Container::Tab => delimited::open(path, b'\t'),
        Container::Parquet => parquet::open(path),
    }
}

/// Writes rows, one by one, to a file that the caller makes appear when all are written.
pub(crate) enum RowWriter {
    /// JSON, with or without the list's brackets.
    Json(json::Writer),
    /// CSV or TSV.
    Delimited(delimited::Writer),
    /// Parquet.
    Parquet(Box<parquet::Writer>),
}

impl RowWriter {
    /// A writer to a new file. `columns` are used where the container has them.
    ///
    /// Errors: `Io` naming the file.
    pub fn create(path: &Path, container: Container, columns: &Columns) -> Result<Self, FormatError> {
        Ok(match container {
            Container::JsonLines => Self::Json(json::Writer::create(path, false)?),
            Container::JsonList => Self::Json(json::Writer::create(path, true)?),
            Container::Comma => Self::Delimited(delimited::Writer::create(path, b',', columns)?),
            Container::Tab => Self::Delimited(delimited::Writer::create(path, b'\t', columns)?),
            Container::Parquet => Self::Parquet(Box::new(parquet::Writer::create(path, columns)?)),
        })
    }

    /// Writes a row.
    ///
    /// Errors: `Io` naming the file; `Parquet`.
    pub fn write(&mut self, row: &Row) -> Result<(), FormatError> {
        match self {
            Self::Json(writer) => writer.write(row),
            Self::Delimited(writer) => writer.write(row),
            Self::Parquet(writer) => writer.write(row),
        }
    }

    /// Ends the file and flushes it to disk.
    ///
    /// Errors: those of [`RowWriter::write`].
    pub fn finish(self) -> Result<(), FormatError> {
        match self {
            Self::Json(writer) => writer.finish(),
            Self::Delimited(writer) => writer.finish(),
            Self::Parquet(writer) => writer.finish(),
        }
    }
}

/// The row as it will be read back from its container.
pub(crate) fn echo(row: &Row, container: Container, columns: &Columns) -> Row {
    let mut row = row.clone();
    match container {
        Container::JsonLines | Container::JsonList => {}
        Container::Comma | Container::Tab => delimited::echo(&mut row.fields),
        Container::Parquet => columns.echo(&mut row.fields),
    }
    row
}
