//! Files of rows: JSON lines, JSON lists, CSV, TSV and parquet, read one by one, written one by one; and workbooks of
//! Excel, which are read only.
//!
//! A broken row never hides the next one, as long as the container says where that one begins.

mod cell_index;
mod columns;
mod container;
mod delimited;
mod error;
mod guard;
mod image;
mod json;
mod parquet;
mod problem;
mod row;
mod workbook;

use std::io::Read;
use std::path::Path;

pub use cell_index::CellIndex;
pub use columns::{ColumnType, Columns, text_columns};
pub use container::{Container, extension_of};
pub use error::RowsError;
pub use guard::guarded;
pub use image::Image;
pub use parquet::column_names;
pub use problem::{Problem, ProblemKind, Severity, shown};
pub use row::{BrokenRow, Row, RowIter, RowResult, RowWriter, Rows};
pub use workbook::workbook;

use container::BYTE_ORDER_MARK;

/// Opens a file for reading. Memory holds one row, or a small batch of a parquet file's.
///
/// Errors: `Io` naming the file; `Malformed` where not even the beginning of a parquet, CSV or TSV file can be read.
pub fn open(path: &Path, container: Container) -> Result<Rows, RowsError> {
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
pub fn create(path: &Path, container: Container, columns: &Columns) -> Result<Box<dyn RowWriter>, RowsError> {
    Ok(match container {
        Container::JsonLines => Box::new(json::Writer::create(path, false)?),
        Container::JsonList => Box::new(json::Writer::create(path, true)?),
        Container::Csv => Box::new(delimited::Writer::create(path, b',', columns)?),
        Container::Tsv => Box::new(delimited::Writer::create(path, b'\t', columns)?),
        Container::Parquet => Box::new(parquet::Writer::create(path, columns)?),
    })
}

/// The row as it will be read back from its container.
pub fn echo(row: &Row, container: Container, columns: &Columns) -> Row {
    let mut row = row.clone();
    match container {
        Container::JsonLines | Container::JsonList => {}
        Container::Csv | Container::Tsv => delimited::echo(&mut row.fields),
        Container::Parquet => columns.echo(&mut row.fields),
    }
    row
}
