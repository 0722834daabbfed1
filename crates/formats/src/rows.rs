//! Rows of fields, and the containers that hold them: read one by one, written one by one.
//!
//! A broken row never hides the next one, as long as the container says where that one begins.

mod cell_index;
mod columns;
mod container;
mod delimited;
mod json;
mod parquet;
mod row;

use std::io::Read;
use std::path::Path;

pub(crate) use self::cell_index::CellIndex;
pub(crate) use self::columns::{ColumnType, Columns, text_columns};
use self::container::BYTE_ORDER_MARK;
pub(crate) use self::container::{Container, extension_of};
pub(crate) use self::parquet::column_names;
pub(crate) use self::row::{Row, RowIter, RowResult, RowWriter, Rows};
use crate::error::FormatError;
use crate::problem::{Problem, ProblemKind};

/// Opens a file for reading. Memory holds one row, or a small batch of a parquet file's.
///
/// Errors: `Io` naming the file; `Malformed` where not even the beginning of a parquet, CSV or TSV file can be read.
pub(crate) fn open(path: &Path, container: Container) -> Result<Rows, FormatError> {
    let mut opened = match container {
        Container::JsonLines => json::lines(path)?,
        Container::JsonList => json::list(path)?,
        Container::Csv => delimited::open(path, b',')?,
        Container::Tsv => delimited::open(path, b'\t')?,
        Container::Parquet => parquet::open(path)?,
    };
    if begins_with_mark(path)? {
        let message = "the file begins with a byte order mark, which other readers take for text";
        let mut pending = Some(Problem::new(ProblemKind::ByteOrderMark, message));
        opened.rows = Box::new(opened.rows.map(move |row| {
            let mut row = row?;
            row.problems.extend(pending.take());
            Ok(row)
        }));
    }
    Ok(opened)
}

fn begins_with_mark(path: &Path) -> std::io::Result<bool> {
    let mut first = Vec::new();
    let n_bytes = BYTE_ORDER_MARK.len() as u64;
    fs_err::File::open(path)?.take(n_bytes).read_to_end(&mut first)?;
    Ok(first == BYTE_ORDER_MARK)
}

/// Creates a file for writing. `columns` are used where the container has them.
///
/// Errors: `Io` naming the file.
pub(crate) fn create(path: &Path, container: Container, columns: &Columns) -> Result<Box<dyn RowWriter>, FormatError> {
    Ok(match container {
        Container::JsonLines => Box::new(json::Writer::create(path, false)?),
        Container::JsonList => Box::new(json::Writer::create(path, true)?),
        Container::Csv => Box::new(delimited::Writer::create(path, b',', columns)?),
        Container::Tsv => Box::new(delimited::Writer::create(path, b'\t', columns)?),
        Container::Parquet => Box::new(parquet::Writer::create(path, columns)?),
    })
}

/// The row as it will be read back from its container.
pub(crate) fn echo(row: &Row, container: Container, columns: &Columns) -> Row {
    let mut row = row.clone();
    match container {
        Container::JsonLines | Container::JsonList => {}
        Container::Csv | Container::Tsv => delimited::echo(&mut row.fields),
        Container::Parquet => columns.echo(&mut row.fields),
    }
    row
}
