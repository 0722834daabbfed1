//! From a file of one format to a file of another: row by row, whole or not at all, with the list of what was lost.
//!
//! Where the target has columns the source is read twice: first for their names and types, then for their values.

use std::path::{Path, PathBuf};

use align::progress::Progress;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::FormatError;
use crate::fault::{FaultKind, Severity};
use crate::fields::Fields;
use crate::format::Format;
use crate::layout::{Layout, llama_factory};
use crate::losses::{Loss, Losses, differences};
use crate::picture_files::{Hindrance, PictureFiles};
use crate::record::Record;
use crate::rows::{Columns, Container, Row, RowWriter, echo};
use crate::source::{ReadRow, Source};

/// What is to be converted.
#[derive(Clone, Copy, Debug)]
pub struct ConvertRequest<'a> {
    /// The file to read.
    pub input: &'a Path,
    /// Its format; found where none is given.
    pub from: Option<Format>,
    /// The file to write.
    pub output: &'a Path,
    /// Its format.
    pub to: Format,
    /// The folder for pictures that become files; by default one beside the output.
    pub images: Option<&'a Path>,
}

/// What a conversion did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConvertReport {
    /// The format that was read.
    pub from: &'static str,
    /// The format that was written.
    pub to: &'static str,
    /// How many items were read.
    pub items_read: usize,
    /// How many items were written.
    pub items_written: usize,
    /// How many picture files were written.
    pub images_written: usize,
    /// What was not kept.
    pub losses: Vec<Loss>,
}

/// Converts a file.
///
/// Errors: `Io` naming the file; `Unrecognised`; `Malformed` naming the first row at fault, in which case nothing is
/// written; `Container` for an output's name with the wrong ending; `Nothing` where no item has a place in the target;
/// `Interrupted`.
pub fn convert(request: &ConvertRequest, progress: &mut dyn Progress) -> Result<ConvertReport, FormatError> {
    let container = request.to.container_for(request.output)?;
    let from = Source::open(request.input, request.from)?.format;
    let columns = if container.has_columns() {
        survey(request, from, progress)?
    } else {
        Columns::default()
    };
    if let Some(folder) = request.output.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs_err::create_dir_all(folder)?;
    }
    let partial = Partial::beside(request.output);
    let mut conversion = Conversion {
        layout: request.to.layout(),
        files: PictureFiles::new(request.output, request.to.holds(), request.images),
        writer: RowWriter::create(&partial.path, container, &columns)?,
        container,
        columns,
        losses: Losses::default(),
        read: 0,
        written: 0,
    };
    progress.begin("converting", 0);
    for row in rows(request.input, from)? {
        go_on(progress)?;
        conversion.take(row?)?;
    }
    progress.end();
    let Conversion {
        writer,
        mut files,
        losses,
        read,
        written,
        ..
    } = conversion;
    let losses = losses.into_list();
    if written == 0 {
        let why = losses.iter().find(|loss| loss.field == "row");
        return Err(FormatError::Nothing {
            path: request.output.to_owned(),
            problem: why.map_or("the source holds no items".to_owned(), |loss| {
                format!(
                    "none of {read} items has a place in {}: {}",
                    request.to.name(),
                    loss.why
                )
            }),
        });
    }
    writer.finish()?;
    let description = describe(request)?;
    partial.appear(request.output)?;
    files.keep();
    if let Some((path, text)) = description {
        align::run_dir::write_atomically(&path, text.as_bytes())?;
    }
    Ok(ConvertReport {
        from: from.name(),
        to: request.to.name(),
        items_read: read,
        items_written: written,
        images_written: files.written,
        losses,
    })
}

/// Counts a row, unless the user asked to stop.
fn go_on(progress: &mut dyn Progress) -> Result<(), FormatError> {
    if progress.interrupted() {
        return Err(FormatError::Interrupted);
    }
    progress.advance(1);
    Ok(())
}

/// The rows of a file without errors.
fn rows(path: &Path, format: Format) -> Result<impl Iterator<Item = Result<ReadRow, FormatError>>, FormatError> {
    let source = Source::open(path, Some(format))?;
    let malformed = {
        let path = path.to_owned();
        move |row: Option<usize>, problem: String| FormatError::Malformed {
            path: path.clone(),
            row,
            problem,
        }
    };
    if let Some(name) = source.missing.first() {
        return Err(malformed(
            None,
            format!("expected a column `{name}`, got {}", source.columns.join(", ")),
        ));
    }
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    Ok(source.map(move |mut row| {
        if let Some(fault) = row.error() {
            return Err(malformed(Some(row.number), fault.problem.clone()));
        }
        for record in &mut row.records {
            record.resolve(&folder);
        }
        Ok(row)
    }))
}

