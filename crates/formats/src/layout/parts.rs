//! Messages whose content is a list of parts, as OpenAI, Anthropic and Hugging Face write them, and the pictures of
//! these parts: each part's own, or the next of the row's column of pictures.
//!
//! ```text
//! {"type": "text", "text"}
//! {"type": "image", "image" | "url" | "path": path | address | data URL}      {"type": "image", "base64"}
//! {"type": "image_url", "image_url": {"url"} | "…"}
//! {"type": "image", "source": {"type": "base64", "media_type", "data"} | {"type": "url", "url"}}
//! {"type": "image"}                                                            the column's next
//! ```

use align::types::{Message, Part, Role};
use serde_json::{Map, Value, json};

use crate::fault::FaultKind;
use crate::fields::{Fields, role_name};
use crate::placeholders::{PLACEHOLDER, Unplaced};
use crate::record::Picture;

/// What `<image>` within a text is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// Words like others.
    Words,
    /// A picture of the column's.
    Picture,
}

/// Messages as they are read, and for each of their image parts the picture that stands in it; none where the part
/// leaves it to the row's column.
#[derive(Default)]
pub(super) struct InParts {
    pub messages: Vec<Message>,
    pub shown: Vec<Option<Picture>>,
}

impl InParts {
    /// Reads a field's messages after those that are there already.
    pub fn read(&mut self, fields: &mut Fields, name: &str, mark: Mark) {
        let list = fields.required_list(name);
        if list.is_empty() && fields.faults().is_empty() {
            let problem = format!("`{name}`: expected at least one message, got none");
            fields.fault(FaultKind::NoMessages, problem);
        }
        for (index, value) in list.into_iter().enumerate() {
            let place = format!("{name}[{index}]");
            match value {
                Value::Object(message) => self.read_message(fields, name, &place, message, mark),
                other => fields.wrong_type(&place, "an object", &other),
            }
        }
    }

    fn read_message(
        &mut self,
        fields: &mut Fields,
        name: &str,
        place: &str,
        mut message: Map<String, Value>,
        mark: Mark,
    ) {
        let role: Option<Role> = fields.role(place, message.shift_remove("role").as_ref());
        let mut content = Vec::new();
        match message.shift_remove("content") {
            Some(Value::String(text)) => self.add_text(&mut content, text, mark),
            Some(Value::Array(parts)) => {
                for part in &parts {
                    self.read_part(fields, place, part, &mut content, mark);
                }
            }
            Some(other) => {
                return fields.wrong_type(&format!("{place}.content"), "a string or a list of parts", &other);
            }
            None => {
                let problem = format!("`{place}`: expected a field `content`, got none");
                return fields.fault(FaultKind::MissingField, problem);
            }
        }
        for (left, _) in message.iter().filter(|(_, value)| !value.is_null()) {
            fields.fault(FaultKind::NotKept, format!("`{name}[].{left}` is not kept"));
        }
        if let Some(role) = role {
            self.messages.push(Message { role, content });
        }
    }

    fn read_part(&mut self, fields: &mut Fields, place: &str, part: &Value, content: &mut Vec<Part>, mark: Mark) {
        match part.get("type").and_then(Value::as_str) {
            Some("text") => match part.get("text").and_then(Value::as_str) {
                Some(text) => self.add_text(content, text.to_owned(), mark),
                None => fields.wrong_type(place, "a part with a `text`", part),
            },
            Some("image" | "image_url") => match reference(part) {
                None => self.show(content, None),
                Some(Reference::Any(value)) => {
                    if let Some(picture) = fields.picture(place, value) {
                        self.show(content, Some(picture));
                    }
                }
                Some(Reference::Base64(text)) => match Picture::from_base64(text) {
                    Ok(picture) => self.show(content, Some(picture)),
                    Err(problem) => fields.fault(FaultKind::BrokenImage, format!("`{place}`: {problem}")),
                },
            },
            _ => fields.wrong_type(place, "a part of type text, image or image_url", part),
        }
    }

    fn add_text(&mut self, content: &mut Vec<Part>, text: String, mark: Mark) {
        if mark == Mark::Words || !text.contains(PLACEHOLDER) {
            return content.push(Part::Text { text });
        }
        for (index, words) in text.split(PLACEHOLDER).enumerate() {
            if index > 0 {
                self.show(content, None);
            }
            if !words.is_empty() {
                content.push(Part::Text { text: words.to_owned() });
            }
        }
    }

