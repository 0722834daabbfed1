//! Datasets in the layouts of other tools: read, written, converted and checked, row by row.
//!
//! A file is rows of fields in a container (JSON lines, a JSON array, CSV, TSV, parquet). A `layout` says what the
//! fields of a row mean: it turns a row into [`Record`]s, which are [`align::types::Item`]s with their pictures and
//! what else stood there, and a record into a row. [`check()`] reads a file and names all that is wrong with it;
//! [`convert()`] carries a file from one layout to another. What a layout cannot hold is found by reading each written
//! row back and comparing, so that the list of losses is exact and no layout can forget one.

mod check;
mod convert;
mod error;
mod fault;
mod fields;
mod format;
mod guard;
mod layout;
mod losses;
mod picture;
mod picture_files;
mod placeholders;
mod record;
mod rows;
mod source;

pub use check::{CheckReport, Finding, check};
pub use convert::{ConvertReport, ConvertRequest, convert};
pub use error::FormatError;
pub use fault::{Fault, FaultKind, Severity};
pub use format::{Format, UnknownFormat};
pub use losses::{Loss, Losses};
pub use picture::inspect;
pub use record::{Picture, Record};

#[cfg(test)]
mod tests;
