//! VLGuard (Zong et al., arXiv 2402.02207): a JSON list, a picture a row with one instruction or two.
//!
//! ```text
//! {"id", "image": path, "safe": bool, "harmful_category", "harmful_subcategory",
//!  "instr-resp": [{"instruction" | "safe_instruction" | "unsafe_instruction": "…", "response": "…"}, …]}
//! ```
//!
//! A picture that is not safe has an `instruction`, which is hazardous; a safe one a `safe_instruction`, which is
//! benign, and an `unsafe_instruction`. Each is an item of its own; the two of a row are told apart by `-safe` and
//! `-unsafe` after the id, and are written as two rows.

use align::types::{Item, ItemKind, Message, Part, Role};
use serde_json::{Map, Value, json};

use super::Layout;
use crate::fault::FaultKind;
use crate::fields::{Fields, Truth, put_extra, put_own};
use crate::record::{Picture, Record, question};
use crate::rows::Row;

pub(crate) struct VlGuard;

/// The keys of an instruction: what is put after the id, whether the picture is safe, the kind.
const KEYS: [(&str, &str, bool, ItemKind); 3] = [
    ("instruction", "", false, ItemKind::Hazardous),
    ("safe_instruction", "-safe", true, ItemKind::Benign),
    ("unsafe_instruction", "-unsafe", true, ItemKind::Hazardous),
];
const RESERVED: &[&str] = &["image", "safe", "harmful_category", "instr-resp"];

impl Layout for VlGuard {
    fn required(&self) -> &'static [&'static str] {
        &["instr-resp", "image"]
    }

    fn read(&self, mut fields: Fields) -> Vec<Record> {
        let mut shared = fields.item(Truth::Json);
        shared.category = fields.text("harmful_category").or(shared.category);
        let safe = fields.required("safe");
        if let Some(value) = safe.as_ref().filter(|value| !value.is_boolean()) {
            fields.wrong_type("safe", "true or false", value);
        }
        if !fields.has("image") {
            fields.fault(FaultKind::MissingField, "expected a field `image`, got none");
        }
        let pictures = fields.pictures("image");
        if pictures.len() > 1 {
            fields.fault(
                FaultKind::TooManyImages,
                format!("`image`: expected one, got {}", pictures.len()),
            );
        }
        let pairs = fields.required_list("instr-resp");
        let mut items = Vec::new();
        for (index, pair) in pairs.into_iter().enumerate() {
            items.extend(read_pair(&mut fields, index, &pair, &shared, &pictures));
        }
        if items.is_empty() && fields.faults().is_empty() {
            fields.fault(FaultKind::NoMessages, "`instr-resp`: expected an instruction, got none");
        }
        // Any item carries what else the row holds.
        let rest = fields.record(shared, pictures);
        items.into_iter().map(|item| Record { item, ..rest.clone() }).collect()
    }

    fn write(&self, record: &Record) -> Result<Row, String> {
        let kind = record.item.kind;
        let twice = KEYS
            .into_iter()
            .find(|(_, after, _, of)| !after.is_empty() && kind == Some(*of) && record.item.id.ends_with(after));
        let key = twice.or_else(|| KEYS.into_iter().find(|(.., of)| kind == Some(*of)));
        let (key, after, safe, _) = key.ok_or("it holds hazardous and benign items alone")?;
        let asked = record.only_question()?;
        let [picture] = &record.pictures[..] else {
            return Err(format!("it shows one picture, not {}", record.pictures.len()));
        };
        let words = asked.content.iter().filter_map(|part| match part {
            Part::Text { text } => Some(text.as_str()),
            Part::Image { .. } => None,
        });
        let mut fields = Map::new();
        let id = &record.item.id;
        fields.insert("id".to_owned(), id.strip_suffix(after).unwrap_or(id).into());
        fields.insert("image".to_owned(), picture.reference().unwrap_or_default().into());
        fields.insert("safe".to_owned(), safe.into());
        if let Some(category) = &record.item.category {
            fields.insert("harmful_category".to_owned(), category.clone().into());
        }
        let response = record.item.label().unwrap_or_default();
        let mut pair = Map::new();
        pair.insert(key.to_owned(), words.collect::<String>().into());
        pair.insert("response".to_owned(), response.into());
        fields.insert("instr-resp".to_owned(), json!([pair]));
        put_own(&mut fields, record, Truth::Json);
        fields.shift_remove("kind");
        fields.shift_remove("category");
        put_extra(&mut fields, record, RESERVED);
        Ok(Row {
            fields,
            ..Row::default()
        })
    }
}

fn read_pair(fields: &mut Fields, index: usize, pair: &Value, shared: &Item, pictures: &[Picture]) -> Option<Item> {
    let found = KEYS
        .iter()
        .find_map(|key| pair.get(key.0).and_then(Value::as_str).map(|text| (key, text)));
    let Some(((_, after, _, kind), text)) = found else {
        fields.wrong_type(&format!("instr-resp[{index}]"), "an instruction and a response", pair);
        return None;
    };
    let mut messages = vec![question(pictures, text)];
    match pair.get("response") {
        Some(Value::String(response)) if !response.is_empty() => {
            messages.push(Message::text(Role::Assistant, response.clone()));
        }
        None | Some(Value::String(_) | Value::Null) => {}
        Some(other) => fields.wrong_type(&format!("instr-resp[{index}].response"), "a string", other),
    }
    Some(Item {
        id: format!("{}{after}", shared.id),
        messages,
        kind: Some(*kind),
        ..shared.clone()
    })
}
