//! Messages whose content is a list of parts, as OpenAI, Anthropic and Hugging Face write them. The image of a part is
//! its own, or the next of the row's column of images.
//!
//! ```text
//! {"type": "text" | "input_text" | "output_text", "text"}
//! {"type": "image" | "image_url" | "input_image", …}    an image in any form of [`crate::image_value`], and how it is
//!                                                       shown ([`ImageOptions`])
//! {"type": "image"}                                     the column's next
//! ```
//!
//! Every other key of a part or message is noted as not kept, and a part that is a film or sound as an error.

use align::types::{ImageOptions, Message, Part, Role, is_media, part_type};
use serde_json::{Map, Value, json};

use crate::field_reader::FieldReader;
use crate::image_value::Named;
use crate::media::{marked_media, media_problem};
use crate::placeholders::{self, PLACEHOLDER, Unplaced, count_mismatch};
use crate::roles::{OPEN_AI, role_name};
use rows::{ColumnType, Image, ProblemKind};

/// What a part may be, for messages.
const EXPECTED_PART: &str = "a part of type text, image or image_url";

/// What `<image>` in the text of a part is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Marker {
    /// Text like any other.
    Text,
    /// An image of the column.
    Image,
}

/// Reads a field's messages, whose content is text with placeholders or a list of parts, with the images that they show
/// in order; `column` is the row's column of images.
pub(super) fn read_messages(
    fields: &mut FieldReader,
    name: &str,
    column: Vec<Image>,
    marker: Marker,
    unplaced: Unplaced,
) -> (Vec<Message>, Vec<Image>) {
    let messages = fields.get(name).and_then(Value::as_array);
    let has_parts = messages.is_some_and(|messages| messages.iter().any(|message| message["content"].is_array()));
    if has_parts {
        let mut reader = PartReader::new(fields, marker);
        reader.read(name);
        return reader.settle(column, unplaced);
    }
    let turns = fields.turns(name, OPEN_AI.role, OPEN_AI.content);
    let messages = placeholders::messages(turns, &column, unplaced, fields.problems());
    (messages, column)
}

/// Reads messages in parts, and for each image part its image; none where the part leaves it to the row's column.
pub(super) struct PartReader<'r, 'a> {
    pub fields: &'r mut FieldReader<'a>,
    pub messages: Vec<Message>,
    marker: Marker,
    shown: Vec<Option<Image>>,
}

impl<'r, 'a> PartReader<'r, 'a> {
    /// For a row's fields.
    pub fn new(fields: &'r mut FieldReader<'a>, marker: Marker) -> Self {
        let (messages, shown) = (Vec::new(), Vec::new());
        Self { fields, messages, marker, shown }
    }

    /// Reads a field's messages after those that were read before.
    pub fn read(&mut self, name: &str) {
        for (index, value) in self.fields.required_messages(name).into_iter().enumerate() {
            let at = format!("{name}[{index}]");
            match value {
                Value::Object(message) => self.read_message(&at, message),
                other => self.fields.wrong_type(&at, "an object", &other),
            }
        }
    }

    fn read_message(&mut self, at: &str, mut message: Map<String, Value>) {
        let role: Option<Role> = self.fields.role(at, message.shift_remove("role").as_ref());
        let mut content = Vec::new();
        match message.shift_remove("content") {
            Some(Value::String(text)) => self.add_text(&mut content, text),
            Some(Value::Array(parts)) => {
                for (index, part) in parts.into_iter().enumerate() {
                    self.read_part(&format!("{at}.content[{index}]"), part, &mut content);
                }
            }
            Some(other) => {
                let at = format!("{at}.content");
                return self.fields.wrong_type(&at, "a string or a list of parts", &other);
            }
            None => {
                let message = format!("`{at}`: expected a field `content`, got none");
                return self.fields.note(ProblemKind::MissingField, message);
            }
        }
        self.fields.note_left(at, &message);
        if let Some(role) = role {
            self.messages.push(Message { role, content });
        }
    }

    fn read_part(&mut self, at: &str, part: Value, content: &mut Vec<Part>) {
        let Value::Object(mut part) = part else {
            return self.fields.wrong_type(at, EXPECTED_PART, &part);
        };
        let kind = part_type(&part).map(str::to_owned);
        match (kind.as_deref(), part.get_mut("text")) {
            (Some("text" | "input_text" | "output_text"), Some(Value::String(text))) => {
                self.add_text(content, std::mem::take(text));
            }
            (Some("text" | "input_text" | "output_text"), _) => {
                return self.fields.wrong_type(at, "a part with a `text`", &part.into());
            }
            (Some(kind @ ("image" | "image_url" | "input_image")), _) => {
                let (named, options) = self.fields.take_image(at, &mut part);
                let options = self.fields.image_options(at, &options);
                match named {
                    Named::Nothing if kind == "image" => self.show(content, None, options),
                    Named::Nothing => return self.fields.wrong_type(at, "a part with an image", &part.into()),
                    Named::Unreadable => {}
                    Named::Image(image) => self.show(content, Some(image), options),
                }
            }
            (Some(kind), _) if is_media(kind) => return self.fields.problems().push(media_problem(at)),
            _ => return self.fields.wrong_type(at, EXPECTED_PART, &part.into()),
        }
        part.shift_remove("type");
        // Files whose columns have types write every key of every part.
        part.retain(|_, value| *value != "");
        self.fields.note_left(at, &part);
    }

