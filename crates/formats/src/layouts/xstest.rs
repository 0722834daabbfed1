//! XSTest (Röttger et al., arXiv 2308.01263): a CSV of prompts, or of models' completions of them; text only.
//!
//! ```text
//! prompts:     id, prompt, type, label: safe | unsafe, focus, note
//! completions: id, type, prompt, completion, annotation_1, annotation_2, agreement, final_label
//! ```
//!
//! A completion is the item's label; its prompt is unsafe if its type is `contrast_…`. Ids are read with `xstest-`
//! before them, as [`benchmarks`] does.

use align::types::ItemKind;
use benchmarks::suites::xstest as benchmark;

use crate::field_reader::FieldReader;
use crate::format::{Description, Format, ImageStorage, Layout};
use crate::item_fields::put_extra;
use crate::record::Record;
use rows::{ColumnType, Container, Row, text_columns};

pub(crate) const FORMAT: Format = Format::new(&Description {
    names: &["xstest"],
    about: "XSTest: prompts or completions",
    containers: &[Container::Csv],
    required: &["id", "prompt", "type"],
    images: ImageStorage::TextOnly,
    recognizes: |header| header.is(Container::Csv) && header.has_all(&["prompt", "type"]),
    layout: || Box::new(XsTest),
});

struct XsTest;

impl Layout for XsTest {
    fn columns(&self) -> Vec<(&'static str, ColumnType)> {
        text_columns(["id", "prompt", "type", "label", "focus", "note"])
    }

    fn read(&self, mut fields: FieldReader) -> Vec<Record> {
        let completion = fields.answer("completion");
        if !fields.has("label") {
            let is_contrast = fields.get_text("type").is_some_and(|name| name.starts_with("contrast"));
            fields.put("label", if is_contrast { "unsafe" } else { "safe" });
        }
        let Some(mut item) = fields.read_by(benchmark::item) else {
            return Vec::new();
        };
        for name in ["id", "prompt", "type", "label"] {
            fields.take(name);
        }
        item.messages.extend(completion);
        vec![fields.record(item, Vec::new())]
    }

    fn write(&self, record: &Record) -> Result<Row, String> {
        if !record.images.is_empty() {
            return Err("it holds text only".into());
        }
        let label = match record.item.kind {
            Some(ItemKind::Benign) => "safe",
            Some(ItemKind::Hazardous) => "unsafe",
            _ => return Err("it holds hazardous and benign items only".into()),
        };
        let id = &record.item.id;
        let mut row = Row::default();
        row.set("id", id.strip_prefix(benchmark::ID_PREFIX).unwrap_or(id));
        row.set("prompt", record.only_question()?.plain_text());
        let category = record.item.category.as_deref().ok_or("its items have a category")?;
        row.set("type", category);
        row.set("label", label);
        if let Some(completion) = record.item.label() {
            row.set("completion", completion);
        }
        put_extra(&mut row.fields, record, &["completion"]);
        Ok(row)
    }
}
