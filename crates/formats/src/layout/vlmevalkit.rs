//! VLMEvalKit's table: TSV with a header, pictures in base64.
//!
//! ```text
//! index, image: base64, or a list of base64 in brackets where there are several; question, hint?, A, B, …?, answer,
//! category, l2-category, split
//! ```
//!
//! Pictures come before the question. Rows with options are asked as VLMEvalKit asks them: hint, question, options. An
//! item's own fields are columns; every value is text.

use align::types::{Message, Part, Role};
use serde_json::{Map, Value};

use super::Layout;
use crate::fault::FaultKind;
use crate::fields::{Fields, Truth, put_extra, put_own};
use crate::record::{Picture, Record, question};
use crate::rows::{ColumnType, Row};

pub(crate) struct VlmEvalKit;

const LETTERS: [&str; 10] = ["A", "B", "C", "D", "E", "F", "G", "H", "I", "J"];
/// A shorter cell is no picture: VLMEvalKit takes it for the index of the row whose picture is meant.
const SHORTEST_PICTURE: usize = 64;

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

fn read_pictures(fields: &mut Fields) -> Vec<Picture> {
    let Some(cell) = fields.text("image") else {
        return Vec::new();
    };
    let cells = match cell.trim() {
        list if list.starts_with('[') => {
            let list = list.replace('\'', "\"");
            match serde_json::from_str::<Vec<String>>(&list) {
                Ok(cells) => cells,
                Err(error) => {
                    fields.fault(
                        FaultKind::WrongType,
                        format!("`image`: expected a list of base64: {error}"),
                    );
                    return Vec::new();
                }
            }
        }
        one => vec![one.to_owned()],
    };
    let mut pictures = Vec::new();
    for cell in cells {
        let decoded = if cell.len() <= SHORTEST_PICTURE {
            let problem =
                format!("expected base64, got `{cell}`, which names another row's picture and is not followed");
            Err((FaultKind::UnsupportedImage, problem))
        } else {
            Picture::from_base64(&cell).map_err(|problem| (FaultKind::BrokenImage, problem))
        };
        match decoded {
            Ok(picture) => pictures.push(picture),
            Err((kind, problem)) => fields.fault(kind, format!("`image`: {problem}")),
        }
    }
    pictures
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
