//! The image that a value names, in every form that columns and parts of messages have for one.
//!
//! ```text
//! "path" | "address" | "data URL" | "base64"
//! {"bytes": base64, "path"?: name}                                           Hugging Face
//! {"path" | "image" | "url" | "image_url": any of these forms}               Hugging Face, qwen-vl-utils, OpenAI
//! {"base64" | "data": base64}
//! {"source": {"type": "base64", "media_type", "data"} | {"type": "url", "url"}}   Anthropic
//! ```

use serde_json::{Map, Value};

use crate::field_reader::FieldReader;
use crate::record::Image;

/// The keys of an object that name an image; the first that holds anything is used.
const KEYS: [&str; 8] = ["bytes", "base64", "data", "source", "image_url", "image", "url", "path"];

/// What an object names.
pub(crate) enum Named {
    /// No image.
    Nothing,
    /// What cannot be read, which is noted.
    Unreadable,
    /// An image.
    Image(Image),
}

impl From<Option<Image>> for Named {
    fn from(image: Option<Image>) -> Self {
        image.map_or(Self::Unreadable, Self::Image)
    }
}

impl FieldReader<'_> {
    /// The image that a value names. What else an object says of the image is noted as not kept.
    pub fn image(&mut self, at: &str, value: Value) -> Option<Image> {
        match value {
            Value::String(reference) => self.decoded(at, Image::from_reference(&reference)),
            Value::Object(mut object) => {
                let named = self.take_image(at, &mut object);
                if matches!(named, Named::Nothing) {
                    self.wrong_type(at, "an image's path, address, bytes or data URL", &Value::Object(object));
                    return None;
                }
                self.note_left(at, &object);
                if let Named::Image(image) = named { Some(image) } else { None }
            }
            other => {
                self.wrong_type(at, "a path, an address or a data URL", &other);
                None
            }
        }
    }

    /// Takes the image that an object names.
    pub fn take_image(&mut self, at: &str, object: &mut Map<String, Value>) -> Named {
        let mut keys = KEYS.into_iter();
        let Some(key) = keys.find(|key| object.get(*key).is_some_and(|value| !value.is_null() && *value != "")) else {
            return Named::Nothing;
        };
        let mut value = object.shift_remove(key).unwrap_or_default();
        // Keys that are empty beside it are those of other forms.
        object.retain(|key, value| *value != "" || !KEYS.contains(&key.as_str()));
        let at = format!("{at}.{key}");
        let image = match (key, &mut value) {
            ("bytes" | "base64" | "data", Value::String(text)) => {
                let image = self.decoded(&at, Image::from_base64(text));
                image.map(|image| image.named(take_name(object)))
            }
            ("source", Value::Object(source)) => {
                // The bytes or the address say both.
                source.shift_remove("type");
                source.shift_remove("media_type");
                self.image(&at, value)
            }
            _ => self.image(&at, value),
        };
        image.into()
    }
}

/// The file name that stands beside bytes.
fn take_name(object: &mut Map<String, Value>) -> Option<String> {
    let name = object.get("path")?.as_str()?.to_owned();
    object.shift_remove("path");
    Some(name)
}
