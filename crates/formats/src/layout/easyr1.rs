//! EasyR1's parquet, with the keys that its settings have by default.
//!
//! ```text
//! problem: string with <image>
//! answer:  string
//! images:  list<{bytes, path}>
//! id, split, kind, category, twin_of: string; truth: string of JSON; further columns as they come
//! ```
//!
//! One question a row; EasyR1 adds what a system message would say by its own template.

use align::types::{Message, Role};
use serde_json::Map;

use super::Layout;
use crate::fields::{Fields, Truth, put_extra, put_own};
use crate::placeholders::{self, Unplaced, text_of};
use crate::record::Record;
use crate::rows::{ColumnType, Row};

pub(crate) struct EasyR1;

impl Layout for EasyR1 {
    fn required(&self) -> &'static [&'static str] {
        &["problem"]
    }

    fn columns(&self) -> Vec<(&'static str, ColumnType)> {
        vec![
            ("id", ColumnType::Text),
            ("problem", ColumnType::Text),
            ("answer", ColumnType::Text),
            ("images", ColumnType::Pictures),
        ]
    }

    fn read(&self, mut fields: Fields) -> Vec<Record> {
        let mut item = fields.item(Truth::Text);
        let pictures = fields.pictures("images");
        let problem = fields.required_text("problem").unwrap_or_default();
        let answer = fields.text("answer").filter(|answer| !answer.is_empty());
        let turns = vec![(Role::User, problem)];
        item.messages = placeholders::messages(turns, &pictures, Unplaced::Refused, fields.faults());
        item.messages
            .extend(answer.map(|answer| Message::text(Role::Assistant, answer)));
        vec![fields.record(item, pictures)]
    }

    fn write(&self, record: &Record) -> Result<Row, String> {
        let mut fields = Map::new();
        fields.insert("id".to_owned(), record.item.id.clone().into());
        fields.insert("problem".to_owned(), text_of(record.only_question()?)?.into());
        fields.insert("answer".to_owned(), record.item.label().unwrap_or_default().into());
        put_own(&mut fields, record, Truth::Text);
        put_extra(&mut fields, record, &["images"]);
        Ok(Row {
            fields,
            pictures: [("images".to_owned(), record.pictures.clone())].into(),
            ..Row::default()
        })
    }
}
