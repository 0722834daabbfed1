//! A file as records: its container is opened, its format found, and each row read by the format's layout.

use std::path::{Path, PathBuf};

use crate::detect::{detect, first_names};
use crate::error::FormatError;
use crate::field_reader::FieldReader;
use crate::format::{Format, Layout};
use crate::layouts::llama_factory::{self, Entry};
use crate::media::marked_in_words;
use crate::record::Record;
use rows::{Container, Problem, ProblemKind, RowIter, RowResult};

/// The rows of a file as its format reads them.
pub(crate) struct RecordReader {
    /// The format.
    pub format: Format,
    /// The columns that the format needs and the file lacks.
    pub missing: Vec<String>,
    /// The file's columns, where it has any.
    pub columns: Vec<String>,
    layout: Box<dyn Layout>,
    rows: RowIter,
    /// The split that the file's name says, for items that name none.
    split: Option<&'static str>,
    /// The file's folder, and the one above in which its images may be as well, both absolute.
    folders: Option<[PathBuf; 2]>,
}

/// A row as its format reads it.
pub(crate) struct ReadRow {
    /// The row's number, counted from 1.
    pub number: usize,
    /// The line on which it begins, where the container has lines.
    pub line: Option<usize>,
    /// Its records, with paths of images as they are written there.
    pub records: Vec<Record>,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
}

impl ReadRow {
    /// Whether it shows a film or sound; whatever else is wrong with it may come from that.
    pub fn has_media(&self) -> bool {
        self.problems.iter().any(|problem| problem.kind == ProblemKind::Media)
    }

    /// The first problem that makes the row unusable.
    pub fn error(&self) -> Option<&Problem> {
        self.problems.iter().find(|problem| problem.is_error())
    }
}

impl RecordReader {
    /// Opens a file; its format is detected where none is given.
    ///
    /// Errors: `Io` naming the file; `Unrecognized` naming what was looked at; `Malformed` where it cannot be read at
    /// all.
    pub fn open(path: &Path, format: Option<Format>) -> Result<Self, FormatError> {
        let container = Container::of(path)?;
        let entry = if format.is_none_or(llama_factory::is_described) { Entry::of(path)? } else { None };
        let format = match (format, &entry) {
            (Some(format), _) => format,
            (None, Some(entry)) if first_names(path, container)?.contains(entry.main_column()) => entry.format(),
            (None, _) => detect(path, container)?,
        };
        let entry = entry.filter(|entry| entry.format() == format);
        let folders = entry.as_ref().and_then(|entry| {
            let own = std::path::absolute(path).ok()?.parent()?.to_owned();
            (own != entry.folder).then(|| [own, entry.folder.clone()])
        });
        let (mut missing, layout) = match entry {
            Some(entry) => (vec![entry.main_column().to_owned()], entry.layout()),
            None => (format.description().required.iter().copied().map(str::to_owned).collect(), format.layout()),
        };
        let opened = rows::open(path, container)?;
        let columns = opened.columns.unwrap_or_default();
        missing.retain(|name| container.has_columns() && !columns.contains(name));
        let file_stem = path.file_stem().and_then(|stem| stem.to_str());
        Ok(Self {
            format,
            missing,
            columns,
            rows: layout.follow_references(path, container, opened.rows)?,
            split: file_stem.and_then(|stem| layout.split_of(stem)),
            layout,
            folders,
        })
    }

    /// Says which column is missing.
    pub fn missing_column(&self, name: &str) -> String {
        format!("expected a column `{name}`, got {}", self.columns.join(", "))
    }

    fn read(&self, row: RowResult) -> ReadRow {
        match row {
            Ok(mut row) => {
                let (number, line) = (row.number, row.line);
                let mut problems = std::mem::take(&mut row.problems);
                let mut fields = FieldReader::new(row, &mut problems);
                fields.note_media_columns();
                let mut records = self.layout.read(fields);
                for record in &mut records {
                    record.item.split = record.item.split.take().or(self.split.map(str::to_owned));
                    if let Some([own, above]) = &self.folders {
                        record.look_for_images(own, above);
                    }
                }
                let mut row = ReadRow { number, line, records, problems };
                if !row.has_media() {
                    row.problems.extend(row.records.iter().find_map(marked_in_words));
                }
                row
            }
            Err(broken) => ReadRow {
                number: broken.number,
                line: broken.line,
                records: Vec::new(),
                problems: vec![broken.problem],
            },
        }
    }
}

impl Iterator for RecordReader {
    type Item = ReadRow;

    fn next(&mut self) -> Option<ReadRow> {
        let row = self.rows.next()?;
        Some(self.read(row))
    }
}
