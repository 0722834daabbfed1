//! Apache Parquet: columns of JSON values, and columns of images as the `datasets` library holds them, structs of
//! `bytes` and `path`.

mod cells;
mod values;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use ::parquet::basic::Compression;
use ::parquet::file::metadata::{ColumnChunkMetaData, KeyValue, RowGroupMetaData};
use ::parquet::file::properties::WriterProperties;
use arrow_array::RecordBatch;
use arrow_schema::{Field, Schema};
use serde_json::{Value, json};

use super::columns::Columns;
use super::row::{BrokenRow, Row, RowResult, RowWriter, Rows};
use crate::error::RowsError;
use crate::guard::guarded;
use crate::problem::{Problem, ProblemKind};
use values::Content;

/// The bytes that a parquet file begins and ends with.
pub(super) const MAGIC: &[u8] = b"PAR1";
/// Rows read at once: few, since each may hold images.
const ROWS_READ: usize = 16;
/// A row group is closed at so many bytes of rows, which are all that is held in memory.
const GROUP_BYTES: usize = 32 << 20;
/// A row group holds so many rows at most; the `datasets` library reads a row group at a time where images are.
const GROUP_ROWS: usize = 1000;

/// Runs the library on bytes that may be damaged.
///
/// Errors: what the library says.
fn run<T, E: ToString>(work: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    guarded(|| work().map_err(|error| error.to_string()), || "a damaged page".to_owned())
}

fn broken(path: &Path, reason: &str) -> RowsError {
    RowsError::malformed(path, ProblemKind::BrokenParquet, format!("broken parquet: {reason}"))
}

fn open_reader(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<std::fs::File>, RowsError> {
    let mut file = fs_err::File::open(path)?;
    let mut magic = Vec::new();
    (&mut file).take(4).read_to_end(&mut magic)?;
    if magic != MAGIC {
        return Err(broken(path, "expected `PAR1` as the first bytes"));
    }
    let (file, _) = file.into_parts();
    let reader = run(|| ParquetRecordBatchReaderBuilder::try_new(file)).map_err(|reason| broken(path, &reason))?;
    let groups = reader.metadata().row_groups().iter();
    let mut codecs = groups.flat_map(RowGroupMetaData::columns).map(ColumnChunkMetaData::compression);
    match codecs.find(|codec| !is_read(*codec)) {
        None => Ok(reader),
        Some(codec) => {
            let name = codec.to_string();
            let name = name.split('(').next().unwrap_or_default();
            let message = format!(
                "expected parquet compressed by SNAPPY or ZSTD, or not at all, got {name}: write it again with `compression=\"snappy\"`"
            );
            Err(RowsError::malformed(path, ProblemKind::BrokenParquet, message))
        }
    }
}

/// Whether the library was built with this codec.
fn is_read(codec: Compression) -> bool {
    matches!(codec, Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::ZSTD(_))
}

/// The names of a file's columns.
///
/// Errors: `Io` naming the file; `Malformed` where it is no parquet file.
pub fn column_names(path: &Path) -> Result<Vec<String>, RowsError> {
    Ok(names_of(open_reader(path)?.schema()))
}

fn names_of(schema: &Schema) -> Vec<String> {
    schema.fields().iter().map(|field| field.name().clone()).collect()
}

/// The rows of a file.
pub(super) fn open(path: &Path) -> Result<Rows, RowsError> {
    let builder = open_reader(path)?;
    let schema = builder.schema().clone();
    let names = names_of(&schema);
    let mut problems = Vec::new();
    for field in schema.fields() {
        if let Err(reason) = values::content(field.data_type()) {
            let message = format!("column `{}` is not kept: {reason}", field.name());
            problems.push(Problem::new(ProblemKind::UnsupportedColumn, message));
        }
    }
    let n_rows = usize::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
    let batches = run(|| builder.with_batch_size(ROWS_READ).build()).map_err(|reason| broken(path, &reason))?;
    let rows = ParquetRows { batches, batch: None, next_in_batch: 0, number: 0, n_rows, problems, ended: false };
    Ok(Rows::new(Some(names), rows))
}

struct ParquetRows {
    batches: ParquetRecordBatchReader,
    batch: Option<RecordBatch>,
    next_in_batch: usize,
    number: usize,
    n_rows: usize,
    /// What is wrong with columns, reported with the first row.
    problems: Vec<Problem>,
    ended: bool,
}

impl ParquetRows {
    fn broken(&mut self, reason: &str) -> RowResult {
        self.ended = true;
        let message = format!("the rest cannot be read: {reason}");
        let problem = Problem::new(ProblemKind::BrokenParquet, message);
        Err(BrokenRow::new(self.number + 1, None, problem))
    }

    fn row(&mut self, batch: &RecordBatch, index: usize) -> Row {
        self.number += 1;
        let mut row = Row { number: self.number, problems: std::mem::take(&mut self.problems), ..Row::default() };
        for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            let name = field.name().clone();
            match values::content(field.data_type()) {
                Ok(Content::Value) => match values::value(column, index) {
                    Ok(Value::Null) => {}
                    Ok(value) => {
                        row.fields.insert(name, value);
                    }
                    Err(reason) => {
                        let message = format!("`{name}`: {reason}");
                        row.problems.push(Problem::new(ProblemKind::NotKept, message));
                    }
                },
                Ok(Content::Images) => {
                    let (images, missing) = values::images(column, index);
                    if missing > 0 {
                        let message = format!("`{name}`: {missing} images have neither bytes nor path");
                        row.problems.push(Problem::new(ProblemKind::MissingImage, message));
                    }
                    row.images.insert(name, images);
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
                    let row = run(|| Ok::<_, String>(self.row(&batch, index)));
                    self.batch = Some(batch);
                    return Some(row.or_else(|reason| self.broken(&reason)));
                }
                self.next_in_batch = 0;
            }
            match run(|| self.batches.next().transpose()) {
                Ok(Some(batch)) => self.batch = Some(batch),
                Ok(None) if self.number < self.n_rows => {
                    let reason = format!("expected {} rows, got {}", self.n_rows, self.number);
                    return Some(self.broken(&reason));
                }
                Ok(None) => self.ended = true,
                Err(reason) => return Some(self.broken(&reason)),
            }
        }
        None
    }
}