/// The columns of the target, from a first reading of the source.
fn survey(request: &ConvertRequest, from: Format, progress: &mut dyn Progress) -> Result<Columns, FormatError> {
    let mut layout = request.to.layout();
    let mut columns = Columns::fixed(layout.columns());
    progress.begin("reading columns", 0);
    for row in rows(request.input, from)? {
        go_on(progress)?;
        for mut record in row?.records {
            // What has no place is told of in the second reading.
            if layout.place(&mut record).is_ok()
                && let Ok(mut row) = layout.write(&record)
            {
                row.number = 1;
                layout.count(&mut row);
                columns.add(&row);
            }
        }
    }
    progress.end();
    Ok(columns)
}

struct Conversion {
    layout: Box<dyn Layout>,
    files: PictureFiles,
    writer: RowWriter,
    container: Container,
    columns: Columns,
    losses: Losses,
    read: usize,
    written: usize,
}

impl Conversion {
    fn take(&mut self, row: ReadRow) -> Result<(), FormatError> {
        for fault in &row.faults {
            if matches!(fault.kind, FaultKind::NotKept | FaultKind::UnsupportedColumn) {
                let field = fault.problem.split('`').nth(1).unwrap_or("row");
                self.losses.note(row.number, field, &fault.problem);
            }
        }
        for record in row.records {
            self.read += 1;
            match self.carry(record) {
                Ok((written, lost)) => {
                    for (field, why) in lost {
                        self.losses.note(row.number, &field, why);
                    }
                    self.writer.write(&written)?;
                    self.written += 1;
                }
                Err(Hindrance::Item(why)) => self.losses.note(row.number, "row", why),
                Err(Hindrance::Output(error)) => return Err(error),
            }
        }
        Ok(())
    }

    /// The row for a record, and what is lost of it.
    fn carry(&mut self, mut record: Record) -> Result<(Row, Vec<(String, String)>), Hindrance> {
        let extra = record.extra.clone();
        let place = self.layout.place(&mut record).map_err(Hindrance::Item)?;
        // Whether the format takes the record at all, before its pictures are carried anywhere.
        self.written(&self.files.with_stand_ins(&record))
            .map_err(Hindrance::Item)?;
        let mut record = self.files.carry(&record, place.as_deref())?;
        let (row, read_back) = self.written(&record).map_err(Hindrance::Item)?;
        // A place that was given is nothing that could be lost.
        record.extra = extra;
        Ok((row, differences(&record, &read_back)))
    }

    /// The row for a record, and the record that it will be read as.
    fn written(&self, record: &Record) -> Result<(Row, Record), String> {
        let mut row = self.layout.write(record)?;
        row.number = self.written + 1;
        self.layout.count(&mut row);
        let mut faults = Vec::new();
        let read_back = self
            .layout
            .read(Fields::new(echo(&row, self.container, &self.columns), &mut faults));
        if let Some(fault) = faults.iter().find(|fault| fault.kind.severity() == Severity::Error) {
            return Err(format!("it would not be read back: {}", fault.problem));
        }
        match <[Record; 1]>::try_from(read_back) {
            Ok([read_back]) => Ok((row, read_back)),
            Err(_) => Err("it would not be read back as one item".into()),
        }
    }
}

/// A file that appears under its name when it is whole, and is taken back otherwise.
struct Partial {
    path: PathBuf,
}

impl Partial {
    fn beside(output: &Path) -> Self {
        let mut name = output.file_name().unwrap_or_default().to_owned();
        name.push(".partial");
        Self {
            path: output.with_file_name(name),
        }
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

/// LLaMA-Factory's `dataset_info.json` beside the output, with an entry for it, where the output is for LLaMA-Factory.
fn describe(request: &ConvertRequest) -> Result<Option<(PathBuf, String)>, FormatError> {
    let output = request.output;
    let file_name = output.file_name().unwrap_or_default().to_string_lossy();
    let Some(entry) = llama_factory::entry(request.to, &file_name) else {
        return Ok(None);
    };
    let path = output.with_file_name(llama_factory::FILE_NAME);
    let mut entries: Map<String, Value> = match fs_err::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text).map_err(|error| FormatError::Malformed {
            path: path.clone(),
            row: None,
            problem: format!("expected an object of datasets by name: {error}"),
        })?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Map::new(),
        Err(error) => return Err(error.into()),
    };
    let name = output.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    entries.insert(name, entry);
    let text = serde_json::to_string_pretty(&entries).map_err(std::io::Error::from)?;
    Ok(Some((path, text + "\n")))
}
