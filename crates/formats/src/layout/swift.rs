//! ms-swift's messages: JSON lines.
//!
//! ```text
//! {"messages": [{"role", "content": "<image>…"}], "images": [path | address | data URL, …], "rejected_response"?, …}
//! ```
//!
//! Read as well: content as a list of parts in every form that [`super::parts`] knows (OpenAI's, Anthropic's), with
//! their own pictures or those of `images` in order. An item's own fields and further columns, all of which
//! ms-swift hands to reward functions, stand beside.

use serde_json::{Map, Value, json};

use super::Layout;
use super::parts::{InParts, Mark, has_parts};
use super::sharegpt::references;
use crate::fields::{Fields, Truth, put_extra, put_own, role_name};
use crate::placeholders::{self, Unplaced, text_of};
use crate::record::Record;
use crate::rows::Row;

pub(crate) struct Swift;

impl Layout for Swift {
    fn required(&self) -> &'static [&'static str] {
        &["messages"]
    }

    fn read(&self, mut fields: Fields) -> Vec<Record> {
        let mut item = fields.item(Truth::Json);
        let in_parts = has_parts(fields.get("messages"));
        let mut pictures = fields.pictures("images");
        if in_parts {
            let mut read = InParts::default();
            read.read(&mut fields, "messages", Mark::Picture);
            (item.messages, pictures) = read.settle(pictures, Unplaced::Refused, &mut fields);
        } else {
            let turns = fields.turns("messages", "role", "content");
            item.messages = placeholders::messages(turns, &pictures, Unplaced::Refused, fields.faults());
        }
        vec![fields.record(item, pictures)]
    }

    fn write(&self, record: &Record) -> Result<Row, String> {
        let mut fields = Map::new();
        fields.insert("messages".to_owned(), text_messages(record)?);
        fields.insert("images".to_owned(), references(&record.pictures));
        put_own(&mut fields, record, Truth::Json);
        put_extra(&mut fields, record, &[]);
        Ok(Row {
            fields,
            ..Row::default()
        })
    }
}

/// The dialogue as `{role, content}` with placeholders in the text.
pub(super) fn text_messages(record: &Record) -> Result<Value, String> {
    let messages = record.item.messages.iter();
    messages
        .map(|message| Ok(json!({ "role": role_name(message.role), "content": text_of(message)? })))
        .collect()
}
