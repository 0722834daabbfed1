//! What a line of a data file shows beside its messages: films and sound, which nothing here can show or hear, and
//! images in columns of their own, which other layouts have.

use serde_json::{Map, Value};

/// The columns of films and sound that trainers read. An address in a column of another name may say where a text is from.
const MEDIA_COLUMNS: [&str; 4] = ["video", "videos", "audio", "audios"];
/// What else a film or sound is held under, in messages and parts, and types of parts.
const MEDIA_KEYS: [&str; 6] = ["video_url", "video_path", "input_video", "audio_url", "audio_path", "input_audio"];
/// What marks one in text, where `<image>` marks an image.
const PLACEHOLDERS: [&str; 2] = ["<video>", "<audio>"];
/// The columns that hold images in other layouts.
const IMAGES: [&str; 2] = ["images", "image"];

/// Whether a column of this name holds films or sound.
pub fn is_media_column(name: &str) -> bool {
    MEDIA_COLUMNS.contains(&name)
}

/// Whether a message or a part holds a film or sound under this name, or a part of this type is one.
pub fn is_media(name: &str) -> bool {
    is_media_column(name) || MEDIA_KEYS.contains(&name)
}

/// The mark of a film or sound in a text, if it has one.
pub fn media_placeholder_in(text: &str) -> Option<&'static str> {
    PLACEHOLDERS.into_iter().find(|placeholder| text.contains(placeholder))
}

/// Whether a value holds anything.
pub fn is_filled(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => list.iter().any(is_filled),
        Value::Object(object) => !object.is_empty(),
    }
}

/// The column of a line that holds what its messages do not show: a film or sound, or images if they show none.
pub(super) fn unshown_column(line: &[u8], shows_images: bool) -> Option<&'static str> {
    let images = IMAGES.into_iter().filter(|_| !shows_images);
    let names: Vec<&str> = MEDIA_COLUMNS.into_iter().chain(images).collect();
    // Few lines have such a name in quotes at all; only these are read once more.
    if !line.split(|byte| *byte == b'"').any(|text| names.iter().any(|name| name.as_bytes() == text)) {
        return None;
    }
    let fields: Map<String, Value> = serde_json::from_slice(line).ok()?;
    names.into_iter().find(|name| fields.get(*name).is_some_and(is_filled))
}
