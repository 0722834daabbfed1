//! What a dialogue says of how one of its images is shown.

use diagnostic::{excerpt, whole_number};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The resolution at which a server looks at an image (OpenAI's `image_url.detail`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Detail {
    /// As the server chooses.
    Auto,
    /// Small.
    Low,
    /// Large.
    High,
    /// In full.
    Original,
}

/// How one image is shown: the size that it is given before the model's own processor sees it (names and meaning as in
/// qwen-vl-utils' `fetch_image`), and the detail that servers know. Files write it beside the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct ImageOptions {
    /// An image with fewer pixels is enlarged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_pixels: Option<u32>,
    /// An image with more pixels is shrunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_pixels: Option<u32>,
    /// Its height in pixels, instead of the limits; its width must be given too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resized_height: Option<u32>,
    /// Its width in pixels; its height must be given too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resized_width: Option<u32>,
    /// The resolution at which a server looks at it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<Detail>,
}

impl ImageOptions {
    /// The names that files write.
    pub const NAMES: [&str; 5] = ["min_pixels", "max_pixels", "resized_height", "resized_width", "detail"];

    /// Reads the fields of these names.
    ///
    /// Errors: the name of a field, and what is wrong with its value.
    pub fn read(fields: &Map<String, Value>) -> Result<Self, (&'static str, String)> {
        let [min_pixels, max_pixels, resized_height, resized_width, detail] = Self::NAMES;
        Ok(Self {
            min_pixels: n_pixels(fields, min_pixels)?,
            max_pixels: n_pixels(fields, max_pixels)?,
            resized_height: n_pixels(fields, resized_height)?,
            resized_width: n_pixels(fields, resized_width)?,
            detail: match fields.get(detail) {
                Some(value) => Some(
                    Detail::deserialize(value).map_err(|_| (detail, wrong("auto, low, high or original", value)))?,
                ),
                None => None,
            },
        })
    }

    /// Whether an image is shown as any other.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The same without what servers alone know: the size.
    #[must_use]
    pub fn size(&self) -> Self {
        Self { detail: None, ..*self }
    }
}

/// A number of pixels, which JSON may write as `3.0`.
fn n_pixels(fields: &Map<String, Value>, name: &'static str) -> Result<Option<u32>, (&'static str, String)> {
    let Some(value) = fields.get(name) else {
        return Ok(None);
    };
    let number = whole_number(value).and_then(|number| u32::try_from(number.as_u64()?).ok());
    match number {
        Some(number) if number > 0 => Ok(Some(number)),
        _ => Err((name, wrong(&format!("a whole number of pixels from 1 to {}", u32::MAX), value))),
    }
}

fn wrong(expected: &str, value: &Value) -> String {
    format!("expected {expected}, got {}", excerpt(&value.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(fields: &Value) -> Result<ImageOptions, String> {
        ImageOptions::read(fields.as_object().unwrap()).map_err(|(name, problem)| format!("{name}: {problem}"))
    }

    #[test]
    fn what_is_written_is_read_back() {
        for (written, again) in [
            (json!({}), json!({})),
            (json!({ "max_pixels": 1000 }), json!({ "max_pixels": 1000 })),
            (json!({ "min_pixels": 3.0, "detail": "low" }), json!({ "min_pixels": 3, "detail": "low" })),
            (
                json!({ "resized_width": u32::MAX, "resized_height": 1, "detail": "original" }),
                json!({ "resized_height": 1, "resized_width": u32::MAX, "detail": "original" }),
            ),
        ] {
            let options = read(&written).unwrap();
            assert_eq!(json!(options), again);
            assert_eq!((read(&again), options.is_empty()), (Ok(options), written == json!({})));
        }
    }

    #[test]
    fn other_values_are_refused_by_name() {
        let pixels = "expected a whole number of pixels from 1 to 4294967295";
        for (name, value, expected) in [
            ("max_pixels", json!(0), pixels),
            ("min_pixels", json!(-3), pixels),
            ("min_pixels", json!(1.5), pixels),
            ("resized_height", json!(4_294_967_296_u64), pixels),
            ("resized_width", json!("28"), pixels),
            ("max_pixels", json!([1]), pixels),
            ("detail", json!("High"), "expected auto, low, high or original"),
            ("detail", json!(1), "expected auto, low, high or original"),
        ] {
            assert_eq!(read(&json!({ name: value })), Err(format!("{name}: {expected}, got {value}")));
        }
    }
}
