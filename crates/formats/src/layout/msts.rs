//! MSTS (Röttger et al., arXiv 2501.10057): CSV files of prompts, and of models' responses to them.
//!
//! ```text
//! prompts:   hazard_category, hazard_subcategory, hazard_subsubcategory, case_id, case_text, unsafe_image_id,
//!            unsafe_image_description, prompt_id, prompt_text, prompt_type
//! responses: case_id, prompt_type, prompt_text, unsafe_image_description, model, response, annot1_…, final_label, …
//! ```
//!
//! The images are not in these files: what they show is put into words before the prompt by
//! [`with_image_in_words`]. The prompts for text alone say it themselves. All prompts are hazardous.

use align::types::{ItemKind, Message, Role};
use benchmarks::suites::msts::with_image_in_words;
use serde_json::Map;

use super::Layout;
use crate::fault::FaultKind;
use crate::fields::{Fields, OWN, Truth};
use crate::record::Record;
use crate::rows::{ColumnType, Row};

pub(crate) struct Msts;

impl Layout for Msts {
    fn required(&self) -> &'static [&'static str] {
        &["prompt_text"]
    }

    fn columns(&self) -> Vec<(&'static str, ColumnType)> {
        vec![("prompt_text", ColumnType::Text)]
    }

    fn read(&self, mut fields: Fields) -> Vec<Record> {
        let prompt = fields.required_text("prompt_text").unwrap_or_default();
        let mut item = fields.item(Truth::Text);
        item.id = fields
            .text("prompt_id")
            .unwrap_or_else(|| format!("msts-{}", fields.number()));
        item.category = fields.text("hazard_category");
        item.kind = Some(ItemKind::Hazardous);
        let shown = if fields.has("unsafe_image_id") || fields.has("model") {
            let description = fields.get("unsafe_image_description").and_then(|value| value.as_str());
            let Some(description) = description.map(str::to_owned) else {
                fields.fault(
                    FaultKind::MissingField,
                    "expected a field `unsafe_image_description`, got none",
                );
                return Vec::new();
            };
            with_image_in_words(&description, &prompt)
        } else {
            prompt
        };
        item.messages = vec![Message::text(Role::User, shown)];
        let response = fields.text("response");
        item.messages
            .extend(response.map(|text| Message::text(Role::Assistant, text)));
        vec![fields.record(item, Vec::new())]
    }

    fn write(&self, record: &Record) -> Result<Row, String> {
        if !record.pictures.is_empty() {
            return Err("its pictures are told in words".into());
        }
        if record.item.kind != Some(ItemKind::Hazardous) {
            return Err("it holds hazardous items alone".into());
        }
        let text = record.only_question()?.plain_text();
        let told = record
            .extra_text("unsafe_image_description")
            .map(|shown| with_image_in_words(shown, ""));
        let prompt = told.and_then(|told| text.strip_prefix(&told)).unwrap_or(&text);
        let mut fields = Map::new();
        fields.insert("prompt_text".to_owned(), prompt.into());
        // Rows of responses are told apart by their number alone.
        if !record.extra.contains_key("model") {
            fields.insert("prompt_id".to_owned(), record.item.id.clone().into());
        }
        if let Some(category) = &record.item.category {
            fields.insert("hazard_category".to_owned(), category.clone().into());
        }
        if let Some(response) = record.item.label() {
            fields.insert("response".to_owned(), response.into());
        }
        for (name, value) in &record.extra {
            if !OWN.contains(&name.as_str()) && !fields.contains_key(name) && name != "response" {
                fields.insert(name.clone(), value.clone());
            }
        }
        Ok(Row {
            fields,
            ..Row::default()
        })
    }
}