    fn show(&mut self, content: &mut Vec<Part>, picture: Option<Picture>) {
        let image = picture.as_ref().map(Picture::part_path).unwrap_or_default();
        self.shown.push(picture);
        content.push(Part::Image { image });
    }

    /// The dialogue with its pictures in order, those of the column in the parts that leave them to it.
    ///
    /// Where these disagree in number a fault is noted; what can still be looked at stands as far as it goes, what is
    /// left over at the end of the first question.
    pub fn settle(
        mut self,
        column: Vec<Picture>,
        unplaced: Unplaced,
        fields: &mut Fields,
    ) -> (Vec<Message>, Vec<Picture>) {
        let n_open = self.shown.iter().filter(|picture| picture.is_none()).count();
        let shown_first = self.shown.is_empty() && unplaced == Unplaced::First;
        if n_open != column.len() && !shown_first {
            let kind = if n_open > column.len() {
                FaultKind::TooFewImages
            } else {
                FaultKind::TooManyImages
            };
            let problem = format!(
                "expected as many image parts without a picture as pictures beside the messages, got {n_open} and {}",
                column.len()
            );
            fields.fault(kind, problem);
        }
        let mut column = column.into_iter();
        let shown = std::mem::take(&mut self.shown);
        let mut filled = shown.into_iter().map(|own| own.or_else(|| column.next()));
        let mut pictures = Vec::new();
        for message in &mut self.messages {
            message.content.retain_mut(|part| match part {
                Part::Text { .. } => true,
                Part::Image { image } => {
                    let picture = filled.next().flatten();
                    if let Some(picture) = &picture {
                        *image = picture.part_path();
                    }
                    pictures.extend(picture.clone());
                    picture.is_some()
                }
            });
        }
        drop(filled);
        self.add_left_over(column.collect(), shown_first, &mut pictures);
        (self.messages, pictures)
    }

    /// Puts pictures that no part shows before or after the first question's words.
    fn add_left_over(&mut self, left: Vec<Picture>, first: bool, pictures: &mut Vec<Picture>) {
        let Some(asked) = self.messages.iter().position(|message| message.role == Role::User) else {
            return;
        };
        let is_image = |part: &&Part| matches!(part, Part::Image { .. });
        let n_up_to_it = self.messages[..=asked].iter().flat_map(|message| &message.content);
        let at = if first { 0 } else { n_up_to_it.filter(is_image).count() };
        let content = &mut self.messages[asked].content;
        let place = if first { 0 } else { content.len() };
        let parts = left.iter().map(|picture| Part::Image {
            image: picture.part_path(),
        });
        content.splice(place..place, parts);
        pictures.splice(at..at, left);
    }
}

/// Where a part says what its picture is.
enum Reference<'a> {
    /// A path, an address or a data URL.
    Any(&'a Value),
    /// Base64 without a head.
    Base64(&'a str),
}

/// The picture that an image part names; none where it names none.
fn reference(part: &Value) -> Option<Reference<'_>> {
    let field = |name: &str| part.get(name).filter(|value| !value.is_null());
    if let Some(source) = field("source") {
        let url = source.get("url").map(Reference::Any);
        let data = source.get("data").and_then(Value::as_str).map(Reference::Base64);
        // A source of neither form is told as what it is.
        return url.or(data).or(Some(Reference::Any(source)));
    }
    if let Some(url) = field("image_url") {
        return Some(Reference::Any(url.get("url").unwrap_or(url)));
    }
    if let Some(text) = field("base64").and_then(Value::as_str) {
        return Some(Reference::Base64(text));
    }
    let named = field("image").or_else(|| field("url")).or_else(|| field("path"));
    // An empty `image_url` part was meant to hold one.
    let is_open = part.get("type").and_then(Value::as_str) == Some("image");
    named
        .map(Reference::Any)
        .or_else(|| (!is_open).then_some(Reference::Any(&Value::Null)))
}

/// Whether a list of messages holds one whose content is a list.
pub(super) fn has_parts(messages: Option<&Value>) -> bool {
    let messages = messages.and_then(Value::as_array);
    messages
        .into_iter()
        .flatten()
        .any(|message| message["content"].is_array())
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
