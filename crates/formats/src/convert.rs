//! From a file of one format to a file of another: row by row, completely or not at all, with a list of what was lost.
//!
//! Where the target has columns, the source is read twice: first for their names and types, then for their values.

use std::path::{Path, PathBuf};

use align::files::write_atomically;
use align::progress::Progress;
use serde::Serialize;

use crate::error::FormatError;
use crate::field_reader::FieldReader;
use crate::format::{Format, Layout};
use crate::image_files::{ImageFiles, NotCarried};
use crate::layouts::llama_factory;
use crate::losses::{Loss, Losses, differences};
use crate::record::Record;
use crate::record_reader::{ReadRow, RecordReader};
use rows::{Columns, Container, Problem, ProblemKind, Row, RowWriter, RowsError, echo};

/// What to convert.
#[derive(Clone, Copy, Debug)]
pub struct ConvertRequest<'a> {
    /// The file to read.
    pub input: &'a Path,
    /// Its format; detected where none is given.
    pub from: Option<Format>,
    /// The file to write.
    pub output: &'a Path,
    /// Its format.
    pub to: Format,
    /// The folder for images that become files; by default one next to the output.
    pub images: Option<&'a Path>,
}

/// What a conversion did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConvertReport {
    /// The format that was read.
    pub from: &'static str,
    /// The format that was written.
    pub to: &'static str,
    /// The number of items read.
    pub items_read: usize,
    /// The number of items written.
    pub items_written: usize,
    /// The number of image files written.
    pub images_written: usize,
    /// What was not kept.
    pub losses: Vec<Loss>,
}

/// Converts a file.
///
/// Errors: `Io` naming the file; `Unrecognized`; `Malformed` naming the first malformed row, in which case nothing is
/// written; `Container` for an output with the wrong file extension; `Nothing` where the target can hold no item;
/// `Interrupted`.
pub fn convert(request: &ConvertRequest, progress: &mut dyn Progress) -> Result<ConvertReport, FormatError> {
    let container = request.to.container_for(request.output)?;
    let from = RecordReader::open(request.input, request.from)?.format;
    let columns = if container.has_columns() { find_columns(request, from, progress)? } else { Columns::default() };
    if let Some(folder) = request.output.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs_err::create_dir_all(folder)?;
    }
    let partial = Partial::beside(request.output);
    let mut conversion = Conversion {
        layout: request.to.layout(),
        files: ImageFiles::new(request.output, request.to.images(), request.images),
        writer: rows::create(&partial.path, container, &columns)?,
        container,
        columns,
        losses: Losses::default(),
        n_read: 0,
        n_written: 0,
    };
    progress.begin("converting", 0);
    for row in valid_rows(request.input, from)? {
        advance(progress)?;
        conversion.take(row?)?;
    }
    progress.end();
    conversion.finish(request, from, partial)
}

/// Counts a row, unless the user interrupted.
fn advance(progress: &mut dyn Progress) -> Result<(), FormatError> {
    if progress.interrupted() {
        return Err(FormatError::Interrupted);
    }
    progress.advance(1);
    Ok(())
}

/// The rows of a file, up to the first that is malformed.
fn valid_rows(path: &Path, format: Format) -> Result<impl Iterator<Item = Result<ReadRow, FormatError>>, FormatError> {
    let reader = RecordReader::open(path, Some(format))?;
    if let Some(name) = reader.missing.first() {
        let message = reader.missing_column(name);
        return Err(RowsError::malformed(path, ProblemKind::MissingColumn, message).into());
    }
    let path = path.to_owned();
    Ok(reader.map(move |mut row| {
        if row.has_media() {
            return Ok(row);
        }
        if let Some(problem) = row.error() {
            return Err(
                RowsError::Malformed { path: path.clone(), row: Some(row.number), problem: problem.clone() }.into()
            );
        }
        for record in &mut row.records {
            record.resolve(path.parent().unwrap_or(Path::new("")));
        }
        Ok(row)
    }))
}

/// The columns of the target, from a first reading of the source.
fn find_columns(request: &ConvertRequest, from: Format, progress: &mut dyn Progress) -> Result<Columns, FormatError> {
    let mut layout = request.to.layout();
    let mut columns = Columns::fixed(layout.columns());
    progress.begin("reading columns", 0);
    for row in valid_rows(request.input, from)? {
        advance(progress)?;
        let row = row?;
        if row.has_media() {
            continue;
        }
        for mut record in row.records {
            // Records that the target cannot hold are reported in the second reading.
            if layout.assign_path(&mut record).is_ok()
                && let Ok(mut row) = layout.write(&record)
            {
                row.number = 1;
                layout.set_number(&mut row);
                columns.add(&row);
            }
        }
    }
    progress.end();
    Ok(columns)
}

