//! A file as records: its container opened, its format found, each row read by its layout.

use std::path::Path;

use crate::error::FormatError;
use crate::fault::{Fault, Severity};
use crate::fields::Fields;
use crate::format::{self, Format};
use crate::layout::llama_factory::Description;
use crate::layout::{Layout, vlmevalkit};
use crate::record::Record;
use crate::rows::{self, Container, RowResult};

/// The rows of a file as its format reads them.
pub(crate) struct Source {
    /// The format.
    pub format: Format,
    /// The columns that the format needs and the file lacks, and those that it has.
    pub missing: Vec<&'static str>,
    /// The columns of a file that names them.
    pub columns: Vec<String>,
    layout: Box<dyn Layout>,
    rows: Box<dyn Iterator<Item = RowResult>>,
    /// The split that the file's name says, for items that say none.
    split: Option<&'static str>,
}

/// A row as its format reads it.
pub(crate) struct ReadRow {
    /// The row's number, counted from one.
    pub number: usize,
    /// The line that it begins on, where the container has lines.
    pub line: Option<usize>,
    /// Its records, pictures' paths as they are written there.
    pub records: Vec<Record>,
    /// What is wrong with it.
    pub faults: Vec<Fault>,
}

impl ReadRow {
    /// The first fault that makes the row unusable.
    pub fn error(&self) -> Option<&Fault> {
        let mut faults = self.faults.iter();
        faults.find(|fault| fault.kind.severity() == Severity::Error)
    }
}

impl Source {
    /// Opens a file; its format is found where none is given.
    ///
    /// Errors: `Io` naming the file; `Unrecognised` naming what was looked at; `Malformed` where it cannot be read at
    /// all.
    pub fn open(path: &Path, format: Option<Format>) -> Result<Self, FormatError> {
        let container = format::container_of(path)?;
        let described = Description::of(path);
        let format = match (format, &described) {
            (Some(format), _) => format,
            (None, Some(entry))
                if format::first_names(path, container)?
                    .iter()
                    .any(|one| one == entry.main_column()) =>
            {
                entry.format()
            }
            (None, _) => format::detect(path, container)?,
        };
        let layout = match described.filter(|entry| entry.format() == format) {
            Some(entry) => entry.layout(),
            None => format.layout(),
        };
        let mut opened = rows::open(path, container)?;
        if format == Format::VlmEvalKit {
            opened.rows = vlmevalkit::follow_references(path, container, opened.rows)?;
        }
        let columns = opened.columns.unwrap_or_default();
        let has_columns = matches!(container, Container::Comma | Container::Tab | Container::Parquet);
        let missing = layout
            .required()
            .iter()
            .copied()
            .filter(|name| has_columns && !columns.iter().any(|column| column == name))
            .collect();
        Ok(Self {
            format,
            missing,
            columns,
            layout,
            rows: opened.rows,
            split: split_of(path, format),
        })
    }

    fn read(&self, row: RowResult) -> ReadRow {
        match row {
            Ok(mut row) => {
                let (number, line) = (row.number, row.line);
                let mut faults = std::mem::take(&mut row.faults);
                let mut records = self.layout.read(Fields::new(row, &mut faults));
                for record in &mut records {
                    record.item.split = record.item.split.take().or(self.split.map(str::to_owned));
                }
                ReadRow {
                    number,
                    line,
                    records,
                    faults,
                }
            }
            Err(broken) => ReadRow {
                number: broken.number,
                line: broken.line,
                records: Vec::new(),
                faults: vec![broken.fault],
            },
        }
    }
}

impl Iterator for Source {
    type Item = ReadRow;

    fn next(&mut self) -> Option<ReadRow> {
        let row = self.rows.next()?;
        Some(self.read(row))
    }
}

/// MIS is released as one file a split.
fn split_of(path: &Path, format: Format) -> Option<&'static str> {
    let stem = path.file_stem()?.to_str()?;
    match stem {
        "mis_easy" if format == Format::Mis => Some("easy"),
        "mis_hard" if format == Format::Mis => Some("hard"),
        "mis_real" if format == Format::Mis => Some("real"),
        _ => None,
    }
}
