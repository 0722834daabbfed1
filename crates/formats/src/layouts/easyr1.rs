//! EasyR1's parquet, with the keys that its settings have by default.
//!
//! ```text
//! problem: string with <image>
//! answer:  string
//! images:  list<{bytes, path}>
//! id, split, kind, category, twin_of: string; truth: string of JSON; further columns as they come
//! ```
//!
//! One question per row; EasyR1 adds what a system message would say by its own template.

use align::types::Role;

use crate::field_reader::FieldReader;
use crate::format::{Description, Format, ImageStorage, Layout};
use crate::item_fields::{TruthAs, with_rest};
use crate::placeholders::{self, Unplaced, text_of};
use crate::record::Record;
use rows::{ColumnType, Container, Row};

pub(crate) const FORMAT: Format = Format::new(&Description {
    names: &["easyr1"],
    about: "EasyR1",
    containers: &[Container::Parquet],
    required: &["problem"],
    images: ImageStorage::Bytes,
    recognizes: |header| {
        header.has("problem")
            && (header.is(Container::Parquet) || header.is_json() && header.has_any(&["answer", "images"]))
    },
    layout: || Box::new(EasyR1),
});

struct EasyR1;

impl Layout for EasyR1 {
    fn columns(&self) -> Vec<(&'static str, ColumnType)> {
        vec![
            ("id", ColumnType::Text),
            ("problem", ColumnType::Text),
            ("answer", ColumnType::Text),
            ("images", ColumnType::Images),
        ]
    }

    fn read(&self, mut fields: FieldReader) -> Vec<Record> {
        let mut item = fields.item(TruthAs::Text);
        let images = fields.images("images");
        let turns = vec![(Role::User, fields.required_text("problem"))];
        item.messages = placeholders::messages(turns, &images, Unplaced::Refused, fields.problems());
        item.messages.extend(fields.answer("answer").filter(|answer| !answer.plain_text().is_empty()));
        vec![fields.record(item, images)]
    }

    fn write(&self, record: &Record) -> Result<Row, String> {
        let mut row = Row::default();
        row.set("id", record.item.id.as_str());
        row.set("problem", text_of(record.only_question()?)?);
        row.set("answer", record.label_or_empty());
        row.set_images("images", &record.images);
        Ok(with_rest(row, record, TruthAs::Text, &["images"]))
    }
}