struct Conversion {
    layout: Box<dyn Layout>,
    files: ImageFiles,
    writer: Box<dyn RowWriter>,
    container: Container,
    columns: Columns,
    losses: Losses,
    n_read: usize,
    n_written: usize,
}

impl Conversion {
    fn take(&mut self, row: ReadRow) -> Result<(), FormatError> {
        if let Some(problem) = row.problems.iter().find(|problem| problem.kind == ProblemKind::Media) {
            let n_items = row.records.len().max(1);
            self.n_read += n_items;
            (0..n_items).for_each(|_| self.losses.note(row.number, "row", &problem.message));
            return Ok(());
        }
        for problem in &row.problems {
            if matches!(problem.kind, ProblemKind::NotKept | ProblemKind::UnsupportedColumn) {
                let field = problem.message.split('`').nth(1).unwrap_or("row");
                self.losses.note(row.number, field, &problem.message);
            }
        }
        for record in row.records {
            self.n_read += 1;
            match self.carry(record) {
                Ok((written, lost)) => {
                    for (field, why) in lost {
                        self.losses.note(row.number, &field, why);
                    }
                    self.writer.write(&written)?;
                    self.n_written += 1;
                }
                Err(NotCarried::Item(why)) => self.losses.note(row.number, "row", why),
                Err(NotCarried::Output(error)) => return Err(error),
            }
        }
        Ok(())
    }

    /// The row for a record, and what is lost of it.
    fn carry(&mut self, mut record: Record) -> Result<(Row, Vec<(String, String)>), NotCarried> {
        let extra = record.extra.clone();
        let path = self.layout.assign_path(&mut record).map_err(NotCarried::Item)?;
        // Whether the format can hold the record at all, before its images are carried anywhere.
        self.write(&self.files.with_stand_ins(&record)).map_err(NotCarried::Item)?;
        let mut record = self.files.carry(&record, path.as_deref())?;
        let (row, read_back) = self.write(&record).map_err(NotCarried::Item)?;
        // Fields that were added for the path cannot be lost.
        record.extra = extra;
        Ok((row, differences(&record, &read_back)))
    }

    /// The row for a record, and the record that it will be read as.
    fn write(&self, record: &Record) -> Result<(Row, Record), String> {
        let mut row = self.layout.write(record)?;
        row.number = self.n_written + 1;
        self.layout.set_number(&mut row);
        let mut problems = Vec::new();
        let echoed = echo(&row, self.container, &self.columns);
        let read_back = self.layout.read(FieldReader::new(echoed, &mut problems));
        if let Some(Problem { message, .. }) = problems.into_iter().find(Problem::is_error) {
            return Err(format!("it would not be read back: {message}"));
        }
        match <[Record; 1]>::try_from(read_back) {
            Ok([read_back]) => Ok((row, read_back)),
            Err(_) => Err("it would not be read back as one item".into()),
        }
    }

    /// Makes the output appear.
    fn finish(
        mut self,
        request: &ConvertRequest,
        from: Format,
        partial: Partial,
    ) -> Result<ConvertReport, FormatError> {
        let losses = self.losses.into_list();
        let to = request.to.name();
        if self.n_written == 0 {
            let why = losses.iter().find(|loss| loss.field == "row");
            return Err(FormatError::Nothing {
                path: request.output.to_owned(),
                reason: why.map_or("the source holds no items".to_owned(), |loss| {
                    format!("{to} can hold none of {} items: {}", self.n_read, loss.why)
                }),
            });
        }
        self.writer.finish()?;
        let dataset_info = llama_factory::described(request.output, request.to)?;
        partial.appear(request.output)?;
        self.files.keep();
        if let Some((path, text)) = dataset_info {
            write_atomically(&path, text.as_bytes())?;
        }
        Ok(ConvertReport {
            from: from.name(),
            to,
            items_read: self.n_read,
            items_written: self.n_written,
            images_written: self.files.n_written,
            losses,
        })
    }
}

/// A file that appears under its name when it is complete, and is removed otherwise.
struct Partial {
    path: PathBuf,
}

impl Partial {
    fn beside(output: &Path) -> Self {
        let mut name = output.file_name().unwrap_or_default().to_owned();
        name.push(".partial");
        Self { path: output.with_file_name(name) }
    }

    fn appear(self, output: &Path) -> Result<(), FormatError> {
        Ok(fs_err::rename(&self.path, output)?)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // Gone already where it appeared under its name.
        let _ = fs_err::remove_file(&self.path);
    }
}