/// Writes rows as parquet, with what the `datasets` library needs to see images as images.
pub(super) struct Writer {
    writer: ArrowWriter<std::fs::File>,
    columns: Columns,
    schema: Arc<Schema>,
    rows: Vec<Row>,
    bytes: usize,
    path: PathBuf,
}

impl Writer {
    pub(super) fn create(path: &Path, columns: &Columns) -> Result<Self, RowsError> {
        let fields: Vec<Field> =
            columns.iter().map(|(name, column)| Field::new(name, cells::data_type(column), true)).collect();
        let description = json!({ "info": { "features": columns.features() } }).to_string();
        let metadata = [("huggingface".to_owned(), description.clone())];
        let schema = Arc::new(Schema::new_with_metadata(fields, metadata));
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_key_value_metadata(Some(vec![KeyValue::new("huggingface".to_owned(), description)]))
            .build();
        let (file, _) = fs_err::File::create(path)?.into_parts();
        let writer =
            ArrowWriter::try_new(file, schema.clone(), Some(properties)).map_err(|error| not_written(path, &error))?;
        Ok(Self { writer, columns: columns.clone(), schema, rows: Vec::new(), bytes: 0, path: path.to_owned() })
    }

    fn write_group(&mut self) -> Result<(), RowsError> {
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        if rows.is_empty() {
            return Ok(());
        }
        let arrays = self.columns.iter().map(|(name, column)| cells::array(name, column, &rows)).collect();
        let batch =
            RecordBatch::try_new(self.schema.clone(), arrays).map_err(|error| not_written(&self.path, &error))?;
        let written = self.writer.write(&batch).and_then(|()| self.writer.flush());
        written.map_err(|error| not_written(&self.path, &error))
    }
}

impl RowWriter for Writer {
    fn write(&mut self, row: &Row) -> Result<(), RowsError> {
        self.bytes += cells::size(row);
        self.rows.push(row.clone());
        if self.bytes >= GROUP_BYTES || self.rows.len() >= GROUP_ROWS {
            self.write_group()?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), RowsError> {
        self.write_group()?;
        let file = self.writer.into_inner().map_err(|error| not_written(&self.path, &error))?;
        file.sync_all()?;
        Ok(())
    }
}

fn not_written(path: &Path, error: &impl ToString) -> RowsError {
    RowsError::Parquet { path: path.to_owned(), reason: error.to_string() }
}
