//! TRL's conversational prompts and completions, with pictures.
//!
//! ```text
//! prompt, completion: list<{role, content: list<{type: "image" | "text", text: string}>}>
//! images:             list<{bytes, path}>
//! id, split, kind, category, twin_of: string; truth: string of JSON; further columns as they come
//! ```
//!
//! An item without a label has no completion, and a file without labels no such column. Read as well: content as text, and `prompt` as plain text, with
//! pictures first; one picture in `image`.

use align::types::{Message, Part, Role};
use serde_json::{Map, Value};

use super::Layout;
use super::openai::{read_messages, write_messages};
use crate::fault::FaultKind;
use crate::fields::{Fields, Truth, put_extra, put_own};
use crate::record::Record;
use crate::rows::{ColumnType, Row};

pub(crate) struct Trl;

impl Layout for Trl {
    fn required(&self) -> &'static [&'static str] {
        &["prompt"]
    }

    fn columns(&self) -> Vec<(&'static str, ColumnType)> {
        let part = ColumnType::object([("type", ColumnType::Text), ("text", ColumnType::Text)]);
        let messages = ColumnType::object([("role", ColumnType::Text), ("content", part.list())]).list();
        vec![
            ("id", ColumnType::Text),
            ("prompt", messages),
            ("images", ColumnType::Pictures),
        ]
    }

    fn read(&self, mut fields: Fields) -> Vec<Record> {
        let mut item = fields.item(Truth::Text);
        let column = if fields.has("images") { "images" } else { "image" };
        let mut pictures = fields.pictures(column);
        item.messages = read_side(&mut fields, "prompt", Role::User, &mut pictures);
        let has_completion = fields
            .get("completion")
            .is_some_and(|value| !value.is_null() && *value != Value::Array(Vec::new()));
        if has_completion {
            let completion = read_side(&mut fields, "completion", Role::Assistant, &mut pictures);
            item.messages.extend(completion);
        } else {
            fields.take("completion");
        }
        place(&mut item.messages, &pictures, &mut fields);
        vec![fields.record(item, pictures)]
    }

    fn write(&self, record: &Record) -> Result<Row, String> {
        let n_prompt = record.item.prompt().len();
        let (prompt, completion) = record.item.messages.split_at(n_prompt);
        let mut fields = Map::new();
        fields.insert("id".to_owned(), record.item.id.clone().into());
        fields.insert("prompt".to_owned(), write_messages(prompt, false));
        // Nothing where there is no label: TRL takes the first message of whatever list stands here.
        if !completion.is_empty() {
            fields.insert("completion".to_owned(), write_messages(completion, false));
        }
        put_own(&mut fields, record, Truth::Text);
        put_extra(&mut fields, record, &["images", "image", "completion"]);
        Ok(Row {
            fields,
            pictures: [("images".to_owned(), record.pictures.clone())].into(),
            ..Row::default()
        })
    }
}

fn read_side(
    fields: &mut Fields,
    name: &str,
    speaker: Role,
    pictures: &mut Vec<crate::record::Picture>,
) -> Vec<Message> {
    if fields.get(name).is_some_and(Value::is_string) {
        let text = fields.text(name).unwrap_or_default();
        return vec![Message::text(speaker, text)];
    }
    read_messages(fields, name, pictures)
}

/// Gives the image parts their pictures, or puts the pictures before the first question where there are no such parts.
fn place(messages: &mut [Message], pictures: &[crate::record::Picture], fields: &mut Fields) {
    let parts = || {
        pictures.iter().map(|picture| Part::Image {
            image: picture.part_path(),
        })
    };
    let is_image = |part: &&mut Part| matches!(part, Part::Image { .. });
    let n_parts = messages
        .iter_mut()
        .flat_map(|message| &mut message.content)
        .filter(is_image)
        .count();
    if n_parts == 0 {
        if let Some(question) = messages.iter_mut().find(|message| message.role == Role::User) {
            question.content.splice(0..0, parts());
        }
        return;
    }
    if n_parts != pictures.len() {
        let kind = if n_parts > pictures.len() {
            FaultKind::TooFewImages
        } else {
            FaultKind::TooManyImages
        };
        let problem = format!(
            "expected as many image parts as pictures, got {n_parts} and {}",
            pictures.len()
        );
        fields.fault(kind, problem);
    }
    let image_parts = messages
        .iter_mut()
        .flat_map(|message| &mut message.content)
        .filter(is_image);
    for (part, picture) in image_parts.zip(parts()) {
        *part = picture;
    }
}