    fn add_text(&mut self, content: &mut Vec<Part>, text: String) {
        if self.marker == Marker::Image {
            self.fields.problems().extend(marked_media(&text));
        }
        if self.marker == Marker::Text || !text.contains(PLACEHOLDER) {
            return content.push(Part::Text { text });
        }
        for (index, words) in text.split(PLACEHOLDER).enumerate() {
            if index > 0 {
                self.show(content, None, ImageOptions::default());
            }
            if !words.is_empty() {
                content.push(Part::Text { text: words.to_owned() });
            }
        }
    }

    fn show(&mut self, content: &mut Vec<Part>, image: Option<Image>, options: ImageOptions) {
        let path = image.as_ref().map(Image::part_path).unwrap_or_default();
        self.shown.push(image);
        content.push(Part::Image { image: path, options });
    }

    /// The messages with their images in order, those of the column in the parts that leave them to it.
    ///
    /// A problem is noted if their numbers differ. Images are then placed as far as they go, and the rest at the end of
    /// the first question, so that all can still be checked.
    pub fn settle(mut self, column: Vec<Image>, unplaced: Unplaced) -> (Vec<Message>, Vec<Image>) {
        let n_open = self.shown.iter().filter(|image| image.is_none()).count();
        let shown_first = self.shown.is_empty() && unplaced == Unplaced::First;
        if n_open != column.len() && !shown_first {
            let message = format!(
                "expected as many image parts without an image as images in the column, got {n_open} and {}",
                column.len()
            );
            self.fields.note(count_mismatch(n_open, column.len()), message);
        }
        let mut column = column.into_iter();
        let mut shown = std::mem::take(&mut self.shown).into_iter();
        let mut images = Vec::new();
        for message in &mut self.messages {
            message.content.retain_mut(|part| match part {
                Part::Text { .. } => true,
                Part::Image { image: path, .. } => {
                    let image = shown.next().flatten().or_else(|| column.next());
                    if let Some(image) = &image {
                        *path = image.part_path();
                    }
                    images.extend(image.clone());
                    image.is_some()
                }
            });
        }
        self.add_left_over(column.collect(), shown_first, &mut images);
        (self.messages, images)
    }

    /// Puts images that no part shows before or after the first question's content.
    fn add_left_over(&mut self, left: Vec<Image>, first: bool, images: &mut Vec<Image>) {
        let Some(question) = self.messages.iter().position(|message| message.role == Role::User) else {
            return;
        };
        let (mut image_index, mut part_index) = (0, 0);
        if !first {
            let parts_up_to_it = self.messages[..=question].iter().flat_map(|message| &message.content);
            image_index = parts_up_to_it.filter(|part| matches!(part, Part::Image { .. })).count();
            part_index = self.messages[question].content.len();
        }
        let parts = left.iter().map(Image::part);
        self.messages[question].content.splice(part_index..part_index, parts);
        images.splice(image_index..image_index, left);
    }
}

/// Messages as JSON, the content of each as text if it is nothing else, otherwise as parts with images' paths.
pub(super) fn with_paths(messages: &[Message]) -> Value {
    let mut list = Vec::new();
    for message in messages {
        let content = match &message.content[..] {
            [Part::Text { text }] => json!(text),
            parts => parts.iter().map(|part| part_json(part, true)).collect(),
        };
        list.push(json!({ "role": role_name(message.role), "content": content }));
    }
    list.into()
}

/// Messages as JSON, their content as parts that leave images to the row's column.
pub(super) fn without_paths(messages: &[Message]) -> Value {
    let mut list = Vec::new();
    for message in messages {
        let content: Value = message.content.iter().map(|part| part_json(part, false)).collect();
        list.push(json!({ "role": role_name(message.role), "content": content }));
    }
    list.into()
}

fn part_json(part: &Part, with_path: bool) -> Value {
    match part {
        Part::Text { text } => json!({ "type": "text", "text": text }),
        Part::Image { image, options } if with_path => {
            let mut object = json!({ "type": "image", "image": image.to_string_lossy() });
            for (name, value) in json!(options).as_object().into_iter().flatten() {
                object[name] = value.clone();
            }
            object
        }
        Part::Image { .. } => json!({ "type": "image" }),
    }
}

/// A column of messages whose content is text.
pub(super) fn text_messages_column() -> ColumnType {
    ColumnType::object([("role", ColumnType::Text), ("content", ColumnType::Text)]).list()
}
