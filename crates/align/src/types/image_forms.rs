//! The forms in which objects of data files name an image: parts of messages, and elements of columns of images.
//!
//! ```text
//! {"bytes": base64, "path"?: name}                                                Hugging Face
//! {"path" | "image" | "url" | "src" | "image_url": a path, an address, base64, a data URL, or one of these objects}
//! {"base64" | "data": base64}
//! {"source": {"type": "base64", "media_type", "data"} | {"type": "url", "url"}}    Anthropic
//! ```
//!
//! Each object may say besides how the image is shown ([`ImageOptions`]).

use serde_json::{Map, Value};

use super::ImageOptions;
use super::media::is_media;

/// The keys that name an image; the first that holds anything is used.
const KEYS: [&str; 9] = ["bytes", "base64", "data", "source", "image_url", "image", "url", "src", "path"];

/// An image as an object names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamedImage {
    /// By what [`super::ImageReference`] reads.
    Reference(String),
    /// By its bytes in base64, perhaps with the name of their file.
    Base64(String, Option<String>),
}

/// What objects say beside naming an image.
#[derive(Debug, Default)]
pub struct Beside {
    /// How the image is shown, for [`ImageOptions::read`].
    pub options: Map<String, Value>,
    /// Keys that say something else, and stand in an object of a key that was taken.
    pub left: Vec<String>,
}

/// Takes the image that an object names, and how it is shown; none where it names none. What is left in the object says
/// something else.
///
/// Errors: what stands in an image's place and is none.
pub fn take_image(object: &mut Map<String, Value>, beside: &mut Beside) -> Result<Option<NamedImage>, Value> {
    take_options(object, &mut beside.options);
    let mut keys = KEYS.into_iter();
    let Some(key) = keys.find(|key| object.get(*key).is_some_and(|value| !value.is_null() && *value != "")) else {
        return Ok(None);
    };
    let value = object.shift_remove(key).unwrap_or_default();
    // Keys that are empty beside it are those of other forms.
    object.retain(|key, value| *value != "" || !KEYS.contains(&key.as_str()));
    match (key, value) {
        ("bytes" | "base64" | "data", Value::String(text)) => Ok(Some(NamedImage::Base64(text, take_name(object)))),
        (_, Value::String(reference)) => Ok(Some(NamedImage::Reference(reference))),
        (_, Value::Object(mut inner)) => {
            let Some(image) = take_image(&mut inner, beside)? else {
                return Err(inner.into());
            };
            if key == "source" {
                // The bytes or the address say both.
                inner.shift_remove("type");
                inner.shift_remove("media_type");
            }
            let names = inner.iter().filter(|(_, value)| !value.is_null()).map(|(name, _)| name);
            beside.left.extend(names.map(|name| format!("{key}.{name}")));
            Ok(Some(image))
        }
        (_, other) => Err(other),
    }
}

/// Takes how an image is shown. Files whose columns have types write every key. An outer object has the last word: what
/// an inner one says otherwise stays in it.
fn take_options(object: &mut Map<String, Value>, options: &mut Map<String, Value>) {
    for name in ImageOptions::NAMES {
        if let Some(value) = object.shift_remove(name).filter(|value| !value.is_null() && *value != "") {
            match options.get(name) {
                Some(outer) if *outer != value => drop(object.insert(name.to_owned(), value)),
                _ => drop(options.insert(name.to_owned(), value)),
            }
        }
    }
}

/// The file name that stands beside bytes.
fn take_name(object: &mut Map<String, Value>) -> Option<String> {
    let name = object.get("path")?.as_str()?.to_owned();
    object.shift_remove("path");
    Some(name)
}

/// What a part of a message is: its type, or where it has none (qwen-agent, DashScope) the key that it has.
pub fn part_type(part: &Map<String, Value>) -> Option<&str> {
    match part.get("type") {
        Some(Value::String(name)) => Some(name),
        Some(Value::Null) | None => {
            let mut keys = part.iter().filter(|(_, value)| !value.is_null()).map(|(key, _)| key.as_str());
            keys.find(|key| ["text", "image", "image_url"].contains(key) || is_media(key))
        }
        Some(_) => None,
    }
}
