//! CSV and TSV with a header: every value is text, an empty one is none.

use std::path::Path;

use csv::{ByteRecord, ReaderBuilder, WriterBuilder};
use serde_json::{Map, Value};

use super::{BrokenRow, Columns, Row, RowResult, Rows};
use crate::error::FormatError;
use crate::fault::{Fault, FaultKind};

/// The rows of a file.
pub(super) fn open(path: &Path, delimiter: u8) -> Result<Rows, FormatError> {
    let malformed = |problem: String| FormatError::Malformed {
        path: path.to_owned(),
        row: None,
        problem,
    };
    // The library passes over a byte order mark itself.
    let marked = begins_with_mark(path)?;
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter)
        .flexible(true)
        .from_reader(fs_err::File::open(path)?);
    let header = reader.byte_headers().map_err(|error| malformed(error.to_string()))?;
    let mut columns = Vec::new();
    for name in header {
        let name = std::str::from_utf8(name).map_err(|error| malformed(format!("header: expected UTF-8: {error}")))?;
        if columns.iter().any(|column| column == name) {
            return Err(malformed(format!("header: column `{name}` stands twice")));
        }
        columns.push(name.to_owned());
    }
    let rows = DelimitedRows {
        reader,
        columns: columns.clone(),
        number: 0,
        marked,
        ended: false,
    };
    Ok(Rows {
        columns: Some(columns),
        rows: Box::new(rows),
    })
}

fn begins_with_mark(path: &Path) -> std::io::Result<bool> {
    let mut first = Vec::new();
    std::io::Read::read_to_end(&mut std::io::Read::take(fs_err::File::open(path)?, 3), &mut first)?;
    Ok(first == b"\xef\xbb\xbf")
}

struct DelimitedRows {
    reader: csv::Reader<fs_err::File>,
    columns: Vec<String>,
    number: usize,
    marked: bool,
    ended: bool,
}

impl DelimitedRows {
    fn row(&mut self, record: &ByteRecord, line: Option<usize>) -> Result<Row, Fault> {
        if let Some(fault) = self.shape_fault(record) {
            return Err(fault);
        }
        let mut fields = Map::new();
        for (name, value) in self.columns.iter().zip(record) {
            let value = std::str::from_utf8(value)
                .map_err(|error| Fault::new(FaultKind::InvalidUtf8, format!("`{name}`: expected UTF-8: {error}")))?;
            if !value.is_empty() {
                fields.insert(name.clone(), value.into());
            }
        }
        let mark =
            "the file begins with a byte order mark, which other readers take for part of the first column's name";
        let marked = std::mem::take(&mut self.marked);
        Ok(Row {
            number: self.number,
            line,
            fields,
            faults: Vec::from_iter(marked.then(|| Fault::new(FaultKind::ByteOrderMark, mark))),
            ..Row::default()
        })
    }

    /// What is wrong with the number of fields, or with a quotation mark that swallowed the rows after it.
    fn shape_fault(&self, record: &ByteRecord) -> Option<Fault> {
        let expected = self.columns.len();
        if record.len() == expected {
            return None;
        }
        let swallowed = self
            .columns
            .iter()
            .zip(record)
            .find(|(_, value)| value.contains(&b'\n'));
        Some(match swallowed {
            Some((name, value)) => Fault::new(
                FaultKind::StrayQuote,
                format!(
                    "`{name}` begins with a quotation mark and runs over {} lines: expected a closing mark; {} fields of \
                     {expected} are left",
                    value.split(|&byte| byte == b'\n').count(),
                    record.len()
                ),
            ),
            None => Fault::new(
                FaultKind::FieldCount,
                format!("expected {expected} fields as in the header, got {}", record.len()),
            ),
        })
    }
}

impl Iterator for DelimitedRows {
    type Item = RowResult;

    fn next(&mut self) -> Option<RowResult> {
        if self.ended {
            return None;
        }
        let mut record = ByteRecord::new();
        let read = self.reader.read_byte_record(&mut record);
        self.number += 1;
        let line = record.position().map(|position| position.line() as usize);
        let outcome = match read {
            Ok(false) => return None,
            Ok(true) => self.row(&record, line),
            Err(error) => {
                self.ended = true;
                Err(Fault::new(FaultKind::TornRow, format!("cannot be read on: {error}")))
            }
        };
        Some(outcome.map_err(|fault| BrokenRow {
            number: self.number,
            line,
            fault,
        }))
    }
}

/// Writes rows as CSV or TSV.
pub(crate) struct Writer {
    writer: csv::Writer<fs_err::File>,
    columns: Vec<String>,
}

impl Writer {
    pub(super) fn create(path: &Path, delimiter: u8, columns: &Columns) -> Result<Self, FormatError> {
        let columns: Vec<String> = columns.names().map(str::to_owned).collect();
        let file = fs_err::File::create(path)?;
        let mut writer = WriterBuilder::new().delimiter(delimiter).from_writer(file);
        writer.write_record(&columns).map_err(std::io::Error::from)?;
        Ok(Self { writer, columns })
    }

    pub(super) fn write(&mut self, row: &Row) -> Result<(), FormatError> {
        let cells = self.columns.iter().map(|name| match row.fields.get(name) {
            None | Some(Value::Null) => String::new(),
            Some(value) => text_of(value),
        });
        self.writer.write_record(cells).map_err(std::io::Error::from)?;
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<(), FormatError> {
        self.writer.flush()?;
        self.writer.get_ref().sync_all()?;
        Ok(())
    }
}

/// A value as a cell holds it: text as it is, everything else as JSON.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The fields as they will be read back.
pub(super) fn echo(fields: &mut Map<String, Value>) {
    for value in fields.values_mut().filter(|value| !value.is_null()) {
        *value = text_of(value).into();
    }
    fields.retain(|_, value| !value.is_null() && value.as_str() != Some(""));
}
