//! VLMEvalKit's table: TSV with a header, pictures in base64.
//!
//! ```text
//! index, image: base64, or a list of base64 in brackets where there are several, or another row's index, whose picture
//! is meant; image_path, one or a list, where there is no image; question, hint?, A, B, …?, answer, category,
//! l2-category, split
//! ```
//!
//! Pictures come before the question. Rows with options are asked as VLMEvalKit asks them: hint, question, options. An
//! item's own fields are columns; every value is text.

use std::path::Path;

use align::types::{Message, Part, Role};
use serde_json::{Map, Value};

use super::Layout;
use crate::error::FormatError;
use crate::fault::FaultKind;
use crate::fields::{Fields, Truth, put_extra, put_own};
use crate::record::{Picture, Record, question};
use crate::rows::{CellIndex, ColumnType, Container, Row, RowResult};

pub(crate) struct VlmEvalKit;

const LETTERS: [&str; 10] = ["A", "B", "C", "D", "E", "F", "G", "H", "I", "J"];
/// A cell that is no longer is no picture: VLMEvalKit takes it for the index of the row whose picture is meant.
const SHORTEST_PICTURE: usize = 64;

/// Puts the picture that is meant in the place of another row's index, so that a picture that many rows show need stand
/// in a table but once (`ImageBaseDataset.__init__` in VLMEvalKit).
///
/// Errors: `Io` naming the file.
pub(crate) fn follow_references(
    path: &Path,
    container: Container,
    rows: Box<dyn Iterator<Item = RowResult>>,
) -> Result<Box<dyn Iterator<Item = RowResult>>, FormatError> {
    let Some(mut index) = CellIndex::build(path, container, "index", "image", is_reference)? else {
        return Ok(rows);
    };
    Ok(Box::new(rows.map(move |row| {
        let mut row = row?;
        if let Some(Value::String(cell)) = row.fields.get_mut("image")
            && is_reference(cell.as_bytes())
            && let Some(meant) = index.cell(cell)
        {
            *cell = meant;
        }
        Ok(row)
    })))
}

/// Whether a cell of the column `image` is an index.
fn is_reference(cell: &[u8]) -> bool {
    let cell = cell.trim_ascii();
    (1..=SHORTEST_PICTURE).contains(&cell.len()) && cell[0] != b'['
}

impl Layout for VlmEvalKit {
    fn required(&self) -> &'static [&'static str] {
        &["question"]
    }

    fn columns(&self) -> Vec<(&'static str, ColumnType)> {
        ["index", "image", "question", "answer", "category", "split"]
            .map(|name| (name, ColumnType::Text))
            .into()
    }

    fn read(&self, mut fields: Fields) -> Vec<Record> {
        let index = fields.text("index");
        let had_id = fields.has("id");
        let mut item = fields.item(Truth::Text);
        if let (false, Some(index)) = (had_id, index) {
            item.id = index;
        }
        let pictures = read_pictures(&mut fields);
        let text = match fields.get("question").and_then(Value::as_str) {
            Some(_) => prompt(|name| fields.get(name).and_then(Value::as_str).map(str::to_owned)),
            None => fields.required_text("question").unwrap_or_default(),
        };
        if LETTERS.iter().all(|letter| !fields.has(letter)) && !fields.has("hint") {
            fields.take("question");
        }
        item.messages = vec![question(&pictures, text)];
        item.messages.extend(
            fields
                .text("answer")
                .map(|answer| Message::text(Role::Assistant, answer)),
        );
        vec![fields.record(item, pictures)]
    }

    fn write(&self, record: &Record) -> Result<Row, String> {
        let asked = record.only_question()?;
        let words: String = asked
            .content
            .iter()
            .filter_map(|part| match part {
                Part::Text { text } => Some(text.as_str()),
                Part::Image { .. } => None,
            })
            .collect();
        // A row that came with options goes with them; any other question goes as it is.
        let came_so = prompt(|name| record.extra_text(name).map(str::to_owned)) == words;
        let asked_with_options = came_so && record.extra.contains_key("question");
        let asks = if asked_with_options {
            record.extra_text("question").unwrap_or_default().to_owned()
        } else {
            words
        };
        let mut fields = Map::new();
        fields.insert("image".to_owned(), image_cell(&record.pictures).into());
        fields.insert("question".to_owned(), asks.into());
        fields.insert("answer".to_owned(), record.item.label().unwrap_or_default().into());
        put_own(&mut fields, record, Truth::Text);
        let mut reserved = vec!["index", "image", "question", "answer"];
        if record.pictures.is_empty() {
            // It would be read as the picture that is not there.
            reserved.push("image_path");
        }
        if !asked_with_options {
            reserved.extend(LETTERS);
            reserved.push("hint");
        }
        put_extra(&mut fields, record, &reserved);
        Ok(Row {
            fields,
            ..Row::default()
        })
    }

    fn count(&self, row: &mut Row) {
        row.fields.insert("index".to_owned(), row.number.to_string().into());
    }
}

