//! LLaMA-Factory's alpaca: a JSON list or JSON lines, and an entry in the `dataset_info.json` beside it.
//!
//! ```text
//! {"instruction": "<image>…", "input"?: "…", "output"?: "…", "history"?: [["…", "…"], …], "system"?: "…",
//!  "images": [path, …], …}
//! ```
//!
//! The question is the instruction, and the input on a line of its own; `history` holds the turns before. Columns of
//! other names are read where a `dataset_info.json` says which they are. An item's own fields stand beside.

use align::types::{Message, Role};
use serde_json::{Map, Value, json};

use super::Layout;
use super::llama_factory::Columns;
use super::sharegpt::references;
use crate::fields::{Fields, Truth, put_extra, put_own};
use crate::placeholders::{self, Unplaced, text_of};
use crate::record::Record;
use crate::rows::Row;

#[derive(Default)]
pub(crate) struct Alpaca {
    /// What the file calls its columns.
    pub(super) columns: Columns,
}

const RESERVED: &[&str] = &["instruction", "input", "output", "history", "system", "images"];

impl Layout for Alpaca {
    fn required(&self) -> &'static [&'static str] {
        if self.columns == Columns::default() {
            &["instruction"]
        } else {
            &[]
        }
    }

    fn read(&self, mut fields: Fields) -> Vec<Record> {
        let columns = &self.columns;
        let mut item = fields.item(Truth::Json);
        let images = columns.images.as_deref();
        let pictures = images.map_or_else(Vec::new, |name| fields.pictures(name));
        let system = fields.filled_text(columns.system.as_deref());
        let mut turns: Vec<(Role, String)> = system.map(|text| (Role::System, text)).into_iter().collect();
        turns.extend(columns.history.iter().flat_map(|name| history(&mut fields, name)));
        let instruction = fields.required_text(&columns.prompt).unwrap_or_default();
        let input = fields.filled_text(columns.query.as_deref());
        let question = [instruction].into_iter().chain(input).collect::<Vec<_>>().join("\n");
        turns.push((Role::User, question));
        let output = fields.filled_text(columns.response.as_deref());
        turns.extend(output.map(|text| (Role::Assistant, text)));
        item.messages = placeholders::messages(turns, &pictures, Unplaced::Refused, fields.faults());
        vec![fields.record(item, pictures)]
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
        let mut fields = Map::new();
        fields.insert("instruction".to_owned(), text_of(question)?.into());
        if let Some(label) = record.item.messages.last().filter(|last| last.role == Role::Assistant) {
            fields.insert("output".to_owned(), text_of(label)?.into());
        }
        if !before.is_empty() {
            fields.insert("history".to_owned(), pairs(before)?);
        }
        if let Some(system) = system {
            fields.insert("system".to_owned(), text_of(system)?.into());
        }
        fields.insert("images".to_owned(), references(&record.pictures));
        put_own(&mut fields, record, Truth::Json);
        put_extra(&mut fields, record, RESERVED);
        Ok(Row {
            fields,
            ..Row::default()
        })
    }
}

/// The turns before the question.
fn history(fields: &mut Fields, name: &str) -> Vec<(Role, String)> {
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
    let pair = |pair: &[Message]| match pair {
        [question, answer] if question.role == Role::User && answer.role == Role::Assistant => {
            Ok(json!([text_of(question)?, text_of(answer)?]))
        }
        _ => Err("its history is questions, each with its answer".to_owned()),
    };
    turns.chunks(2).map(pair).collect()
}
