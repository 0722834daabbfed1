//! MSTS (Röttger et al., arXiv 2501.10057): CSV files of prompts, and of models' responses to them.
//!
//! ```text
//! prompts:   hazard_category, hazard_subcategory, hazard_subsubcategory, case_id, case_text, unsafe_image_id,
//!            unsafe_image_description, prompt_id, prompt_text, prompt_type
//! responses: case_id, prompt_type, prompt_text, unsafe_image_description, model, response, annot1_…, final_label, …
//! ```
//!
//! The images are not in these files: [`with_image_in_words`] puts their descriptions before the
//! prompt. The text-only prompts contain them already. All prompts are hazardous.

use align::types::{ItemKind, Message, Role};
use benchmarks::suites::msts::with_image_in_words;

use crate::field_reader::FieldReader;
use crate::format::{Description, Format, ImageStorage, Layout};
use crate::item_fields::{TruthAs, put_extra};
use crate::record::Record;
use rows::{ColumnType, Container, Row, text_columns};

pub(crate) const FORMAT: Format = Format::new(&Description {
    names: &["msts"],
    about: "MSTS: prompts or responses",
    containers: &[Container::Csv],
    required: &["prompt_text"],
    images: ImageStorage::TextOnly,
    recognizes: |header| header.is(Container::Csv) && header.has("prompt_text"),
    layout: || Box::new(Msts),
});

struct Msts;

impl Layout for Msts {
    fn columns(&self) -> Vec<(&'static str, ColumnType)> {
        text_columns(["prompt_text"])
    }

    fn read(&self, mut fields: FieldReader) -> Vec<Record> {
        let mut prompt = fields.required_text("prompt_text");
        let has_id = fields.has("id");
        let mut item = fields.item(TruthAs::Text);
        if !has_id {
            item.id = fields.id("prompt_id").unwrap_or_else(|| format!("msts-{}", fields.number()));
        }
        item.category = item.category.or_else(|| fields.text("hazard_category"));
        item.kind = Some(ItemKind::Hazardous);
        if fields.has("unsafe_image_id") || fields.has("model") {
            let Some(description) = fields.get_text("unsafe_image_description") else {
                fields.missing("unsafe_image_description");
                return Vec::new();
            };
            prompt = with_image_in_words(description, &prompt);
        }
        item.messages = vec![Message::text(Role::User, prompt)];
        item.messages.extend(fields.answer("response"));
        vec![fields.record(item, Vec::new())]
    }

    fn write(&self, record: &Record) -> Result<Row, String> {
        if !record.images.is_empty() {
            return Err("its images are described in text".into());
        }
        if record.item.kind != Some(ItemKind::Hazardous) {
            return Err("it holds hazardous items only".into());
        }
        let text = record.only_question()?.plain_text();
        let description = record.extra_text("unsafe_image_description");
        let prompt = description
            .and_then(|description| text.strip_prefix(&with_image_in_words(description, "")))
            .unwrap_or(&text);
        let mut row = Row::default();
        row.set("prompt_text", prompt);
        // Rows of responses have no id but their number.
        if !record.extra.contains_key("model") {
            row.set("prompt_id", record.item.id.as_str());
        }
        if let Some(category) = &record.item.category {
            row.set("hazard_category", category.as_str());
        }
        if let Some(response) = record.item.label() {
            row.set("response", response);
        }
        put_extra(&mut row.fields, record, &["response"]);
        Ok(row)
    }
}
