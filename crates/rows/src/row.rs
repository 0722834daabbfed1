//! One row as its container holds it; the rows of a file, read or written.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::error::RowsError;
use crate::image::Image;
use crate::problem::Problem;

/// One row as its container holds it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// The row's number, counted from 1.
    pub number: usize,
    /// The line on which the row begins, where the container has lines.
    pub line: Option<usize>,
    /// The fields, except images that are held as bytes.
    pub fields: Map<String, Value>,
    /// Images that are held as bytes, by column.
    pub images: BTreeMap<String, Vec<Image>>,
    /// What is wrong with the row although it could be read; in the first row also what is wrong with the file.
    pub problems: Vec<Problem>,
}

impl Row {
    /// Sets a field.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.fields.insert(name.to_owned(), value.into());
    }

    /// Sets a column of images.
    pub fn set_images(&mut self, name: &str, images: &[Image]) {
        self.images.insert(name.to_owned(), images.to_vec());
    }
}

/// A row that could not be read.
#[derive(Clone, Debug)]
pub struct BrokenRow {
    /// The row's number, counted from 1.
    pub number: usize,
    /// The line on which the row begins, where the container has lines.
    pub line: Option<usize>,
    /// What is wrong.
    pub problem: Problem,
}

impl BrokenRow {
    /// A row with its problem.
    pub fn new(number: usize, line: Option<usize>, problem: Problem) -> Self {
        Self { number, line, problem }
    }
}

/// The outcome of reading a row.
pub type RowResult = Result<Row, BrokenRow>;

/// Rows in order.
pub type RowIter = Box<dyn Iterator<Item = RowResult>>;

/// A file's rows.
pub struct Rows {
    /// The columns, where the container names them at its beginning.
    pub columns: Option<Vec<String>>,
    /// The rows, in order.
    pub rows: RowIter,
}

impl Rows {
    /// Rows under columns, if the container names them at its beginning.
    pub fn new(columns: Option<Vec<String>>, rows: impl Iterator<Item = RowResult> + 'static) -> Self {
        let rows = Box::new(rows);
        Self { columns, rows }
    }
}

/// Writes rows, one by one, to a file that the caller renames when all are written.
pub trait RowWriter {
    /// Writes a row.
    ///
    /// Errors: `Io` naming the file; `Parquet`.
    fn write(&mut self, row: &Row) -> Result<(), RowsError>;

    /// Ends the file and flushes it to disk.
    ///
    /// Errors: those of [`RowWriter::write`].
    fn finish(self: Box<Self>) -> Result<(), RowsError>;
}
