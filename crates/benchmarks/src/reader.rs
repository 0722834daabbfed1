//! Rows of a suite's files, each with the place where it stands, and the items that are made of them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use align::eval::suite::Deviation;
use align::types::{DataError, Item, Message, Part, Role, id_of, image_paths};
use diagnostic::read_json;
use rows::{Container, Image, RowsError, extension_of};
use serde::de::IgnoredAny;
use serde_json::{Deserializer, Map, Value, json};

use crate::find::{matching, source_text, text_of};
use crate::images::Images;

/// Of so many items one may miss an image; where more do, the suite is not complete enough to be evaluated on.
const MISSING_ALLOWED: usize = 10;

/// Reads a suite's files, and collects its items.
#[derive(Debug)]
pub struct Reader<'a> {
    folder: &'a Path,
    images: &'a mut Images,
    ids: HashSet<String>,
    items: Vec<Item>,
    missing: Vec<Missing>,
    last: PathBuf,
    sources: Vec<PathBuf>,
    deviations: Vec<Deviation>,
    unshown: Option<String>,
}

/// An item that cannot be asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The item.
    pub id: String,
    /// The file that holds it.
    pub file: PathBuf,
    /// The line.
    pub line: usize,
    /// The first of its images that is not there.
    pub image: PathBuf,
}

/// A suite's items.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loaded {
    /// The items, in the order of the suite's files.
    pub items: Vec<Item>,
    /// Those that are left out, since an image of theirs is missing.
    pub missing: Vec<Missing>,
    /// What of them is not as the authors have it.
    pub deviations: Vec<Deviation>,
    /// Why none of them has its images, where they are not published with the rest.
    pub unshown: Option<String>,
}

impl<'a> Reader<'a> {
    /// A reader of the files in this folder. The authors' sources may be in any of `sources`.
    pub fn new(folder: &'a Path, sources: Vec<PathBuf>, images: &'a mut Images) -> Self {
        Self {
            folder,
            images,
            ids: HashSet::new(),
            items: Vec::new(),
            missing: Vec::new(),
            last: folder.to_owned(),
            sources,
            deviations: Vec::new(),
            unshown: None,
        }
    }

    /// The suite's folder.
    pub fn folder(&self) -> &Path {
        self.folder
    }

    /// The first of these files that is there; the last where none is, so that opening it names it. `*` stands for any
    /// letters of a name.
    pub fn first(&mut self, names: &[&str]) -> PathBuf {
        let found = names.iter().find_map(|name| matching(self.folder, name).into_iter().next());
        self.last = found.unwrap_or_else(|| self.folder.join(names.last().unwrap_or(&"")));
        self.last.clone()
    }

    /// All files of the first of these names that one has, such as the shards of a parquet file; the last name where none
    /// has, so that opening it names it.
    pub fn shards(&mut self, names: &[&str]) -> Vec<PathBuf> {
        let files = |name: &&str| matching(self.folder, name).into_iter().filter(|path| path.is_file()).collect();
        let found = names.iter().map(files).find(|files: &Vec<PathBuf>| !files.is_empty());
        let found = found.unwrap_or_else(|| vec![self.folder.join(names.last().unwrap_or(&""))]);
        self.last.clone_from(&found[0]);
        found
    }

    /// All files of a path in which `*` stands for any letters of a name.
    pub fn all(&self, name: &str) -> Vec<PathBuf> {
        matching(self.folder, name)
    }

    /// The file in the first of these folders that has it, else in the first that is there, else in the first: where images
    /// lie differs by layout.
    pub fn image(&self, folders: &[&str], name: &str) -> PathBuf {
        // As written on Windows.
        let name = name.replace('\\', "/");
        let paths = || folders.iter().map(|folder| self.folder.join(folder).join(&name));
        let there = paths().find(|path| path.is_file());
        let expected = there.or_else(|| paths().find(|path| path.parent().is_some_and(Path::is_dir)));
        expected.or_else(|| paths().next()).unwrap_or_else(|| self.folder.join(&name))
    }

    /// A text of every prompt, found in a file of the authors' sources where the user has a copy of them. Else it is ours,
    /// which is recorded as a deviation.
    pub fn authors_text(&mut self, file: &str, find: impl Fn(&str) -> Option<String>, ours: &str) -> String {
        source_text(&self.sources, &[file], find).unwrap_or_else(|| {
            self.deviations.push(Deviation {
                setting: "prompt".to_owned(),
                authors: format!("the wording of {file}, which was not found"),
                here: ours.to_owned(),
            });
            ours.to_owned()
        })
    }

    /// Records what is done otherwise than the authors do it.
    pub fn deviates(&mut self, deviation: Deviation) {
        self.deviations.push(deviation);
    }

    /// Says that the items are read without their images, which are not published, and where they would be. Training prompts
    /// can be compared with such items, and models cannot be evaluated on them.
    pub fn unshown(&mut self, why: String) {
        self.unshown = Some(why);
    }

