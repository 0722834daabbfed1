//! LLaMA-Factory's sharegpt: a JSON list or JSON lines, and an entry in the `dataset_info.json` beside it.
//!
//! ```text
//! {"conversations": [{"from": "human", "value": "<image>…"}, {"from": "gpt", "value": "…"}], "images": [path, …],
//!  "system"?: "…", …}
//! ```
//!
//! Read as well: `image`, one path or several, instead of `images`; a first turn from `system`; columns and tags of
//! other names where a `dataset_info.json` says which they are. An item's own fields stand
//! beside. LLaMA-Factory trains on pairs of turns: items without a label are written, and passed over there.

use align::types::{Message, Role};
use serde_json::{Map, Value, json};

use super::Layout;
use super::llama_factory::{Columns, Tags};
use crate::fields::{Fields, Truth, put_extra, put_own};
use crate::placeholders::{self, Unplaced, text_of};
use crate::record::{Picture, Record};
use crate::rows::Row;

#[derive(Default)]
pub(crate) struct ShareGpt {
    /// What the file calls its columns.
    pub(super) columns: Columns,
    /// What its messages call their fields and speakers.
    pub(super) tags: Tags,
}

const RESERVED: &[&str] = &["conversations", "images", "image", "system"];

impl Layout for ShareGpt {
    fn required(&self) -> &'static [&'static str] {
        if self.columns == Columns::default() {
            &["conversations"]
        } else {
            &[]
        }
    }

    fn read(&self, mut fields: Fields) -> Vec<Record> {
        let (columns, tags) = (&self.columns, &self.tags);
        self.name_speakers(&mut fields);
        let mut item = fields.item(Truth::Json);
        let images = columns.images.as_deref();
        let column = images.map(|name| if fields.has(name) { name } else { "image" });
        let pictures = column.map_or_else(Vec::new, |name| fields.pictures(name));
        let system = fields.filled_text(columns.system.as_deref());
        let mut turns: Vec<(Role, String)> = system.map(|text| (Role::System, text)).into_iter().collect();
        turns.extend(fields.turns(&columns.messages, &tags.role_tag, &tags.content_tag));
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

impl ShareGpt {
    /// Calls those who speak by the names that are known, where a file has names of its own for them.
    fn name_speakers(&self, fields: &mut Fields) {
        if self.tags == Tags::default() {
            return;
        }
        let Some(mut messages) = fields.get(&self.columns.messages).cloned() else {
            return;
        };
        for message in messages.as_array_mut().into_iter().flatten() {
            let role = message.get_mut(&self.tags.role_tag);
            if let Some(role) = role
                && let Some(known) = role.as_str().and_then(|name| self.tags.speaker(name))
            {
                *role = known.into();
            }
        }
        fields.put(&self.columns.messages, messages);
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
