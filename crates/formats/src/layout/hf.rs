//! Hugging Face parquet: messages and pictures as the `datasets` library keeps them.
//!
//! ```text
//! messages: list<{role: string, content: string with <image>}>
//! images:   list<{bytes: binary, path: string}>       an Image feature by the schema's `huggingface` metadata
//! id, split, kind, category, twin_of: string; truth: string of JSON; further columns as they come
//! ```
//!
//! Read as well: content as a list of parts, as TRL's trainers for pictures want it; one picture in `image`; pictures
//! without placeholders, which then come first.

use serde_json::Map;

use super::Layout;
use super::parts::{InParts, Mark, has_parts};
use super::swift::text_messages;
use crate::fields::{Fields, Truth, put_extra, put_own};
use crate::placeholders::{self, Unplaced};
use crate::record::Record;
use crate::rows::{ColumnType, Row};

pub(crate) struct Hf;

impl Layout for Hf {
    fn required(&self) -> &'static [&'static str] {
        &["messages"]
    }

    fn columns(&self) -> Vec<(&'static str, ColumnType)> {
        vec![
            ("id", ColumnType::Text),
            ("messages", text_messages_column()),
            ("images", ColumnType::Pictures),
        ]
    }

    fn read(&self, mut fields: Fields) -> Vec<Record> {
        let mut item = fields.item(Truth::Text);
        let column = if fields.has("images") { "images" } else { "image" };
        let mut pictures = fields.pictures(column);
        if has_parts(fields.get("messages")) {
            let mut read = InParts::default();
            read.read(&mut fields, "messages", Mark::Words);
            (item.messages, pictures) = read.settle(pictures, Unplaced::First, &mut fields);
        } else {
            let turns = fields.turns("messages", "role", "content");
            item.messages = placeholders::messages(turns, &pictures, Unplaced::First, fields.faults());
        }
        vec![fields.record(item, pictures)]
    }

    fn write(&self, record: &Record) -> Result<Row, String> {
        let mut fields = Map::new();
        fields.insert("id".to_owned(), record.item.id.clone().into());
        fields.insert("messages".to_owned(), text_messages(record)?);
        put_own(&mut fields, record, Truth::Text);
        put_extra(&mut fields, record, &["images", "image"]);
        Ok(Row {
            fields,
            pictures: [("images".to_owned(), record.pictures.clone())].into(),
            ..Row::default()
        })
    }
}

/// A column of messages whose content is text.
pub(super) fn text_messages_column() -> ColumnType {
    ColumnType::object([("role", ColumnType::Text), ("content", ColumnType::Text)]).list()
}
