//! VLGuard (Zong et al., arXiv 2402.02207): a JSON list, one image per row with one instruction or two.
//!
//! ```text
//! {"id", "image": path, "safe": bool, "harmful_category", "harmful_subcategory",
//!  "instr-resp": [{"instruction" | "safe_instruction" | "unsafe_instruction": "…", "response": "…"}, …]}
//! ```
//!
//! An image that is not safe has an `instruction`, which is hazardous; a safe one has a `safe_instruction`, which is
//! benign, and an `unsafe_instruction`. Each is an item of its own; the two of a row have `-safe` and `-unsafe`
//! after the id, and are written as two rows.

use align::types::{Item, ItemKind, Message, Role};
use serde_json::{Map, Value, json};

use crate::field_reader::FieldReader;
use crate::format::{Description, Format, ImageStorage, Layout};
use crate::item_fields::{TruthAs, put_extra, put_item};
use crate::record::{Record, question};
use rows::{Container, Image, ProblemKind, Row};

pub(crate) const FORMAT: Format = Format::new(&Description {
    names: &["vlguard"],
    about: "VLGuard",
    containers: &[Container::JsonList, Container::JsonLines],
    required: &["instr-resp", "image"],
    images: ImageStorage::Paths,
    recognizes: |header| header.is_json() && header.has("instr-resp"),
    layout: || Box::new(VlGuard),
});

struct VlGuard;

/// A key of an instruction, what is added to the id of its item, and its kind. The image is safe if an id needs a suffix.
const INSTRUCTIONS: [(&str, &str, ItemKind); 3] = [
    ("instruction", "", ItemKind::Hazardous),
    ("safe_instruction", "-safe", ItemKind::Benign),
    ("unsafe_instruction", "-unsafe", ItemKind::Hazardous),
];
const RESERVED: &[&str] = &["image", "safe", "harmful_category", "instr-resp"];

impl Layout for VlGuard {
    fn read(&self, mut fields: FieldReader) -> Vec<Record> {
        let mut shared = fields.item(TruthAs::Json);
        shared.category = shared.category.or_else(|| fields.text("harmful_category"));
        let safe = fields.required("safe");
        if let Some(value) = safe.as_ref().filter(|value| !value.is_boolean()) {
            fields.wrong_type("safe", "true or false", value);
        }
        if !fields.has("image") {
            fields.missing("image");
        }
        let images = fields.images("image");
        if images.len() > 1 {
            let message = format!("`image`: expected one, got {}", images.len());
            fields.note(ProblemKind::TooManyImages, message);
        }
        let mut items = Vec::new();
        for (index, pair) in fields.required_list("instr-resp").into_iter().enumerate() {
            items.extend(read_pair(&mut fields, index, pair, &shared, &images));
        }
        if items.is_empty() && fields.problems().is_empty() {
            let message = "`instr-resp`: expected an instruction, got none";
            fields.note(ProblemKind::NoMessages, message);
        }
        // Every item keeps the row's other fields.
        let rest = fields.record(shared, images);
        items.into_iter().map(|item| Record { item, ..rest.clone() }).collect()
    }

    fn write(&self, record: &Record) -> Result<Row, String> {
        let Item { id, kind, category, .. } = &record.item;
        let mut of_kind = INSTRUCTIONS.into_iter().filter(|(.., of)| *kind == Some(*of));
        let of_pair = of_kind.clone().find(|(_, suffix, _)| !suffix.is_empty() && id.ends_with(suffix));
        let (key, suffix, _) = of_pair.or_else(|| of_kind.next()).ok_or("it holds hazardous and benign items only")?;
        let question = record.only_question()?;
        let image = record.only_image()?;
        let mut row = Row::default();
        row.set("id", id.strip_suffix(suffix).unwrap_or(id));
        row.set("image", image.reference().unwrap_or_default());
        row.set("safe", !suffix.is_empty());
        if let Some(category) = category {
            row.set("harmful_category", category.as_str());
        }
        let mut pair = Map::new();
        pair.insert(key.to_owned(), question.plain_text().into());
        pair.insert("response".to_owned(), record.label_or_empty().into());
        row.set("instr-resp", json!([pair]));
        put_item(&mut row.fields, record, TruthAs::Json);
        row.fields.shift_remove("kind");
        row.fields.shift_remove("category");
        put_extra(&mut row.fields, record, RESERVED);
        Ok(row)
    }
}

fn read_pair(fields: &mut FieldReader, index: usize, pair: Value, shared: &Item, images: &[Image]) -> Option<Item> {
    let at = format!("instr-resp[{index}]");
    let Value::Object(mut pair) = pair else {
        fields.wrong_type(&at, "an instruction and a response", &pair);
        return None;
    };
    let known = INSTRUCTIONS.into_iter().find(|(key, ..)| pair.get(*key).is_some_and(Value::is_string));
    let Some((key, suffix, kind)) = known else {
        fields.wrong_type(&at, "an instruction and a response", &pair.into());
        return None;
    };
    let text = pair.shift_remove(key).and_then(|text| Some(text.as_str()?.to_owned())).unwrap_or_default();
    let mut messages = vec![question(images, text)];
    match pair.shift_remove("response") {
        Some(Value::String(response)) if !response.is_empty() => {
            messages.push(Message::text(Role::Assistant, response));
        }
        None | Some(Value::String(_) | Value::Null) => {}
        Some(other) => fields.wrong_type(&format!("{at}.response"), "a string", &other),
    }
    fields.note_left(&at, &pair);
    Some(Item { id: format!("{}{suffix}", shared.id), messages, kind: Some(kind), ..shared.clone() })
}
