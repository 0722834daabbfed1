//! What the fields of a row mean, one file a format: each says its schema at the top, and how a row becomes records
//! and a record a row.

pub(crate) mod alpaca;
pub(crate) mod easyr1;
pub(crate) mod figstep;
pub(crate) mod hf;
pub(crate) mod llama_factory;
pub(crate) mod mis;
pub(crate) mod msts;
pub(crate) mod openai;
mod parts;
pub(crate) mod puzzlevqa;
pub(crate) mod sharegpt;
pub(crate) mod swift;
pub(crate) mod trl;
pub(crate) mod verl;
pub(crate) mod vlguard;
pub(crate) mod vlmevalkit;
pub(crate) mod xstest;

use std::path::PathBuf;

use crate::fields::Fields;
use crate::record::Record;
use crate::rows::{ColumnType, Row};

/// A format's meaning of a row.
pub(crate) trait Layout {
    /// The fields without which no row can be read. A file whose columns lack one is not read on.
    fn required(&self) -> &'static [&'static str];

    /// The columns that are written even where no row has them; only where the container has columns.
    fn columns(&self) -> Vec<(&'static str, ColumnType)> {
        Vec::new()
    }

    /// The records of a row: one, for VLGuard up to two, none where there is nothing to go by. What is wrong is noted
    /// with the fields, and as much is read as can be.
    fn read(&self, fields: Fields) -> Vec<Record>;

    /// The row for a record, whose pictures are already held as the format holds them.
    ///
    /// Errors: why the record as a whole has no place in the format.
    fn write(&self, record: &Record) -> Result<Row, String>;

    /// Puts the row's number where the format wants it.
    fn count(&self, _row: &mut Row) {}

    /// Where a format wants a record's pictures to lie, relative to its file; the record may be given a place.
    ///
    /// Errors: why the record has no place.
    fn place(&mut self, _record: &mut Record) -> Result<Option<PathBuf>, String> {
        Ok(None)
    }
}
