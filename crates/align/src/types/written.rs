//! How messages stand in files: in our own layout, or as OpenAI's and its clients write them.

use std::fmt::{Formatter, Result as FormatResult};
use std::path::PathBuf;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{Message, Part, Role};

/// A part as it is written: `image_url` parts are pictures like others.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum WrittenPart {
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

/// `{"url": "…"}` or the address alone. What else stands beside it (`detail`) is meant for servers.
pub(super) struct ImageUrl(PathBuf);

impl<'de> Deserialize<'de> for ImageUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Object {
            url: PathBuf,
        }
        struct Url;
        impl<'de> Visitor<'de> for Url {
            type Value = ImageUrl;

            fn expecting(&self, formatter: &mut Formatter) -> FormatResult {
                formatter.write_str("an address, or an object with `url`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<ImageUrl, E> {
                Ok(ImageUrl(text.into()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ImageUrl, A::Error> {
                let Object { url } = Object::deserialize(MapAccessDeserializer::new(map))?;
                Ok(ImageUrl(url))
            }
        }
        deserializer.deserialize_any(Url)
    }
}

/// A message as it is written. A speaker's name is passed over, and so are the fields that OpenAI's own answers carry
/// empty; anything else that a reader might rely on is refused by its name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenMessage {
    role: Role,
    #[serde(deserialize_with = "parts_or_text")]
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
        Self {
            role: message.role,
            content: message.content,
        }
    }
}

/// Null or an empty list.
#[derive(Default)]
struct Empty;

impl<'de> Deserialize<'de> for Empty {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Nothing;
        impl<'de> Visitor<'de> for Nothing {
            type Value = Empty;

            fn expecting(&self, formatter: &mut Formatter) -> FormatResult {
                formatter.write_str("null or an empty list, since nothing of it would be kept")
            }

            fn visit_unit<E: Error>(self) -> Result<Empty, E> {
                Ok(Empty)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Empty, A::Error> {
                match list.next_element::<serde::de::IgnoredAny>()? {
                    None => Ok(Empty),
                    Some(_) => Err(A::Error::invalid_length(1, &self)),
                }
            }
        }
        deserializer.deserialize_any(Nothing)
    }
}

fn parts_or_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Part>, D::Error> {
    struct Content;
    impl<'de> Visitor<'de> for Content {
        type Value = Vec<Part>;

        fn expecting(&self, formatter: &mut Formatter) -> FormatResult {
            formatter.write_str("a string, or a list of text and image parts")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(vec![Part::Text { text: text.to_owned() }])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(list))
        }
    }
    deserializer.deserialize_any(Content)
}

/// An id that is text, or a whole number as text.
pub fn id_as_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    struct Id;
    impl Visitor<'_> for Id {
        type Value = String;

        fn expecting(&self, formatter: &mut Formatter) -> FormatResult {
            formatter.write_str("a string or a whole number")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
            Ok(text.to_owned())
        }

        fn visit_u64<E: Error>(self, number: u64) -> Result<String, E> {
            Ok(number.to_string())
        }

        fn visit_i64<E: Error>(self, number: i64) -> Result<String, E> {
            Ok(number.to_string())
        }
    }
    deserializer.deserialize_any(Id)
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
        let paths: Vec<_> = super::super::image_paths(std::slice::from_ref(&read)).collect();
        assert_eq!(paths, ["a.png", "b.png", "c.png"].map(std::path::Path::new));
        let answer =
            json!({ "role": "assistant", "content": "No.", "refusal": null, "annotations": [], "tool_calls": null });
        assert_eq!(message(answer).unwrap().plain_text(), "No.");
    }

    #[test]
    fn what_would_be_lost_is_refused_by_its_name() {
        let check = |value: Value, expected: &str| {
            let error = message(value).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        check(
            json!({ "role": "user", "content": "a", "loss": false }),
            "unknown field `loss`",
        );
        check(
            json!({ "role": "assistant", "content": "a", "tool_calls": [{}] }),
            "expected null or an empty list",
        );
        check(
            json!({ "role": "user", "content": [{ "type": "video" }] }),
            "unknown variant `video`",
        );
        check(
            json!({ "role": "user", "content": [{ "type": "image_url", "image_url": {} }] }),
            "missing field `url`",
        );
    }
}
