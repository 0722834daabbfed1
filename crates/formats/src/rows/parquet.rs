//! Apache Parquet: columns of JSON values, and columns of pictures as the `datasets` library holds them, structs of
//! `bytes` and `path`.

mod cells;
mod values;

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use ::parquet::basic::Compression;
use ::parquet::file::metadata::KeyValue;
use ::parquet::file::properties::WriterProperties;
use arrow_array::RecordBatch;
use arrow_schema::{Field, Schema};
use serde_json::{Map, Value, json};

use super::columns::ColumnType;
use super::{BrokenRow, Columns, Row, RowResult, Rows};
use crate::error::FormatError;
use crate::fault::{Fault, FaultKind};
use crate::guard;
use values::Held;

/// The bytes that a parquet file begins and ends with.
pub(crate) const MAGIC: &[u8] = b"PAR1";
/// Rows read at once: few, since each may hold pictures.
const ROWS_READ: usize = 16;
/// A row group is closed at so many bytes of rows, which are all that is held in memory.
const GROUP_BYTES: usize = 32 << 20;
/// A row group holds so many rows at most; the `datasets` library reads a row group at a time where pictures are.
const GROUP_ROWS: usize = 1000;

/// Runs the library.
fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    guard::guarded(work, || "a damaged page".to_owned())
}

fn open_reader(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<std::fs::File>, FormatError> {
    let mut file = fs_err::File::open(path)?;
    let mut magic = Vec::new();
    (&mut file).take(4).read_to_end(&mut magic)?;
    let malformed = |problem: String| FormatError::Malformed {
        path: path.to_owned(),
        row: None,
        problem,
    };
    if magic != MAGIC {
        return Err(malformed("broken parquet: expected `PAR1` as the first bytes".into()));
    }
    let (file, _) = file.into_parts();
    guarded(|| ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| error.to_string()))
        .map_err(|problem| malformed(format!("broken parquet: {problem}")))
}

/// The names of a file's columns.
///
/// Errors: `Io` naming the file; `Malformed` where it is no parquet file.
pub(crate) fn column_names(path: &Path) -> Result<Vec<String>, FormatError> {
    let builder = open_reader(path)?;
    Ok(builder
        .schema()
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect())
}

/// The rows of a file.
pub(super) fn open(path: &Path) -> Result<Rows, FormatError> {
    let builder = open_reader(path)?;
    let malformed = |problem: String| FormatError::Malformed {
        path: path.to_owned(),
        row: None,
        problem: format!("broken parquet: {problem}"),
    };
    let schema = builder.schema().clone();
    let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    let mut faults = Vec::new();
    for field in schema.fields() {
        if let Err(problem) = values::held(field.data_type()) {
            let problem = format!("column `{}` is not kept: {problem}", field.name());
            faults.push(Fault::new(FaultKind::UnsupportedColumn, problem));
        }
    }
    let n_rows = usize::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
    let batches = guarded(|| {
        let builder = builder.with_batch_size(ROWS_READ);
        builder.build().map_err(|error| error.to_string())
    })
    .map_err(malformed)?;
    let rows = ParquetRows {
        batches,
        batch: None,
        next_in_batch: 0,
        number: 0,
        n_rows,
        faults,
        ended: false,
    };
    Ok(Rows {
        columns: Some(names),
        rows: Box::new(rows),
    })
}

struct ParquetRows {
    batches: ParquetRecordBatchReader,
    batch: Option<RecordBatch>,
    next_in_batch: usize,
    number: usize,
    n_rows: usize,
    /// What is wrong with columns, told with the first row.
    faults: Vec<Fault>,
    ended: bool,
}

impl ParquetRows {
    fn broken(&mut self, problem: &str) -> RowResult {
        self.ended = true;
        Err(BrokenRow {
            number: self.number + 1,
            line: None,
            fault: Fault::new(
                FaultKind::BrokenParquet,
                format!("cannot be read from here on: {problem}"),
            ),
        })
    }