    /// The path of an image that came as bytes.
    ///
    /// Errors: `Io` naming the file that cannot be written.
    pub fn embedded(&mut self, bytes: &[u8]) -> Result<PathBuf, DataError> {
        Ok(self.images.path_of(bytes)?)
    }

    /// The paths of a column's images: bytes become files, paths are relative to the suite's folder.
    ///
    /// Errors: as [`Reader::embedded`]; `Line` where the column holds what is no image.
    pub fn images_of(&mut self, row: &FileRow, column: &str) -> Result<Vec<PathBuf>, DataError> {
        let mut images = row.images(column)?;
        let mut paths = Vec::with_capacity(images.len());
        for image in images.drain(..) {
            paths.push(match image {
                Image::Bytes { bytes, .. } => self.embedded(&bytes)?,
                Image::File(path) => self.folder.join(path),
                Image::Remote(address) => return Err(row.error(format!("`{column}`: {address} is an address"))),
            });
        }
        Ok(paths)
    }

    /// Adds an item that a row holds. One whose image is missing is counted instead.
    ///
    /// Errors: `Line` for an id that occurred before.
    pub fn add(&mut self, row: &FileRow, item: Item) -> Result<(), DataError> {
        if !self.ids.insert(item.id.clone()) {
            return Err(row.error(format!("id `{}` occurs twice: expected unique ids", item.id)));
        }
        self.last.clone_from(&row.file);
        let missing = image_paths(&item.messages).find(|image| !self.images.has(image)).map(Path::to_owned);
        match missing {
            Some(image) => {
                self.missing.push(Missing { id: item.id, file: row.file.clone(), line: row.line, image });
            }
            None => self.items.push(item),
        }
        Ok(())
    }

    /// The items.
    ///
    /// Errors: `Empty` where there is none.
    pub fn finish(self) -> Result<Loaded, DataError> {
        let Self { items, missing, last, deviations, unshown, .. } = self;
        if items.is_empty() && missing.is_empty() {
            return Err(DataError::Empty { path: last });
        }
        Ok(Loaded { items, missing, deviations, unshown })
    }
}

impl Loaded {
    /// Makes sure that enough items have their images.
    ///
    /// Errors: `Line` where more than a tenth miss one; `Io` where all are without.
    pub fn check_complete(&self) -> Result<(), DataError> {
        if let Some(why) = &self.unshown {
            return Err(std::io::Error::new(std::io::ErrorKind::NotFound, why.clone()).into());
        }
        let (n, n_missing) = (self.items.len() + self.missing.len(), self.missing.len());
        let Some(first) = self.missing.first().filter(|_| n_missing * MISSING_ALLOWED > n) else {
            return Ok(());
        };
        let image = first.image.display();
        let problem =
            format!("image {image} is missing, and {n_missing} of {n} items miss one: expected at most a tenth");
        Err(DataError::Line { path: first.file.clone(), line: first.line, problem })
    }
}

/// A row of a file: an object of fields, and images that it holds as bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct FileRow {
    /// The file.
    pub file: PathBuf,
    /// The line on which it begins, or its number where the file has no lines.
    pub line: usize,
    /// Its fields.
    pub fields: Map<String, Value>,
    images: std::collections::BTreeMap<String, Vec<Image>>,
}

/// The rows of a file, JSON lines, a JSON list, CSV, TSV, parquet or a workbook of Excel, one at a time.
///
/// Errors: `Io` naming the file; `Line` naming file and line of a row that cannot be read.
pub fn rows_of(file: &Path) -> Result<impl Iterator<Item = Result<FileRow, DataError>> + use<>, DataError> {
    let opened = match extension_of(file).as_str() {
        "xlsx" => rows::workbook(file),
        _ => Container::of(file).and_then(|container| rows::open(file, container)),
    };
    let rows = opened.map_err(|error| data_error(file, error))?.rows;
    let file = file.to_owned();
    Ok(rows.map(move |row| {
        let row =
            row.map_err(|broken| line_error(&file, broken.line.unwrap_or(broken.number), broken.problem.message))?;
        Ok(FileRow { file: file.clone(), line: row.line.unwrap_or(row.number), fields: row.fields, images: row.images })
    }))
}

/// The entries of a JSON object by their keys, each an object, in the file's order.
///
/// Errors: as [`rows_of`].
pub fn entries_of(file: &Path) -> Result<Vec<(String, FileRow)>, DataError> {
    let text = text_of(file)?;
    let entries: Map<String, Value> =
        read_json(text.as_bytes()).map_err(|problem| line_error(file, problem.line, problem.to_string()))?;
    let (mut from, mut line) = (0, 1);
    let mut rows = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        // Keys stand in the file in this order, so that each is looked for after the one before.
        let at = text[from..].find(&format!("\"{key}\"")).map_or(from, |at| from + at);
        line += text[from..at].matches('\n').count();
        from = at;
        let Value::Object(fields) = value else {
            return Err(line_error(file, line, format!("`{key}`: expected an object")));
        };
        rows.push((key, FileRow { file: file.to_owned(), line, fields, images: [].into() }));
    }
    Ok(rows)
}

