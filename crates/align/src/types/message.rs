//! Messages: who speaks, and what is said and shown; in our own layout, or as OpenAI and its clients write it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::written::{Empty, text_or_list};
use super::{Beside, ImageOptions, NamedImage, data_url_bytes, is_media, part_type, take_image};

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
#[serde(tag = "type", rename_all = "lowercase", try_from = "Map<String, Value>")]
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
        /// How this one is shown.
        #[serde(flatten)]
        options: ImageOptions,
    },
}

impl Part {
    /// An image that is shown as any other.
    pub fn image(image: impl Into<PathBuf>) -> Self {
        Self::Image { image: image.into(), options: ImageOptions::default() }
    }
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
        let mut content: Vec<Part> = images.into_iter().map(Part::image).collect();
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

/// A part as files write it, in any form of [`take_image`]. What would be lost of it is refused by its name.
impl TryFrom<Map<String, Value>> for Part {
    type Error = String;

    fn try_from(mut part: Map<String, Value>) -> Result<Self, String> {
        part.retain(|_, value| !value.is_null());
        let mut beside = Beside::default();
        let read = match part_type(&part) {
            Some("text" | "input_text" | "output_text") => match part.shift_remove("text") {
                Some(Value::String(text)) => Self::Text { text },
                Some(_) => return Err("expected a string as `text`".to_owned()),
                None => return Err("missing field `text`".to_owned()),
            },
            Some("image" | "image_url" | "input_image") => {
                let image = match take_image(&mut part, &mut beside) {
                    Ok(Some(NamedImage::Reference(reference))) => reference.into(),
                    Ok(Some(NamedImage::Base64(text, _))) => as_data_url(text).into(),
                    Ok(None) | Err(_) => return Err(EXPECTED_IMAGE.to_owned()),
                };
                let options = ImageOptions::read(&beside.options);
                Self::Image { image, options: options.map_err(|(name, problem)| format!("`{name}`: {problem}"))? }
            }
            Some(name) if is_media(name) => {
                return Err(format!("expected text and images only, got a part of type `{name}`"));
            }
            Some(name) => {
                return Err(format!("unknown variant `{name}`, expected one of `text`, `image`, `image_url`"));
            }
            None => return Err("missing field `type`".to_owned()),
        };
        part.shift_remove("type");
        // Files whose columns have types write every key of every part.
        part.retain(|_, value| *value != "");
        match part.keys().chain(&beside.left).next() {
            None => Ok(read),
            Some(name) => Err(format!("unknown field `{name}`, expected one of `type`, `text`, `image`, `image_url`")),
        }
    }
}

/// What an image part must have.
const EXPECTED_IMAGE: &str = "expected an image's path, address, bytes or data URL";

/// Base64 with the head of a data URL, by which it is known.
fn as_data_url(text: String) -> String {
    if data_url_bytes(&text).is_some() { text } else { format!("data:;base64,{text}") }
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

/// The images of a dialogue in order, each with how it is shown.
pub fn shown_images(messages: &[Message]) -> impl Iterator<Item = (&Path, ImageOptions)> {
    messages.iter().flat_map(|message| &message.content).filter_map(|part| match part {
        Part::Image { image, options } => Some((image.as_path(), *options)),
        Part::Text { .. } => None,
    })
}

/// The image paths of a dialogue, in order.
pub fn image_paths(messages: &[Message]) -> impl Iterator<Item = &Path> {
    shown_images(messages).map(|(image, _)| image)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn message(value: Value) -> Result<Message, String> {
        serde_json::from_value(value).map_err(|error| error.to_string())
    }

    #[test]
    fn messages_are_read_as_openai_writes_them() {
        let parts = json!([
            { "type": "image_url", "image_url": { "url": "a.png", "detail": "high" } },
            { "type": "image_url", "image_url": "b.png" },
            { "type": "image", "image": "c.png", "text": "" },
            { "type": "image", "image": { "path": "d.png", "bytes": null } },
            { "image": "e.png", "text": null },
            { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "AAAA" } },
            { "type": "text", "text": "Which?" },
        ]);
        let read = message(json!({ "role": "user", "name": "ada", "content": parts })).unwrap();
        let paths: Vec<_> = image_paths(std::slice::from_ref(&read)).collect();
        let expected = ["a.png", "b.png", "c.png", "d.png", "e.png", "data:;base64,AAAA"];
        assert_eq!(paths, expected.map(std::path::Path::new));
        let answer =
            json!({ "role": "assistant", "content": "No.", "refusal": null, "annotations": [], "tool_calls": null });
        assert_eq!(message(answer).unwrap().plain_text(), "No.");
    }

    #[test]
    fn how_an_image_is_shown_is_read_where_other_tools_write_it_and_written_beside_the_image() {
        for (part, written) in [
            (
                json!({ "type": "image_url", "image_url": { "url": "a.png", "detail": "low" } }),
                r#"{"type":"image","image":"a.png","detail":"low"}"#,
            ),
            (
                json!({ "type": "input_image", "image_url": "a.png", "detail": "auto" }),
                r#"{"type":"image","image":"a.png","detail":"auto"}"#,
            ),
            (
                json!({ "type": "image", "image": "a.png", "max_pixels": 50176.0, "resized_width": null, "detail": "" }),
                r#"{"type":"image","image":"a.png","max_pixels":50176}"#,
            ),
            (
                json!({ "image": { "path": "a.png", "min_pixels": 9 }, "resized_height": 28, "resized_width": 56 }),
                r#"{"type":"image","image":"a.png","min_pixels":9,"resized_height":28,"resized_width":56}"#,
            ),
            (json!({ "type": "image", "image": "a.png" }), r#"{"type":"image","image":"a.png"}"#),
        ] {
            let read: Part = serde_json::from_value(part).unwrap();
            assert_eq!(serde_json::to_string(&read).unwrap(), written);
            assert_eq!(serde_json::from_str::<Part>(written).unwrap(), read);
        }
    }

    #[test]
    fn what_would_be_lost_is_refused_by_its_name() {
        for (value, expected) in [
            (json!({ "content": "a", "loss": false }), "unknown field `loss`"),
            (json!({ "content": "a", "tool_calls": [{}] }), "expected null or an empty list"),
            (json!({ "content": [{ "type": "video" }] }), "expected text and images only, got a part of type `video`"),
            (json!({ "content": [{ "type": "file" }] }), "unknown variant `file`"),
            (json!({ "content": [{ "type": "image_url", "image_url": {} }] }), EXPECTED_IMAGE),
            (
                json!({ "content": [{ "type": "image", "image": "a.png", "max_pixels": 0.5 }] }),
                "`max_pixels`: expected a whole number of pixels from 1 to 4294967295, got 0.5",
            ),
            (json!({ "content": [{ "type": "text", "text": "a", "max_pixels": 4 }] }), "unknown field `max_pixels`"),
            (
                json!({ "content": [{ "type": "image_url", "image_url": { "url": "a.png", "detail": "low" }, "detail": "high" }] }),
                "unknown field `image_url.detail`",
            ),
            (json!({ "content": [{ "type": "text" }] }), "missing field `text`"),
        ] {
            let mut value = value;
            value["role"] = json!("assistant");
            let error = message(value).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