fn image_cell(pictures: &[Picture]) -> String {
    let cells: Vec<String> = pictures.iter().filter_map(Picture::to_base64).collect();
    match &cells[..] {
        [one] => one.clone(),
        [] => String::new(),
        // Base64 needs no escapes, so that this is a list to JSON and to Python alike.
        several => Value::from(several).to_string(),
    }
}

/// The pictures of `image`, or where it is empty the files of `image_path`.
fn read_pictures(fields: &mut Fields) -> Vec<Picture> {
    if let Some(cell) = fields.text("image") {
        let cells = cells(fields, "image", &cell);
        return cells.iter().filter_map(|cell| embedded(fields, cell)).collect();
    }
    let Some(cell) = fields.text("image_path") else {
        return Vec::new();
    };
    let paths = cells(fields, "image_path", &cell);
    let mut pictures = Vec::new();
    for path in paths {
        pictures.extend(fields.picture("image_path", &path.into()));
    }
    pictures
}

/// The values of a cell that holds one, or a list of them as Python or JSON writes it.
fn cells(fields: &mut Fields, name: &str, cell: &str) -> Vec<String> {
    let cell = cell.trim();
    if !cell.starts_with('[') {
        return vec![cell.to_owned()];
    }
    serde_json::from_str(cell)
        .or_else(|_| serde_json::from_str(&cell.replace('\'', "\"")))
        .unwrap_or_else(|error| {
            let problem = format!("`{name}`: expected one value or a list of strings: {error}");
            fields.fault(FaultKind::WrongType, problem);
            Vec::new()
        })
}

fn embedded(fields: &mut Fields, cell: &str) -> Option<Picture> {
    let decoded = if is_reference(cell.as_bytes()) {
        let problem = format!("expected base64 or the index of a row that holds a picture, got `{cell}`");
        Err((FaultKind::MissingImage, problem))
    } else {
        Picture::from_base64(cell).map_err(|problem| (FaultKind::BrokenImage, problem))
    };
    decoded
        .map_err(|(kind, problem)| fields.fault(kind, format!("`image`: {problem}")))
        .ok()
}

/// The question as VLMEvalKit's `ImageMCQDataset.build_prompt` puts it; the question alone where there is nothing else.
fn prompt(cell: impl Fn(&str) -> Option<String>) -> String {
    let asked = cell("question").unwrap_or_default();
    let hint = cell("hint").map(|hint| format!("Hint: {hint}\n")).unwrap_or_default();
    let options: String = LETTERS
        .iter()
        .filter_map(|letter| cell(letter).map(|option| format!("{letter}. {option}\n")))
        .collect();
    if hint.is_empty() && options.is_empty() {
        return asked;
    }
    let mut text = format!("{hint}Question: {asked}\n");
    if !options.is_empty() {
        text.push_str(&format!(
            "Options:\n{options}Please select the correct answer from the options above. \n"
        ));
    }
    text
}
