//! Messages: who speaks, and what is said and shown; in our own layout, or as OpenAI and its clients write it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::written::{Empty, ImageUrl, text_or_list};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The instruction above the dialogue.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
}

/// One piece of a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", from = "WrittenPart")]
pub enum Part {
    /// Words.
    Text {
        /// The words.
        text: String,
    },
    /// An image.
    Image {
        /// The image's file; relative paths are relative to the folder of the data file.
        image: PathBuf,
    },
}

/// One turn of a dialogue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "WrittenMessage")]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said and shown, in order. A plain string in a file becomes one text part.
    pub content: Vec<Part>,
}

impl Message {
    /// A message of words alone.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self { role, content: vec![Part::Text { text: text.into() }] }
    }

    /// A user's message: images in order, then words.
    pub fn of_user(images: Vec<PathBuf>, text: impl Into<String>) -> Self {
        let mut content: Vec<Part> = images.into_iter().map(|image| Part::Image { image }).collect();
        content.push(Part::Text { text: text.into() });
        Self { role: Role::User, content }
    }

    /// The message's text parts, joined without anything between.
    pub fn plain_text(&self) -> String {
        self.content
            .iter()
            .filter_map(|part| match part {
                Part::Text { text } => Some(text.as_str()),
                Part::Image { .. } => None,
            })
            .collect()
    }
}

impl From<String> for Part {
    fn from(text: String) -> Self {
        Self::Text { text }
    }
}

/// A part as files write it: `image_url` parts are images too.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum WrittenPart {
    Text { text: String },
    Image { image: PathBuf },
    ImageUrl { image_url: ImageUrl },
}

impl From<WrittenPart> for Part {
    fn from(part: WrittenPart) -> Self {
        match part {
            WrittenPart::Text { text } => Self::Text { text },
            WrittenPart::Image { image } => Self::Image { image },
            WrittenPart::ImageUrl { image_url } => Self::Image { image: image_url.0 },
        }
    }
}

/// A message as files write it. A speaker's name is ignored, and so are the fields that OpenAI's own answers leave
/// empty; any other field that a reader might rely on is refused by its name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenMessage {
    role: Role,
    #[serde(deserialize_with = "text_or_list")]
    content: Vec<Part>,
    #[serde(default, rename = "name")]
    _name: Option<String>,
    #[serde(default, rename = "refusal")]
    _refusal: Empty,
    #[serde(default, rename = "annotations")]
    _annotations: Empty,
    #[serde(default, rename = "audio")]
    _audio: Empty,
    #[serde(default, rename = "function_call")]
    _function_call: Empty,
    #[serde(default, rename = "tool_calls")]
    _tool_calls: Empty,
}

impl From<WrittenMessage> for Message {
    fn from(message: WrittenMessage) -> Self {
        Self { role: message.role, content: message.content }
    }
}

/// The image paths of a dialogue, in order.
pub fn image_paths(messages: &[Message]) -> impl Iterator<Item = &Path> {
    messages.iter().flat_map(|message| &message.content).filter_map(|part| match part {
        Part::Image { image } => Some(image.as_path()),
        Part::Text { .. } => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn message(value: Value) -> Result<Message, String> {
        serde_json::from_value(value).map_err(|error| error.to_string())
    }

    #[test]
    fn messages_are_read_as_openai_writes_them() {
        let parts = json!([
            { "type": "image_url", "image_url": { "url": "a.png", "detail": "high" } },
            { "type": "image_url", "image_url": "b.png" },
            { "type": "image", "image": "c.png" },
            { "type": "text", "text": "Which?" },
        ]);
        let read = message(json!({ "role": "user", "name": "ada", "content": parts })).unwrap();
        let paths: Vec<_> = image_paths(std::slice::from_ref(&read)).collect();
        assert_eq!(paths, ["a.png", "b.png", "c.png"].map(std::path::Path::new));
        let answer =
            json!({ "role": "assistant", "content": "No.", "refusal": null, "annotations": [], "tool_calls": null });
        assert_eq!(message(answer).unwrap().plain_text(), "No.");
    }

    #[test]
    fn what_would_be_lost_is_refused_by_its_name() {
        for (value, expected) in [
            (json!({ "content": "a", "loss": false }), "unknown field `loss`"),
            (json!({ "content": "a", "tool_calls": [{}] }), "expected null or an empty list"),
            (json!({ "content": [{ "type": "video" }] }), "unknown variant `video`"),
            (json!({ "content": [{ "type": "image_url", "image_url": {} }] }), "missing field `url`"),
        ] {
            let mut value = value;
            value["role"] = json!("assistant");
            let error = message(value).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
