//! Scruple's own: OpenAI messages, one JSON object per line.
//!
//! ```text
//! {"id", "messages": [{"role", "content": "…" | [{"type": "text", "text"}, {"type": "image", "image": path}]}],
//!  "split"?, "kind"?, "category"?, "twin_of"?, "truth"?, …}
//! ```
//!
//! Also read: every other form of image part that [`super::parts`] knows, with `data:` URLs and addresses. Written:
//! images as paths relative to the file, or as addresses; a row's other fields as they are.

use align::types::{id_of, is_filled};
use serde_json::Value;

use super::parts::{Marker, PartReader, with_paths};
use crate::field_reader::FieldReader;
use crate::format::{Description, Format, ImageStorage, Layout};
use crate::item_fields::{TruthAs, kind_of, with_rest};
use crate::placeholders::Unplaced;
use crate::record::Record;
use rows::{Container, ProblemKind, Row};

pub(crate) const FORMAT: Format = Format::new(&Description {
    names: &["openai", "ours"],
    about: "Scruple's own: OpenAI messages, one object per line",
    containers: &[Container::JsonLines],
    required: &["id", "messages"],
    images: ImageStorage::Paths,
    recognizes: |header| header.is_json() && header.has("messages"),
    layout: || Box::new(OpenAi),
});

struct OpenAi;

impl Layout for OpenAi {
    fn read(&self, mut fields: FieldReader) -> Vec<Record> {
        check_item(&mut fields);
        let mut item = fields.item(TruthAs::Json);
        let mut reader = PartReader::new(&mut fields, Marker::Text);
        reader.read("messages");
        let images;
        (item.messages, images) = reader.settle(Vec::new(), Unplaced::Refused);
        if images.is_empty() {
            check_columns(&mut fields);
        }
        vec![fields.record(item, images)]
    }

    fn write(&self, record: &Record) -> Result<Row, String> {
        let mut row = Row::default();
        row.set("id", record.item.id.as_str());
        row.set("messages", with_paths(&record.item.messages));
        Ok(with_rest(row, record, TruthAs::Json, &[]))
    }
}

/// Notes columns of images that no message shows, which other layouts have.
fn check_columns(fields: &mut FieldReader) {
    for name in ["images", "image"] {
        if fields.get(name).is_some_and(is_filled) {
            let message = format!("`{name}` holds images that no message shows: expected them in `content`");
            fields.note(ProblemKind::TooManyImages, message);
        }
    }
}

/// Notes what is wrong with an item's fields, which other layouts would keep as they are.
fn check_item(fields: &mut FieldReader) {
    match fields.get("id").cloned() {
        None | Some(Value::Null) => fields.missing("id"),
        Some(id) if id_of(&id).is_none() => fields.wrong_type("id", "a string or a whole number", &id),
        Some(_) => {}
    }
    if let Some(kind) = fields.get("kind").filter(|kind| !kind.is_null() && kind_of(kind).is_none()) {
        let message = format!("`kind`: expected hazardous, benign, blank_image or general, got {kind}");
        fields.note(ProblemKind::WrongValue, message);
    }
    for name in ["split", "category", "twin_of"] {
        if let Some(value) = fields.get(name).filter(|value| !value.is_null() && id_of(value).is_none()) {
            let value = value.clone();
            fields.wrong_type(name, "a string or a whole number", &value);
        }
    }
}
