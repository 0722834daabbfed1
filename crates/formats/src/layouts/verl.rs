//! verl's parquet, as its `examples/data_preprocess/geo3k.py` writes it.
//!
//! ```text
//! data_source:  string
//! prompt:       list<{role, content with <image>}>
//! images:       list<{bytes, path}>
//! ability:      string
//! reward_model: {style: string, ground_truth: string}
//! extra_info:   {split, index, …}                     an item's own fields are here
//! ```
//!
//! The label is the ground truth. A reward model of another form than a rule with a text is kept as it is.

use align::types::{Message, Role};
use serde_json::{Value, json};

use super::parts::{Marker, read_messages, text_messages_column};
use crate::field_reader::FieldReader;
use crate::format::{Description, Format, ImageStorage, Layout};
use crate::item_fields::{TruthAs, put_extra, put_item, take_item};
use crate::placeholders::{self, Unplaced};
use crate::record::Record;
use crate::roles::OPEN_AI;
use rows::{ColumnType, Container, Row};

pub(crate) const FORMAT: Format = Format::new(&Description {
    names: &["verl"],
    about: "verl",
    containers: &[Container::Parquet],
    required: &["prompt"],
    images: ImageStorage::Bytes,
    recognizes: |header| {
        (header.is(Container::Parquet) || header.is_json())
            && header.has("prompt")
            && header.has_any(&["reward_model", "data_source"])
    },
    layout: || Box::new(Verl),
});

struct Verl;

/// The `data_source` of rows that come from nowhere else.
const DATA_SOURCE: &str = "scruple";
const ABILITY: &str = "safety";

impl Layout for Verl {
    fn columns(&self) -> Vec<(&'static str, ColumnType)> {
        vec![
            ("data_source", ColumnType::Text),
            ("prompt", text_messages_column()),
            ("images", ColumnType::Images),
            ("ability", ColumnType::Text),
        ]
    }

    fn read(&self, mut fields: FieldReader) -> Vec<Record> {
        let number = fields.number();
        let mut item = match fields.object("extra_info") {
            None => fields.item(TruthAs::Text),
            Some(mut info) => {
                let item = take_item(&mut info, TruthAs::Text, number);
                // The index is the row's number, which every output counts itself.
                if info.get("index").and_then(Value::as_u64) == Some(number.saturating_sub(1) as u64) {
                    info.shift_remove("index");
                }
                if !info.is_empty() {
                    fields.put("extra_info", info);
                }
                item
            }
        };
        if fields.get_text("data_source") == Some(DATA_SOURCE) {
            fields.take("data_source");
            if fields.get_text("ability") == Some(ABILITY) {
                fields.take("ability");
            }
        }
        let mut images = fields.images("images");
        (item.messages, images) = read_messages(&mut fields, "prompt", images, Marker::Image, Unplaced::Refused);
        if let Some(label) = ground_truth(fields.get("reward_model")) {
            fields.take("reward_model");
            if !label.is_empty() {
                item.messages.push(Message::text(Role::Assistant, label));
            }
        }
        vec![fields.record(item, images)]
    }

    fn write(&self, record: &Record) -> Result<Row, String> {
        let info = record.extra.get("extra_info").and_then(Value::as_object);
        let mut info = info.cloned().unwrap_or_default();
        put_item(&mut info, record, TruthAs::Text);
        let mut row = Row::default();
        row.set("data_source", record.extra_text("data_source").unwrap_or(DATA_SOURCE));
        row.set("prompt", placeholders::turns(record.item.prompt(), &OPEN_AI)?);
        row.set("ability", record.extra_text("ability").unwrap_or(ABILITY));
        let reward_model = record.extra.get("reward_model").cloned();
        row.set(
            "reward_model",
            reward_model.unwrap_or_else(|| json!({ "style": "rule", "ground_truth": record.label_or_empty() })),
        );
        row.set("extra_info", info);
        row.set_images("images", &record.images);
        put_extra(&mut row.fields, record, &["images"]);
        Ok(row)
    }

    fn set_number(&self, row: &mut Row) {
        let index = row.number.saturating_sub(1);
        if let Some(info) = row.fields.get_mut("extra_info").and_then(Value::as_object_mut) {
            info.entry("index").or_insert_with(|| index.into());
        }
    }
}

/// The text of a reward model that compares with a text and does nothing else.
fn ground_truth(reward_model: Option<&Value>) -> Option<String> {
    let reward_model = reward_model?.as_object()?;
    let is_rule = reward_model.get("style").and_then(Value::as_str) == Some("rule") && reward_model.len() <= 2;
    if !is_rule {
        return None;
    }
    reward_model.get("ground_truth")?.as_str().map(str::to_owned)
}
