//! Scruple's own: OpenAI messages, one JSON object a line.
//!
//! ```text
//! {"id", "messages": [{"role", "content": "…" | [{"type": "text", "text"}, {"type": "image", "image": path}]}],
//!  "split"?, "kind"?, "category"?, "twin_of"?, "truth"?, …}
//! ```
//!
//! Read as well: every other form of image part that [`super::parts`] knows, with `data:` URLs and addresses. Written:
//! images as paths relative to the file; what else a row holds stands beside, where nothing of ours reads it.

use serde_json::{Map, Value};

use super::Layout;
use super::parts::{InParts, Mark, write_messages};
use crate::fault::FaultKind;
use crate::fields::{Fields, Truth, put_extra, put_own};
use crate::placeholders::Unplaced;
use crate::record::{Picture, Record};
use crate::rows::Row;

pub(crate) struct OpenAi;

impl Layout for OpenAi {
    fn required(&self) -> &'static [&'static str] {
        &["id", "messages"]
    }

    fn read(&self, mut fields: Fields) -> Vec<Record> {
        for (name, value) in [("id", fields.get("id")), ("kind", fields.get("kind"))].map(|(n, v)| (n, v.cloned())) {
            match (name, value) {
                ("id", None | Some(Value::Null)) => {
                    fields.fault(FaultKind::MissingField, "expected a field `id`, got none");
                }
                ("id", Some(value)) if !value.is_string() && !value.is_i64() && !value.is_u64() => {
                    fields.wrong_type("id", "a string or a whole number", &value);
                }
                ("kind", Some(value)) if !value.is_null() && crate::fields::kind_of(&value).is_none() => fields.fault(
                    FaultKind::WrongValue,
                    format!("`kind`: expected hazardous, benign, blank_image or general, got {value}"),
                ),
                _ => {}
            }
        }
        for name in ["split", "category", "twin_of"] {
            if let Some(value) = fields.get(name).filter(|value| !value.is_string() && !value.is_null()) {
                let value = value.clone();
                fields.wrong_type(name, "a string", &value);
            }
        }
        let mut item = fields.item(Truth::Json);
        let mut read = InParts::default();
        read.read(&mut fields, "messages", Mark::Words);
        let (messages, pictures) = read.settle(Vec::new(), Unplaced::Refused, &mut fields);
        item.messages = messages;
        vec![fields.record(item, pictures)]
    }

    fn write(&self, record: &Record) -> Result<Row, String> {
        if let Some(Picture::Remote(address)) = record.pictures.iter().find(|one| matches!(one, Picture::Remote(_))) {
            return Err(format!("it holds files, not addresses such as {address}"));
        }
        let mut fields = Map::new();
        fields.insert("id".to_owned(), record.item.id.clone().into());
        fields.insert("messages".to_owned(), write_messages(&record.item.messages, true));
        put_own(&mut fields, record, Truth::Json);
        put_extra(&mut fields, record, &[]);
        Ok(Row {
            fields,
            ..Row::default()
        })
    }
}
