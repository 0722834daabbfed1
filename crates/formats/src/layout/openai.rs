//! Scruple's own: OpenAI messages, one JSON object a line.
//!
//! ```text
//! {"id", "messages": [{"role", "content": "…" | [{"type": "text", "text"}, {"type": "image", "image": path}]}],
//!  "split"?, "kind"?, "category"?, "twin_of"?, "truth"?, …}
//! ```
//!
//! Read as well: `{"type": "image_url", "image_url": {"url"}}` parts, with `data:` URLs and addresses. Written: images as
//! paths relative to the file; what else a row holds stands beside, where nothing of ours reads it.

use align::types::{Message, Part, Role};
use serde_json::{Map, Value, json};

use super::Layout;
use crate::fault::FaultKind;
use crate::fields::{Fields, Truth, put_extra, put_own, role_name};
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
                ("id", Some(value)) if !value.is_string() => fields.wrong_type("id", "a string", &value),
                ("kind", Some(value)) if !value.is_null() && crate::fields::kind_of(&value).is_none() => fields.fault(
                    FaultKind::WrongValue,
                    format!("`kind`: expected hazardous, benign, black_image or general, got {value}"),
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
        let mut pictures = Vec::new();
        item.messages = read_messages(&mut fields, "messages", &mut pictures);
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

/// Reads messages whose content is text or a list of parts, and the pictures of these parts.
pub(super) fn read_messages(fields: &mut Fields, name: &str, pictures: &mut Vec<Picture>) -> Vec<Message> {
    let list = fields.required_list(name);
    if list.is_empty() && fields.faults().is_empty() {
        fields.fault(
            FaultKind::NoMessages,
            format!("`{name}`: expected at least one message, got none"),
        );
    }
    let mut messages = Vec::new();
    for (index, value) in list.into_iter().enumerate() {
        let place = format!("{name}[{index}]");
        let Value::Object(mut message) = value else {
            fields.wrong_type(&place, "an object", &value);
            continue;
        };
        let role: Option<Role> = fields.role(&place, message.shift_remove("role").as_ref());
        let content = match message.shift_remove("content") {
            Some(Value::String(text)) => vec![Part::Text { text }],
            Some(Value::Array(parts)) => parts
                .iter()
                .filter_map(|part| read_part(fields, &place, part, pictures))
                .collect(),
            Some(other) => {
                fields.wrong_type(&format!("{place}.content"), "a string or a list of parts", &other);
                continue;
            }
            None => {
                fields.fault(
                    FaultKind::MissingField,
                    format!("`{place}`: expected a field `content`, got none"),
                );
                continue;
            }
        };
        for left in message.keys() {
            fields.fault(FaultKind::NotKept, format!("`{name}[].{left}` is not kept"));
        }
        if let Some(role) = role {
            messages.push(Message { role, content });
        }
    }
    messages
}

fn read_part(fields: &mut Fields, place: &str, part: &Value, pictures: &mut Vec<Picture>) -> Option<Part> {
    let reference = match part.get("type").and_then(Value::as_str) {
        Some("text") => {
            let Some(text) = part.get("text").and_then(Value::as_str) else {
                fields.wrong_type(place, "a part with a `text`", part);
                return None;
            };
            return Some(Part::Text { text: text.to_owned() });
        }
        // A picture of another column's: the caller has it.
        Some("image") if part.get("image").is_none_or(Value::is_null) => {
            return Some(Part::Image {
                image: std::path::PathBuf::new(),
            });
        }
        Some("image") => part.get("image"),
        Some("image_url") => part.get("image_url").map(|url| url.get("url").unwrap_or(url)),
        _ => {
            fields.wrong_type(place, "a part of type text, image or image_url", part);
            return None;
        }
    };
    let picture = fields.picture(place, reference.unwrap_or(&Value::Null))?;
    let image = picture.part_path();
    pictures.push(picture);
    Some(Part::Image { image })
}

/// Messages as JSON: plain text where there is nothing else, parts otherwise; image parts with or without their path.
pub(super) fn write_messages(messages: &[Message], paths: bool) -> Value {
    let message = |message: &Message| {
        let content = match &message.content[..] {
            [Part::Text { text }] if paths => json!(text),
            parts => parts
                .iter()
                .map(|part| match part {
                    Part::Text { text } => json!({ "type": "text", "text": text }),
                    Part::Image { image } if paths => json!({ "type": "image", "image": image.to_string_lossy() }),
                    Part::Image { .. } => json!({ "type": "image" }),
                })
                .collect(),
        };
        json!({ "role": role_name(message.role), "content": content })
    };
    messages.iter().map(message).collect()
}