/// The entries of the list of objects under a key of a JSON object.
///
/// Errors: as [`rows_of`].
pub fn listed_in(file: &Path, key: &str) -> Result<Vec<FileRow>, DataError> {
    let text = text_of(file)?;
    let mut object: Map<String, Value> =
        read_json(text.as_bytes()).map_err(|problem| line_error(file, problem.line, problem.to_string()))?;
    let Some(Value::Array(entries)) = object.remove(key) else {
        return Err(line_error(file, 1, format!("`{key}`: expected a list")));
    };
    let (mut from, mut line) = (text.find(&format!("\"{key}\"")).unwrap_or(0), 1);
    line += text[..from].matches('\n').count();
    let mut rows = Vec::with_capacity(entries.len());
    for entry in entries {
        let Value::Object(fields) = entry else {
            return Err(line_error(file, line, format!("`{key}`: expected a list of objects")));
        };
        let at = text[from..].find('{').map_or(from, |at| from + at);
        line += text[from..at].matches('\n').count();
        rows.push(FileRow::of(file, line, fields));
        let mut entry = Deserializer::from_str(&text[at..]).into_iter::<IgnoredAny>();
        entry.next();
        from = at + entry.byte_offset();
        line += text[at..from].matches('\n').count();
    }
    Ok(rows)
}

impl FileRow {
    /// A row of its own, such as an object within another.
    pub fn of(file: &Path, line: usize, fields: Map<String, Value>) -> Self {
        Self { file: file.to_owned(), line, fields, images: [].into() }
    }

    /// What is wrong with the row.
    pub fn error(&self, problem: impl Into<String>) -> DataError {
        line_error(&self.file, self.line, problem.into())
    }

    /// A field's text; a number is its decimal text.
    ///
    /// Errors: `Line` where there is none.
    pub fn text(&self, name: &str) -> Result<String, DataError> {
        self.optional(name).ok_or_else(|| self.error(missing_field(&self.fields, name)))
    }

    /// A field's texts.
    ///
    /// Errors: `Line` where it is no list of texts.
    pub fn texts(&self, name: &str) -> Result<Vec<String>, DataError> {
        let list = self.fields.get(name).and_then(Value::as_array);
        let texts = list.and_then(|list| list.iter().map(id_of).collect::<Option<Vec<_>>>());
        texts.ok_or_else(|| self.error(format!("`{name}`: expected a list of texts")))
    }

    /// A field's text, where it has one.
    pub fn optional(&self, name: &str) -> Option<String> {
        self.fields.get(name).and_then(id_of)
    }

    /// Whether the row has such a field, or images under it.
    pub fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name) || self.images.contains_key(name)
    }

    /// The images of a column: bytes, base64, paths, one or a list.
    ///
    /// Errors: `Line` where the column holds what is no image.
    pub fn images(&self, column: &str) -> Result<Vec<Image>, DataError> {
        if let Some(images) = self.images.get(column) {
            return Ok(images.clone());
        }
        let values = match self.fields.get(column) {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(values)) => values.clone(),
            Some(value) => vec![value.clone()],
        };
        let read = values.iter().map(|value| {
            let text = value.as_str().ok_or("expected a path, base64 or bytes")?;
            Image::from_reference(text)
        });
        let read: Result<Vec<Image>, String> = read.collect();
        read.map_err(|problem| self.error(format!("`{column}`: {problem}")))
    }
}

/// What is said of a field that is missing or no text.
pub fn missing_field(fields: &Map<String, Value>, name: &str) -> String {
    match fields.get(name) {
        None | Some(Value::Null) => format!("missing field `{name}`"),
        Some(other) => format!("`{name}`: expected text, got {}", rows::shown(other)),
    }
}

/// An item of a user's message, images first, then the text.
pub fn question(id: String, images: impl IntoIterator<Item = PathBuf>, text: impl Into<String>) -> Item {
    let mut content: Vec<Part> = images.into_iter().map(Part::image).collect();
    content.push(Part::Text { text: text.into() });
    asked(id, vec![Message { role: Role::User, content }])
}

/// The item with its question kept in its truth, as it is without what the suite puts around it or shows in its place:
/// training prompts are compared with it too.
#[must_use]
pub fn with_question(mut item: Item, question: &str) -> Item {
    item.truth.get_or_insert_with(|| json!({}))[QUESTION] = question.trim().into();
    item
}

/// The field of a truth that holds the question.
pub const QUESTION: &str = "question";

/// An item of a dialogue.
pub fn asked(id: String, messages: Vec<Message>) -> Item {
    Item { id, messages, split: None, kind: None, category: None, twin_of: None, truth: None }
}

/// What is wrong with a line of a file.
pub fn line_error(path: &Path, line: usize, problem: String) -> DataError {
    DataError::Line { path: path.to_owned(), line, problem }
}

fn data_error(file: &Path, error: RowsError) -> DataError {
    match error {
        RowsError::Io(error) => DataError::Io(error),
        RowsError::Malformed { row, problem, .. } => line_error(file, row.unwrap_or(1), problem.message),
        other => line_error(file, 1, other.to_string()),
    }
}
