//! CSV and TSV with a header: every value is text, an empty cell is no value.

use std::path::Path;

use csv::{ByteRecord, ReaderBuilder, WriterBuilder};
use serde_json::{Map, Value};

use super::columns::{Columns, json_text};
use super::row::{BrokenRow, Row, RowResult, RowWriter, Rows};
use crate::error::RowsError;
use crate::problem::{Problem, ProblemKind};

/// The rows of a file.
pub(super) fn open(path: &Path, delimiter: u8) -> Result<Rows, RowsError> {
    // The library skips a byte order mark itself.
    let mut reader = ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(fs_err::File::open(path)?);
    let header = reader
        .byte_headers()
        .map_err(|error| RowsError::malformed(path, ProblemKind::WrongValue, error.to_string()))?;
    let mut columns = Vec::new();
    for name in header {
        let name = std::str::from_utf8(name).map_err(|error| {
            let message = format!("header: expected UTF-8: {error}");
            RowsError::malformed(path, ProblemKind::InvalidUtf8, message)
        })?;
        if columns.iter().any(|column| column == name) {
            let message = format!("header: expected each column once, got `{name}` twice");
            return Err(RowsError::malformed(path, ProblemKind::WrongValue, message));
        }
        columns.push(name.to_owned());
    }
    let rows = DelimitedRows { reader, columns: columns.clone(), number: 0, ended: false };
    Ok(Rows::new(Some(columns), rows))
}

struct DelimitedRows {
    reader: csv::Reader<fs_err::File>,
    columns: Vec<String>,
    number: usize,
    ended: bool,
}

impl DelimitedRows {
    fn row(&self, record: &ByteRecord, line: Option<usize>) -> Result<Row, Problem> {
        if let Some(problem) = self.shape_problem(record) {
            return Err(problem);
        }
        let mut fields = Map::new();
        for (name, value) in self.columns.iter().zip(record) {
            let value = std::str::from_utf8(value).map_err(|error| {
                Problem::new(ProblemKind::InvalidUtf8, format!("`{name}`: expected UTF-8: {error}"))
            })?;
            if !value.is_empty() {
                fields.insert(name.clone(), value.into());
            }
        }
        Ok(Row { number: self.number, line, fields, ..Row::default() })
    }

    /// What is wrong with the number of fields, or with a quotation mark that swallowed the rows after it.
    fn shape_problem(&self, record: &ByteRecord) -> Option<Problem> {
        let expected = self.columns.len();
        if record.len() == expected {
            return None;
        }
        let swallowed = self.columns.iter().zip(record).find(|(_, value)| value.contains(&b'\n'));
        Some(match swallowed {
            Some((name, value)) => Problem::new(
                ProblemKind::StrayQuote,
                format!(
                    "`{name}` begins with a quotation mark and runs over {} lines: expected a closing mark; {} fields of \
                     {expected} are left",
                    value.split(|&byte| byte == b'\n').count(),
                    record.len()
                ),
            ),
            None => Problem::new(
                ProblemKind::FieldCount,
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
                Err(Problem::new(ProblemKind::TornRow, format!("the rest cannot be read: {error}")))
            }
        };
        Some(outcome.map_err(|problem| BrokenRow::new(self.number, line, problem)))
    }
}

/// Writes rows as CSV or TSV.
pub(super) struct Writer {
    writer: csv::Writer<fs_err::File>,
    columns: Vec<String>,
}

impl Writer {
    pub(super) fn create(path: &Path, delimiter: u8, columns: &Columns) -> Result<Self, RowsError> {
        let columns: Vec<String> = columns.names().map(str::to_owned).collect();
        let file = fs_err::File::create(path)?;
        let mut writer = WriterBuilder::new().delimiter(delimiter).from_writer(file);
        writer.write_record(&columns).map_err(std::io::Error::from)?;
        Ok(Self { writer, columns })
    }
}

impl RowWriter for Writer {
    fn write(&mut self, row: &Row) -> Result<(), RowsError> {
        let cells = self.columns.iter().map(|name| match row.fields.get(name) {
            None | Some(Value::Null) => String::new(),
            Some(value) => json_text(value),
        });
        self.writer.write_record(cells).map_err(std::io::Error::from)?;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), RowsError> {
        self.writer.flush()?;
        self.writer.get_ref().sync_all()?;
        Ok(())
    }
}

/// The fields as they will be read back.
pub(super) fn echo(fields: &mut Map<String, Value>) {
    for value in fields.values_mut().filter(|value| !value.is_null()) {
        *value = json_text(value).into();
    }
    fields.retain(|_, value| !value.is_null() && value.as_str() != Some(""));
}
