//! What a format is: its description, and the layout that its rows are read and written by.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::FormatError;
use crate::field_reader::FieldReader;
use crate::header::Header;
use crate::record::Record;
use rows::{ColumnType, Container, Row, RowIter, extension_of};

/// A format that files are read from and written to.
#[derive(Clone, Copy)]
pub struct Format(&'static Description);

/// All that is known of a format before a file is opened.
pub(crate) struct Description {
    /// Its name in settings and reports, then other names that are understood.
    pub names: &'static [&'static str],
    /// Whose it is, for help.
    pub about: &'static str,
    /// What it is written to, the usual container first; nothing where it is only read.
    pub containers: &'static [Container],
    /// The fields without which no row can be read. A file whose columns lack one is not read on.
    pub required: &'static [&'static str],
    /// How it holds images.
    pub images: ImageStorage,
    /// Whether a file that begins so is of this format. The first format that says yes is taken.
    pub recognizes: fn(&Header) -> bool,
    /// Its layout.
    pub layout: fn() -> Box<dyn Layout>,
}

/// How a format holds images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageStorage {
    /// As paths.
    Paths,
    /// As bytes.
    Bytes,
    /// Not at all.
    TextOnly,
}

impl Format {
    pub(crate) const fn new(description: &'static Description) -> Self {
        Self(description)
    }

    /// The format's name.
    pub fn name(self) -> &'static str {
        self.0.names[0]
    }

    /// Whose the format is.
    pub fn about(self) -> &'static str {
        self.0.about
    }

    /// How the format holds images.
    pub fn images(self) -> ImageStorage {
        self.0.images
    }

    /// The extensions of the files that the format is written to, the usual one first; none where it is only read.
    pub fn extensions(self) -> impl Iterator<Item = &'static str> {
        self.0.containers.iter().map(|container| container.extension())
    }

    /// What a file of this name is written as.
    ///
    /// Errors: `ReadOnly`; `Container` where the file extension is none of the format's.
    pub(crate) fn container_for(self, path: &Path) -> Result<Container, FormatError> {
        if self.0.containers.is_empty() {
            return Err(FormatError::ReadOnly { format: self.name() });
        }
        let extension = extension_of(path);
        let mut containers = self.0.containers.iter().copied();
        containers.find(|container| container.extension() == extension).ok_or_else(|| FormatError::Container {
            path: path.to_owned(),
            format: self.name(),
            expected: self.extensions().map(|extension| format!(".{extension}")).collect::<Vec<_>>().join(" or "),
        })
    }

    /// All that is known of the format.
    pub(crate) fn description(self) -> &'static Description {
        self.0
    }

    /// The format's layout.
    pub(crate) fn layout(self) -> Box<dyn Layout> {
        (self.0.layout)()
    }
}

impl PartialEq for Format {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Format {}

impl fmt::Debug for Format {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// What the fields of a format's rows mean: how a row becomes records, and a record a row.
pub(crate) trait Layout {
    /// The columns that are written even if no row has them; only where the container has columns.
    fn columns(&self) -> Vec<(&'static str, ColumnType)> {
        Vec::new()
    }

    /// The records of a row: one, for VLGuard up to two, none where the row cannot be read. Problems are noted with the
    /// fields, and as much is read as can be.
    fn read(&self, fields: FieldReader) -> Vec<Record>;

    /// The row for a record, whose images are already held as the format holds them.
    ///
    /// Errors: why the format cannot hold the record at all; any record where the format is only read.
    fn write(&self, _record: &Record) -> Result<Row, String> {
        Err("the format is only read".to_owned())
    }

    /// Puts the row's number where the format wants it.
    fn set_number(&self, _row: &mut Row) {}

    /// The path that the format prescribes for a record's image, relative to its file, if it does. Fields that the path
    /// is made of are added to the record.
    ///
    /// Errors: why the format cannot hold the record at all.
    fn assign_path(&mut self, _record: &mut Record) -> Result<Option<PathBuf>, String> {
        Ok(None)
    }

    /// The rows of a file, references to other rows resolved.
    ///
    /// Errors: `Io` naming the file.
    fn follow_references(&self, _path: &Path, _container: Container, rows: RowIter) -> Result<RowIter, FormatError> {
        Ok(rows)
    }

    /// The split that a file's name without its extension says, for items that name none.
    fn split_of(&self, _file_stem: &str) -> Option<&'static str> {
        None
    }
}
