//! `PuzzleVQA`: `items.jsonl`, one puzzle a line, with a picture and two to five options.

use std::path::Path;

use serde::{Deserialize, Deserializer};

use super::{Rows, question};
use crate::eval::options::Choice;
use crate::types::{DataError, Item, ItemKind};

#[derive(Deserialize)]
struct Row {
    id: String,
    family: String,
    image: String,
    question: String,
    options: Vec<Text>,
    answer: Text,
}

/// A string or a number, which the files use for the same thing: both are compared as text.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => Ok(Self(text)),
            serde_json::Value::Number(number) => Ok(Self(number.to_string())),
            other => Err(serde::de::Error::custom(format!(
                "expected a string or a number, got {other}"
            ))),
        }
    }
}

pub(super) fn load(folder: &Path) -> Result<Rows, DataError> {
    let path = folder.join("items.jsonl");
    let text = fs_err::read_to_string(&path)?;
    let mut rows = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let fault = |problem: String| DataError::Line {
            path: path.clone(),
            line: index + 1,
            problem,
        };
        let row: Row = serde_json::from_str(line).map_err(|error| fault(error.to_string()))?;
        rows.push((index + 1, item(folder, row).map_err(fault)?));
    }
    Ok((path, rows))
}

/// The item of a row that is already read as JSON.
pub(super) fn read_row(folder: &Path, row: serde_json::Map<String, serde_json::Value>) -> Result<Item, String> {
    let row: Row = serde_json::from_value(row.into()).map_err(|error| error.to_string())?;
    item(folder, row)
}

/// The item, asked for one option. Differs from the published harness, which first asks for a description and then in
/// a second turn for the letter.
fn item(folder: &Path, row: Row) -> Result<Item, String> {
    let options: Vec<String> = row.options.into_iter().map(|option| option.0).collect();
    let choice = Choice {
        options,
        answer: row.answer.0,
    };
    if !(2..=26).contains(&choice.options.len()) {
        return Err(format!("`options`: expected 2 to 26, got {}", choice.options.len()));
    }
    if choice.options.iter().filter(|option| **option == choice.answer).count() != 1 {
        return Err(format!(
            "`answer`: expected exactly one of {:?}, got {:?}",
            choice.options, choice.answer
        ));
    }
    let text = format!(
        "{}\nOptions:\n{}Answer with the letter and the text of the one right option.",
        row.question.trim(),
        choice.lines()
    );
    Ok(Item {
        id: format!("puzzlevqa-{}", row.id),
        messages: question(Some(folder.join(row.image)), text),
        split: Some("puzzlevqa".into()),
        kind: Some(ItemKind::General),
        category: Some(row.family),
        twin_of: None,
        truth: Some(serde_json::to_value(choice).map_err(|error| error.to_string())?),
    })
}
