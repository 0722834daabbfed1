//! Films and sound. Nothing here can show or hear them, so that a row with one is an error when it is checked, and is
//! left out of a conversion: what would be left of it is a question about nothing.

use serde_json::Value;

use crate::problem::{Problem, ProblemKind};

/// What a film or sound is held under, in any layout: columns, keys of messages and of parts, types of parts.
const NAMES: &[&str] = &[
    "video",
    "videos",
    "video_url",
    "video_path",
    "input_video",
    "audio",
    "audios",
    "audio_url",
    "audio_path",
    "input_audio",
];
/// What marks one in text, where `<image>` marks an image.
const PLACEHOLDERS: &[&str] = &["<video>", "<audio>"];

/// Whether a film or sound is held under this name.
pub(crate) fn is_media(name: &str) -> bool {
    NAMES.contains(&name)
}

/// The mark of a film or sound in a text, if it has one.
pub(crate) fn placeholder_in(text: &str) -> Option<&'static str> {
    PLACEHOLDERS.iter().copied().find(|placeholder| text.contains(placeholder))
}

/// The problem that a row shows a film or sound, which stands there.
pub(crate) fn media_problem(place: &str) -> Problem {
    let message = format!("`{place}` holds a video or audio: expected text and images only");
    Problem::new(ProblemKind::Media, message)
}

/// The problem that a text marks a film or sound.
pub(crate) fn placeholder_problem(placeholder: &str) -> Problem {
    let message = format!("`{placeholder}` in the text stands for a video or audio: expected text and images only");
    Problem::new(ProblemKind::Media, message)
}

/// Whether a value holds anything.
pub(crate) fn is_filled(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => list.iter().any(is_filled),
        Value::Object(object) => !object.is_empty(),
    }
}
