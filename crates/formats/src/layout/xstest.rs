//! XSTest (Röttger et al., arXiv 2308.01263): a CSV of prompts, or of models' completions of them; text alone.
//!
//! ```text
//! prompts:     id, prompt, type, label: safe | unsafe, focus, note
//! completions: id, type, prompt, completion, annotation_1, annotation_2, agreement, final_label
//! ```
//!
//! A completion is the item's label; that its prompt is unsafe shows by the type, `contrast_…`. Ids are read with
//! `xstest-` before them, as [`benchmarks`] does.

use align::types::{ItemKind, Message, Role};
use benchmarks::suites::xstest::{ID_PREFIX, item};
use serde_json::{Map, Value};

use super::Layout;
use crate::fault::FaultKind;
use crate::fields::{Fields, OWN};
use crate::record::Record;
use crate::rows::{ColumnType, Row};

pub(crate) struct XsTest;

impl Layout for XsTest {
    fn required(&self) -> &'static [&'static str] {
        &["id", "prompt", "type"]
    }

    fn columns(&self) -> Vec<(&'static str, ColumnType)> {
        ["id", "prompt", "type", "label", "focus", "note"]
            .map(|name| (name, ColumnType::Text))
            .into()
    }

    fn read(&self, mut fields: Fields) -> Vec<Record> {
        let completion = fields.text("completion");
        if !fields.has("label") {
            let is_contrast = fields
                .get("type")
                .and_then(Value::as_str)
                .is_some_and(|name| name.starts_with("contrast"));
            fields.put("label", if is_contrast { "unsafe" } else { "safe" }.into());
        }
        let mut item = match item(fields.all()) {
            Ok(item) => item,
            Err(problem) => {
                fields.fault(FaultKind::WrongValue, problem);
                return Vec::new();
            }
        };
        for name in ["id", "prompt", "type", "label"] {
            fields.take(name);
        }
        item.messages
            .extend(completion.map(|text| Message::text(Role::Assistant, text)));
        vec![fields.record(item, Vec::new())]
    }

    fn write(&self, record: &Record) -> Result<Row, String> {
        if !record.pictures.is_empty() {
            return Err("it holds text alone".into());
        }
        let label = match record.item.kind {
            Some(ItemKind::Benign) => "safe",
            Some(ItemKind::Hazardous) => "unsafe",
            _ => return Err("it holds hazardous and benign items alone".into()),
        };
        let id = &record.item.id;
        let mut fields = Map::new();
        fields.insert("id".to_owned(), id.strip_prefix(ID_PREFIX).unwrap_or(id).into());
        fields.insert("prompt".to_owned(), record.only_question()?.plain_text().into());
        let category = record.item.category.clone().ok_or("its items have a category")?;
        fields.insert("type".to_owned(), category.into());
        fields.insert("label".to_owned(), label.into());
        if let Some(completion) = record.item.label() {
            fields.insert("completion".to_owned(), completion.into());
        }
        for (name, value) in &record.extra {
            if !OWN.contains(&name.as_str()) && !fields.contains_key(name) && name != "completion" {
                fields.insert(name.clone(), value.clone());
            }
        }
        Ok(Row {
            fields,
            ..Row::default()
        })
    }
}
