//! Datasets in the layouts of other tools: read, written, converted and checked, row by row.
//!
//! A file is rows of fields in a container (JSON lines, a JSON list, CSV, TSV, parquet). A layout says what the fields of
//! a row mean: it turns a row into records, which are [`align::types::Item`]s with their images and the row's other
//! fields, and a record into a row. A [`Format`] is a layout with its name and containers; each describes itself in one
//! file of `layouts`. [`check()`] reads a file and names all its problems; [`convert()`] carries a file from one format to
//! another. What a layout does not know of a row is noted as the row is read; what a format cannot hold is found by
//! reading each written row back and comparing. So the list of losses is exact.

mod check;
mod convert;
mod detect;
mod error;
mod field_reader;
mod format;
mod header;
mod image_files;
mod image_value;
mod inspect;
mod item_fields;
mod layouts;
mod losses;
mod media;
mod placeholders;
mod record;
mod record_reader;
mod roles;

pub use check::{CheckReport, LocatedProblem, check};
pub use convert::{ConvertReport, ConvertRequest, convert};
pub use error::FormatError;
pub use format::{Format, ImageStorage};
pub use layouts::UnknownFormat;
pub use losses::Loss;
pub use rows::{Problem, ProblemKind, RowsError, Severity};

#[cfg(test)]
mod tests;
