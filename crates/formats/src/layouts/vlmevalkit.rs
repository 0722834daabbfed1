//! VLMEvalKit's table: TSV with a header, images in base64.
//!
//! ```text
//! index, image: base64, or a list of base64 in brackets where there are several, or another row's index, whose image
//! is meant; image_path, one or a list, where there is no image; question, hint?, A, B, …?, answer, category,
//! l2-category, split
//! ```
//!
//! Images come before the question. A question with options is put as VLMEvalKit puts it: hint, question, options. An
//! item's own fields are columns; every value is text.

use std::path::Path;

use diagnostic::excerpt;
use serde_json::Value;

use crate::error::FormatError;
use crate::field_reader::FieldReader;
use crate::format::{Description, Format, ImageStorage, Layout};
use crate::item_fields::{TruthAs, put_extra, put_item};
use crate::record::{Record, question};
use rows::{CellIndex, ColumnType, Container, Image, ProblemKind, Row, RowIter, text_columns};

pub(crate) const FORMAT: Format = Format::new(&Description {
    names: &["vlmevalkit"],
    about: "VLMEvalKit",
    containers: &[Container::Tsv],
    required: &["question"],
    images: ImageStorage::Bytes,
    recognizes: |header| header.is(Container::Tsv) && header.has("question"),
    layout: || Box::new(VlmEvalKit),
});

struct VlmEvalKit;

const LETTERS: [&str; 10] = ["A", "B", "C", "D", "E", "F", "G", "H", "I", "J"];
/// A cell that is no longer than this is not an image: VLMEvalKit takes it for the index of the row whose image is
/// meant.
const MAX_REFERENCE_LENGTH: usize = 64;

impl Layout for VlmEvalKit {
    fn columns(&self) -> Vec<(&'static str, ColumnType)> {
        text_columns(["index", "image", "question", "answer", "category", "split"])
    }

    fn read(&self, mut fields: FieldReader) -> Vec<Record> {
        let index = fields.id("index");
        let had_id = fields.has("id");
        let mut item = fields.item(TruthAs::Text);
        match index {
            Some(index) if !had_id => item.id = index,
            // The row's number, which every output counts itself.
            Some(index) if index != fields.number().to_string() => fields.put("index", index),
            _ => {}
        }
        let images = read_images(&mut fields);
        let text = match fields.get_text("question") {
            Some(_) => prompt(|name| fields.get_text(name)),
            None => fields.required_text("question"),
        };
        if LETTERS.iter().all(|letter| !fields.has(letter)) && !fields.has("hint") {
            fields.take("question");
        }
        item.messages = vec![question(&images, text)];
        item.messages.extend(fields.answer("answer"));
        vec![fields.record(item, images)]
    }

    fn write(&self, record: &Record) -> Result<Row, String> {
        let text = record.only_question()?.plain_text();
        // A row that came with options is written with them; any other question is written as it is.
        let has_options = record.extra.contains_key("question") && prompt(|name| record.extra_text(name)) == text;
        let question = if has_options { record.extra_text("question").unwrap_or_default() } else { &text };
        let mut row = Row::default();
        row.set("image", image_cell(&record.images));
        row.set("question", question);
        row.set("answer", record.label_or_empty());
        put_item(&mut row.fields, record, TruthAs::Text);
        let mut reserved = vec!["index", "image", "question", "answer"];
        if record.images.is_empty() {
            // It would be read as an image that the record does not have.
            reserved.push("image_path");
        }
        if !has_options {
            reserved.extend(LETTERS);
            reserved.push("hint");
        }
        put_extra(&mut row.fields, record, &reserved);
        Ok(row)
    }

    fn set_number(&self, row: &mut Row) {
        row.set("index", row.number.to_string());
    }

    /// Replaces another row's index by that row's image; so an image of many rows is in the table only once
    /// (`ImageBaseDataset.__init__` in VLMEvalKit).
    fn follow_references(&self, path: &Path, container: Container, rows: RowIter) -> Result<RowIter, FormatError> {
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
}

/// Whether a cell of the column `image` is an index.
fn is_reference(cell: &[u8]) -> bool {
    let cell = cell.trim_ascii();
    (1..=MAX_REFERENCE_LENGTH).contains(&cell.len()) && cell[0] != b'['
}

fn image_cell(images: &[Image]) -> String {
    let cells: Vec<String> = images.iter().filter_map(Image::to_base64).collect();
    match &cells[..] {
        [one] => one.clone(),
        [] => String::new(),
        // Base64 needs no escapes, so that this is a list to JSON and to Python alike.
        several => Value::from(several).to_string(),
    }
}

/// The images of `image`, or where it is empty the files of `image_path`.
fn read_images(fields: &mut FieldReader) -> Vec<Image> {
    if let Some(cell) = fields.text("image") {
        let cells = cells(fields, "image", &cell);
        return cells.iter().filter_map(|cell| embedded(fields, cell)).collect();
    }
    let Some(cell) = fields.text("image_path") else {
        return Vec::new();
    };
    let paths = cells(fields, "image_path", &cell).into_iter();
    paths.filter_map(|path| fields.image("image_path", path.into())).collect()
}

/// The values of a cell that holds one, or a list of them as Python or JSON writes it.
fn cells(fields: &mut FieldReader, name: &str, cell: &str) -> Vec<String> {
    let cell = cell.trim();
    if !cell.starts_with('[') {
        return vec![cell.to_owned()];
    }
    serde_json::from_str(cell).or_else(|_| serde_json::from_str(&cell.replace('\'', "\""))).unwrap_or_else(|_| {
        let message = format!("`{name}`: expected one value or a list of strings, got `{}`", excerpt(cell));
        fields.note(ProblemKind::WrongType, message);
        Vec::new()
    })
}

fn embedded(fields: &mut FieldReader, cell: &str) -> Option<Image> {
    if is_reference(cell.as_bytes()) {
        let message = format!("`image`: expected base64 or the index of a row with an image, got `{cell}`");
        fields.note(ProblemKind::MissingImage, message);
        return None;
    }
    fields.decoded("image", Image::from_base64(cell))
}

/// The question as VLMEvalKit's `ImageMCQDataset.build_prompt` builds it; only the question if there is no hint or option.
fn prompt<'a>(cell: impl Fn(&str) -> Option<&'a str>) -> String {
    let question = cell("question").unwrap_or_default();
    let hint = cell("hint").map(|hint| format!("Hint: {hint}\n")).unwrap_or_default();
    let options: String =
        LETTERS.iter().filter_map(|letter| cell(letter).map(|option| format!("{letter}. {option}\n"))).collect();
    if hint.is_empty() && options.is_empty() {
        return question.to_owned();
    }
    let mut text = format!("{hint}Question: {question}\n");
    if !options.is_empty() {
        text.push_str(&format!("Options:\n{options}Please select the correct answer from the options above. \n"));
    }
    text
}
