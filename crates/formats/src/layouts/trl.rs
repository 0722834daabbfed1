//! TRL's conversational prompts and completions, with images.
//!
//! ```text
//! prompt, completion: list<{role, content: list<{type: "image" | "text", text: string}>}>
//! images:             list<{bytes, path}>
//! id, split, kind, category, twin_of: string; truth: string of JSON; further columns as they come
//! ```
//!
//! An item without a label has no completion, and a file without labels no such column. Also read: content as text,
//! and `prompt` as plain text, with images first; one image in `image`.

use align::types::{Message, Role};
use serde_json::Value;

use super::parts::{Marker, PartReader, without_paths};
use crate::field_reader::FieldReader;
use crate::format::{Description, Format, ImageStorage, Layout};
use crate::item_fields::{TruthAs, with_rest};
use crate::placeholders::Unplaced;
use crate::record::Record;
use rows::{ColumnType, Container, Row};

pub(crate) const FORMAT: Format = Format::new(&Description {
    names: &["trl"],
    about: "TRL: prompts and completions",
    containers: &[Container::Parquet],
    required: &["prompt"],
    images: ImageStorage::Bytes,
    recognizes: |header| {
        header.has("prompt")
            && (header.is(Container::Parquet)
                || header.is_json() && (header.is_list("prompt") || header.has("completion")))
    },
    layout: || Box::new(Trl),
});

struct Trl;

impl Layout for Trl {
    fn columns(&self) -> Vec<(&'static str, ColumnType)> {
        let part = ColumnType::object([("type", ColumnType::Text), ("text", ColumnType::Text)]);
        let messages = ColumnType::object([("role", ColumnType::Text), ("content", part.list())]).list();
        vec![("id", ColumnType::Text), ("prompt", messages), ("images", ColumnType::Images)]
    }

    fn read(&self, mut fields: FieldReader) -> Vec<Record> {
        let mut item = fields.item(TruthAs::Text);
        let mut images = fields.images_or_image("images");
        let mut reader = PartReader::new(&mut fields, Marker::Text);
        read_side(&mut reader, "prompt", Role::User);
        let has_completion =
            reader.fields.get("completion").is_some_and(|value| !value.is_null() && *value != Value::Array(Vec::new()));
        if has_completion {
            read_side(&mut reader, "completion", Role::Assistant);
        } else {
            reader.fields.take("completion");
        }
        (item.messages, images) = reader.settle(images, Unplaced::First);
        vec![fields.record(item, images)]
    }

    fn write(&self, record: &Record) -> Result<Row, String> {
        let n_prompt = record.item.prompt().len();
        let (prompt, completion) = record.item.messages.split_at(n_prompt);
        let mut row = Row::default();
        row.set("id", record.item.id.as_str());
        row.set("prompt", without_paths(prompt));
        // Nothing where there is no label: TRL takes the first message of whatever list it finds.
        if !completion.is_empty() {
            row.set("completion", without_paths(completion));
        }
        row.set_images("images", &record.images);
        Ok(with_rest(row, record, TruthAs::Text, &["images", "image", "completion"]))
    }
}

/// Adds a side's messages; a side that is plain text is one message.
fn read_side(reader: &mut PartReader, name: &str, role: Role) {
    if reader.fields.get(name).is_some_and(Value::is_string) {
        let text = reader.fields.text(name).unwrap_or_default();
        reader.messages.push(Message::text(role, text));
    } else {
        reader.read(name);
    }
}
