//! verl's parquet, as its `examples/data_preprocess/geo3k.py` writes it.
//!
//! ```text
//! data_source:  string
//! prompt:       list<{role, content with <image>}>
//! images:       list<{bytes, path}>
//! ability:      string
//! reward_model: {style: string, ground_truth: string}
//! extra_info:   {split, index, …}                     an item's own fields stand here
//! ```
//!
//! The label is the ground truth. A reward model of another form than a rule with a text is kept as it is.

use align::types::{Item, Message, Role};
use serde_json::{Map, Value, json};

use super::Layout;
use super::hf::text_messages_column;
use crate::fields::{Fields, Truth, put_extra, put_own, role_name, take_own};
use crate::placeholders::{self, Unplaced, text_of};
use crate::record::Record;
use crate::rows::{ColumnType, Row};

pub(crate) struct Verl;

/// What stands where verl wants to know where a row comes from, for rows that come from nowhere else.
const SOURCE: &str = "scruple";
const ABILITY: &str = "safety";

impl Layout for Verl {
    fn required(&self) -> &'static [&'static str] {
        &["prompt"]
    }

    fn columns(&self) -> Vec<(&'static str, ColumnType)> {
        vec![
            ("data_source", ColumnType::Text),
            ("prompt", text_messages_column()),
            ("images", ColumnType::Pictures),
            ("ability", ColumnType::Text),
        ]
    }

    fn read(&self, mut fields: Fields) -> Vec<Record> {
        let number = fields.number();
        let (mut item, info) = match fields.object("extra_info") {
            None => (fields.item(Truth::Text), None),
            Some(mut info) => {
                let own = take_own(&mut info, Truth::Text);
                // What counts rows is counted anew.
                if info.get("index").and_then(Value::as_u64) == Some(number.saturating_sub(1) as u64) {
                    info.shift_remove("index");
                }
                let id = own.id.unwrap_or_else(|| format!("row-{number}"));
                (Item { id, ..own.item }, Some(info))
            }
        };
        if let Some(info) = info.filter(|info| !info.is_empty()) {
            fields.put("extra_info", info.into());
        }
        if fields.get("data_source").and_then(Value::as_str) == Some(SOURCE) {
            fields.take("data_source");
            if fields.get("ability").and_then(Value::as_str) == Some(ABILITY) {
                fields.take("ability");
            }
        }
        let pictures = fields.pictures("images");
        let turns = fields.turns("prompt", "role", "content");
        item.messages = placeholders::messages(turns, &pictures, Unplaced::Refused, fields.faults());
        if let Some(label) = ground_truth(fields.get("reward_model")) {
            fields.take("reward_model");
            if !label.is_empty() {
                item.messages.push(Message::text(Role::Assistant, label));
            }
        }
        vec![fields.record(item, pictures)]
    }

    fn write(&self, record: &Record) -> Result<Row, String> {
        let prompt = record.item.prompt().iter();
        let prompt: Value = prompt
            .map(|message| Ok(json!({ "role": role_name(message.role), "content": text_of(message)? })))
            .collect::<Result<_, String>>()?;
        let text = |name: &str, otherwise: &str| record.extra_text(name).unwrap_or(otherwise).to_owned();
        let rule = || json!({ "style": "rule", "ground_truth": record.item.label().unwrap_or_default() });
        let mut info = record
            .extra
            .get("extra_info")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        put_own(&mut info, record, Truth::Text);
        let mut fields = Map::new();
        fields.insert("data_source".to_owned(), text("data_source", SOURCE).into());
        fields.insert("prompt".to_owned(), prompt);
        fields.insert("ability".to_owned(), text("ability", ABILITY).into());
        let kept = record.extra.get("reward_model").cloned();
        fields.insert("reward_model".to_owned(), kept.unwrap_or_else(rule));
        fields.insert("extra_info".to_owned(), info.into());
        put_extra(&mut fields, record, &["images"]);
        Ok(Row {
            fields,
            pictures: [("images".to_owned(), record.pictures.clone())].into(),
            ..Row::default()
        })
    }

    fn count(&self, row: &mut Row) {
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