    fn row(&mut self, batch: &RecordBatch, index: usize) -> Row {
        self.number += 1;
        let mut row = Row {
            number: self.number,
            faults: std::mem::take(&mut self.faults),
            ..Row::default()
        };
        for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            let name = field.name().clone();
            match values::held(field.data_type()) {
                Ok(Held::Value) => match values::value(column, index) {
                    Ok(Value::Null) => {}
                    Ok(value) => {
                        row.fields.insert(name, value);
                    }
                    Err(problem) => {
                        let problem = format!("`{name}`: {problem}");
                        row.faults.push(Fault::new(FaultKind::NotKept, problem));
                    }
                },
                Ok(Held::Pictures) => {
                    let (pictures, missing) = values::pictures(column, index);
                    if missing > 0 {
                        let problem = format!("`{name}`: {missing} pictures have neither bytes nor path");
                        row.faults.push(Fault::new(FaultKind::MissingImage, problem));
                    }
                    row.pictures.insert(name, pictures);
                }
                Err(_) => {}
            }
        }
        row
    }
}

impl Iterator for ParquetRows {
    type Item = RowResult;

    fn next(&mut self) -> Option<RowResult> {
        while !self.ended {
            if let Some(batch) = self.batch.take() {
                if self.next_in_batch < batch.num_rows() {
                    let index = self.next_in_batch;
                    self.next_in_batch += 1;
                    let row = guarded(|| Ok(self.row(&batch, index)));
                    self.batch = Some(batch);
                    return Some(row.or_else(|problem| self.broken(&problem)));
                }
                self.next_in_batch = 0;
            }
            let read = guarded(|| self.batches.next().transpose().map_err(|error| error.to_string()));
            match read {
                Ok(Some(batch)) => self.batch = Some(batch),
                Ok(None) if self.number < self.n_rows => {
                    let problem = format!("expected {} rows, got {}", self.n_rows, self.number);
                    return Some(self.broken(&problem));
                }
                Ok(None) => self.ended = true,
                Err(problem) => return Some(self.broken(&problem)),
            }
        }
        None
    }
}

/// Writes rows as parquet, with what the `datasets` library needs to see pictures as pictures.
pub(crate) struct Writer {
    writer: ArrowWriter<std::fs::File>,
    columns: Columns,
    schema: Arc<Schema>,
    rows: Vec<Row>,
    bytes: usize,
    path: std::path::PathBuf,
}

impl Writer {
    pub(super) fn create(path: &Path, columns: &Columns) -> Result<Self, FormatError> {
        let fields: Vec<Field> = columns
            .iter()
            .map(|(name, column)| Field::new(name, cells::data_type(column), true))
            .collect();
        let features: Map<String, Value> = columns
            .iter()
            .map(|(name, column)| (name.clone(), ColumnType::feature(column)))
            .collect();
        let description = json!({ "info": { "features": features } }).to_string();
        let metadata = [("huggingface".to_owned(), description.clone())];
        let schema = Arc::new(Schema::new_with_metadata(fields, metadata));
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_key_value_metadata(Some(vec![KeyValue::new("huggingface".to_owned(), description)]))
            .build();
        let (file, _) = fs_err::File::create(path)?.into_parts();
        let writer =
            ArrowWriter::try_new(file, schema.clone(), Some(properties)).map_err(|error| fault(path, &error))?;
        Ok(Self {
            writer,
            columns: columns.clone(),
            schema,
            rows: Vec::new(),
            bytes: 0,
            path: path.to_owned(),
        })
    }

    pub(super) fn write(&mut self, row: &Row) -> Result<(), FormatError> {
        self.bytes += cells::size(row);
        self.rows.push(row.clone());
        if self.bytes >= GROUP_BYTES || self.rows.len() >= GROUP_ROWS {
            self.write_group()?;
        }
        Ok(())
    }

    fn write_group(&mut self) -> Result<(), FormatError> {
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        if rows.is_empty() {
            return Ok(());
        }
        let arrays = self
            .columns
            .iter()
            .map(|(name, column)| cells::array(name, column, &rows))
            .collect();
        let batch = RecordBatch::try_new(self.schema.clone(), arrays).map_err(|error| FormatError::Parquet {
            path: self.path.clone(),
            problem: error.to_string(),
        })?;
        let written = self.writer.write(&batch).and_then(|()| self.writer.flush());
        written.map_err(|error| fault(&self.path, &error))
    }

    pub(super) fn finish(mut self) -> Result<(), FormatError> {
        self.write_group()?;
        let file = self.writer.into_inner().map_err(|error| fault(&self.path, &error))?;
        file.sync_all()?;
        Ok(())
    }
}

fn fault(path: &Path, error: &::parquet::errors::ParquetError) -> FormatError {
    FormatError::Parquet {
        path: path.to_owned(),
        problem: error.to_string(),
    }
}
