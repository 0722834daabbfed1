//! Hugging Face parquet: messages and images as the `datasets` library keeps them.
//!
//! ```text
//! messages: list<{role: string, content: string with <image>}>
//! images:   list<{bytes: binary, path: string}>       an Image feature by the schema's `huggingface` metadata
//! id, split, kind, category, twin_of: string; truth: string of JSON; further columns as they come
//! ```
//!
//! Also read: content as a list of parts, as TRL's trainers for images want it; one image in `image`; images without
//! placeholders, which then come first.

use super::parts::{Marker, read_messages, text_messages_column};
use crate::field_reader::FieldReader;
use crate::format::{Description, Format, ImageStorage, Layout};
use crate::item_fields::{TruthAs, with_rest};
use crate::placeholders::{self, Unplaced};
use crate::record::Record;
use crate::roles::OPEN_AI;
use rows::{ColumnType, Container, Row};

pub(crate) const FORMAT: Format = Format::new(&Description {
    names: &["hf"],
    about: "Hugging Face datasets: messages and images",
    containers: &[Container::Parquet],
    required: &["messages"],
    images: ImageStorage::Bytes,
    recognizes: |header| header.is(Container::Parquet) && header.has("messages"),
    layout: || Box::new(Hf),
});

struct Hf;

impl Layout for Hf {
    fn columns(&self) -> Vec<(&'static str, ColumnType)> {
        vec![("id", ColumnType::Text), ("messages", text_messages_column()), ("images", ColumnType::Images)]
    }

    fn read(&self, mut fields: FieldReader) -> Vec<Record> {
        let mut item = fields.item(TruthAs::Text);
        let mut images = fields.images_or_image("images");
        (item.messages, images) = read_messages(&mut fields, "messages", images, Marker::Text, Unplaced::First);
        vec![fields.record(item, images)]
    }

    fn write(&self, record: &Record) -> Result<Row, String> {
        let mut row = Row::default();
        row.set("id", record.item.id.as_str());
        row.set("messages", placeholders::turns(&record.item.messages, &OPEN_AI)?);
        row.set_images("images", &record.images);
        Ok(with_rest(row, record, TruthAs::Text, &["images", "image"]))
    }
}
