//! LLaMA-Factory's sharegpt: a JSON list or JSON lines, and an entry in the `dataset_info.json` beside it.
//!
//! ```text
//! {"conversations": [{"from": "human", "value": "<image>…"}, {"from": "gpt", "value": "…"}], "images": [path, …],
//!  "system"?: "…", …}
//! ```
//!
//! Read as well: `image`, one path or several, instead of `images`; a first turn from `system`. An item's own fields stand
//! beside. LLaMA-Factory trains on pairs of turns: items without a label are written, and passed over there.

use align::types::{Message, Role};
use serde_json::{Map, Value, json};

use super::Layout;
use crate::fields::{Fields, Truth, put_extra, put_own};
use crate::placeholders::{self, Unplaced, text_of};
use crate::record::{Picture, Record};
use crate::rows::Row;

pub(crate) struct ShareGpt;

const RESERVED: &[&str] = &["conversations", "images", "image", "system"];

impl Layout for ShareGpt {
    fn required(&self) -> &'static [&'static str] {
        &["conversations"]
    }

    fn read(&self, mut fields: Fields) -> Vec<Record> {
        let mut item = fields.item(Truth::Json);
        let column = if fields.has("images") { "images" } else { "image" };
        let pictures = fields.pictures(column);
        let system = fields.text("system").filter(|text| !text.is_empty());
        let mut turns: Vec<(Role, String)> = system.map(|text| (Role::System, text)).into_iter().collect();
        turns.extend(fields.turns("conversations", "from", "value"));
        item.messages = placeholders::messages(turns, &pictures, Unplaced::Refused, fields.faults());
        vec![fields.record(item, pictures)]
    }

    fn write(&self, record: &Record) -> Result<Row, String> {
        let mut fields = Map::new();
        let messages = &record.item.messages;
        let (system, turns) = match messages.split_first() {
            Some((first, rest)) if first.role == Role::System => (Some(first), rest),
            _ => (None, &messages[..]),
        };
        fields.insert("conversations".to_owned(), conversations(turns)?);
        fields.insert("images".to_owned(), references(&record.pictures));
        if let Some(system) = system {
            fields.insert("system".to_owned(), text_of(system)?.into());
        }
        put_own(&mut fields, record, Truth::Json);
        put_extra(&mut fields, record, RESERVED);
        Ok(Row {
            fields,
            ..Row::default()
        })
    }
}

/// The turns as `{from, value}`.
pub(super) fn conversations(messages: &[Message]) -> Result<Value, String> {
    let turn = |message: &Message| {
        let from = match message.role {
            Role::System => "system",
            Role::User => "human",
            Role::Assistant => "gpt",
        };
        Ok(json!({ "from": from, "value": text_of(message)? }))
    };
    messages.iter().map(turn).collect()
}

/// The pictures' paths and addresses.
pub(super) fn references(pictures: &[Picture]) -> Value {
    pictures.iter().filter_map(Picture::reference).collect()
}

/// The entry of a file in LLaMA-Factory's `dataset_info.json`.
pub(crate) fn dataset_info(file_name: &str) -> Value {
    json!({
        "file_name": file_name,
        "formatting": "sharegpt",
        "columns": { "messages": "conversations", "images": "images", "system": "system" },
    })
}
