//! TRL's conversational prompts and completions, with pictures.
//!
//! ```text
//! prompt, completion: list<{role, content: list<{type: "image" | "text", text: string}>}>
//! images:             list<{bytes, path}>
//! id, split, kind, category, twin_of: string; truth: string of JSON; further columns as they come
//! ```
//!
//! An item without a label has no completion, and a file without labels no such column. Read as well: content as text,
//! and `prompt` as plain text, with pictures first; one picture in `image`.

use align::types::{Message, Role};
use serde_json::{Map, Value};

use super::Layout;
use super::parts::{InParts, Mark, write_messages};
use crate::fields::{Fields, Truth, put_extra, put_own};
use crate::placeholders::Unplaced;
use crate::record::Record;
use crate::rows::{ColumnType, Row};

pub(crate) struct Trl;

impl Layout for Trl {
    fn required(&self) -> &'static [&'static str] {
        &["prompt"]
    }

    fn columns(&self) -> Vec<(&'static str, ColumnType)> {
        let part = ColumnType::object([("type", ColumnType::Text), ("text", ColumnType::Text)]);
        let messages = ColumnType::object([("role", ColumnType::Text), ("content", part.list())]).list();
        vec![
            ("id", ColumnType::Text),
            ("prompt", messages),
            ("images", ColumnType::Pictures),
        ]
    }

    fn read(&self, mut fields: Fields) -> Vec<Record> {
        let mut item = fields.item(Truth::Text);
        let column = if fields.has("images") { "images" } else { "image" };
        let pictures = fields.pictures(column);
        let mut read = InParts::default();
        read_side(&mut fields, "prompt", Role::User, &mut read);
        let has_completion = fields
            .get("completion")
            .is_some_and(|value| !value.is_null() && *value != Value::Array(Vec::new()));
        if has_completion {
            read_side(&mut fields, "completion", Role::Assistant, &mut read);
        } else {
            fields.take("completion");
        }
        let (messages, pictures) = read.settle(pictures, Unplaced::First, &mut fields);
        item.messages = messages;
        vec![fields.record(item, pictures)]
    }

    fn write(&self, record: &Record) -> Result<Row, String> {
        let n_prompt = record.item.prompt().len();
        let (prompt, completion) = record.item.messages.split_at(n_prompt);
        let mut fields = Map::new();
        fields.insert("id".to_owned(), record.item.id.clone().into());
        fields.insert("prompt".to_owned(), write_messages(prompt, false));
        // Nothing where there is no label: TRL takes the first message of whatever list stands here.
        if !completion.is_empty() {
            fields.insert("completion".to_owned(), write_messages(completion, false));
        }
        put_own(&mut fields, record, Truth::Text);
        put_extra(&mut fields, record, &["images", "image", "completion"]);
        Ok(Row {
            fields,
            pictures: [("images".to_owned(), record.pictures.clone())].into(),
            ..Row::default()
        })
    }
}

/// Adds a side's messages; a side that is plain text is one message.
fn read_side(fields: &mut Fields, name: &str, speaker: Role, read: &mut InParts) {
    if fields.get(name).is_some_and(Value::is_string) {
        let text = fields.text(name).unwrap_or_default();
        read.messages.push(Message::text(speaker, text));
    } else {
        read.read(fields, name, Mark::Words);
    }
}
