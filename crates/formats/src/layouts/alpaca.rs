//! LLaMA-Factory's alpaca: a JSON list or JSON lines, with an entry in the `dataset_info.json` next to it.
//!
//! ```text
//! {"instruction": "<image>…", "input"?: "…", "output"?: "…", "history"?: [["…", "…"], …], "system"?: "…",
//!  "images": [path, …], …}
//! ```
//!
//! The question is the instruction, and the input on a line of its own; `history` holds the turns before. Columns of
//! other names are read if a `dataset_info.json` says so. An item's own fields are further fields.

use align::types::{Message, Role};
use serde_json::{Value, json};

use super::llama_factory::names::ColumnNames;
use crate::field_reader::FieldReader;
use crate::format::{Description, Format, ImageStorage, Layout};
use crate::item_fields::{TruthAs, with_rest};
use crate::placeholders::{self, Unplaced, text_of};
use crate::record::Record;
use rows::{Container, Row};

pub(crate) const FORMAT: Format = Format::new(&Description {
    names: &["alpaca"],
    about: "LLaMA-Factory's alpaca, with a dataset_info.json",
    containers: &[Container::JsonList, Container::JsonLines],
    required: &["instruction"],
    images: ImageStorage::Paths,
    recognizes: |header| !header.is(Container::Tsv) && header.has_all(&["instruction", "output"]),
    layout: || Box::new(Alpaca::default()),
});

#[derive(Default)]
pub(super) struct Alpaca {
    /// What the file calls its columns.
    pub columns: ColumnNames,
}

const RESERVED: &[&str] = &["instruction", "input", "output", "history", "system", "images"];

impl Layout for Alpaca {
    fn read(&self, mut fields: FieldReader) -> Vec<Record> {
        let columns = &self.columns;
        columns.media().for_each(|name| fields.note_media(name));
        let mut item = fields.item(TruthAs::Json);
        let images = columns.images.as_ref().map(|name| fields.images(name)).unwrap_or_default();
        let system = fields.filled_text(columns.system.as_deref());
        let mut turns: Vec<(Role, String)> = system.map(|text| (Role::System, text)).into_iter().collect();
        if let Some(name) = &columns.history {
            turns.extend(history(&mut fields, name));
        }
        let mut question = fields.required_text(&columns.prompt);
        if let Some(input) = fields.filled_text(columns.query.as_deref()) {
            question = format!("{question}\n{input}");
        }
        turns.push((Role::User, question));
        let output = fields.filled_text(columns.response.as_deref());
        turns.extend(output.map(|text| (Role::Assistant, text)));
        item.messages = placeholders::messages(turns, &images, Unplaced::Refused, fields.problems());
        vec![fields.record(item, images)]
    }

    fn write(&self, record: &Record) -> Result<Row, String> {
        let (system, turns) = match record.item.prompt().split_first() {
            Some((first, rest)) if first.role == Role::System => (Some(first), rest),
            _ => (None, record.item.prompt()),
        };
        let (question, before) = turns
            .split_last()
            .filter(|(question, _)| question.role == Role::User)
            .ok_or("it ends with a question, which this item does not")?;
        let mut row = Row::default();
        row.set("instruction", text_of(question)?);
        if let Some(label) = record.item.messages.last().filter(|last| last.role == Role::Assistant) {
            row.set("output", text_of(label)?);
        }
        if !before.is_empty() {
            row.set("history", pairs(before)?);
        }
        if let Some(system) = system {
            row.set("system", text_of(system)?);
        }
        row.set("images", record.image_references());
        Ok(with_rest(row, record, TruthAs::Json, RESERVED))
    }
}

/// The turns before the question.
fn history(fields: &mut FieldReader, name: &str) -> Vec<(Role, String)> {
    let pairs = match fields.take(name) {
        None => return Vec::new(),
        Some(Value::Array(pairs)) => pairs,
        Some(other) => {
            fields.wrong_type(name, "a list of pairs of a question and its answer", &other);
            return Vec::new();
        }
    };
    let mut turns = Vec::new();
    for pair in pairs {
        match pair.as_array().map(Vec::as_slice) {
            Some([Value::String(question), Value::String(answer)]) => {
                turns.push((Role::User, question.clone()));
                turns.push((Role::Assistant, answer.clone()));
            }
            _ => fields.wrong_type(name, "a question and its answer", &pair),
        }
    }
    turns
}

/// Turns as pairs of a question and its answer.
fn pairs(turns: &[Message]) -> Result<Value, String> {
    let mut pairs = Vec::new();
    for pair in turns.chunks(2) {
        match pair {
            [question, answer] if question.role == Role::User && answer.role == Role::Assistant => {
                pairs.push(json!([text_of(question)?, text_of(answer)?]));
            }
            _ => return Err("its history is questions, each with its answer".to_owned()),
        }
    }
    Ok(pairs.into())
}
