//! The dialogue of a request: messages as the chat template takes them, and where their images come from.

use align::types::{Message, Part, Role};
use serde_json::{Value, json};
use vlm::image_processor::ImageSize;

use super::api_error::ApiError;
use super::fields::{Fields, wrong};
use super::media::{ImageSource, Limits};

/// Fields of a message that would say something to a model, and are not offered. All others but role and content
/// (names, annotations, what clients send back with an answer) say nothing to it.
const NOT_OFFERED: [&str; 4] = ["audio", "function_call", "tool_call_id", "tool_calls"];

/// The messages and images of a request.
#[derive(Debug)]
pub struct Dialogue {
    /// The messages; an image is in them by its number.
    pub messages: Vec<Message>,
    /// The images in order.
    pub images: Vec<RequestImage>,
}

/// An image of a request.
#[derive(Debug)]
pub struct RequestImage {
    /// Its field.
    pub field: String,
    /// Where it comes from.
    pub source: ImageSource,
    /// The size that it is given.
    pub size: ImageSize,
}

impl Dialogue {
    /// Reads the `messages` of a request.
    ///
    /// Errors: 400, or 413 for too many images, naming the part that is wrong.
    pub fn read(value: &Value, limits: &Limits) -> Result<Self, ApiError> {
        let Some(values) = value.as_array().filter(|values| !values.is_empty()) else {
            return Err(wrong("messages", "an array of at least one message", value));
        };
        let mut dialogue = Self { messages: Vec::with_capacity(values.len()), images: Vec::new() };
        for (index, value) in values.iter().enumerate() {
            dialogue.push(&Fields::of(value, &format!("messages[{index}]"))?, limits)?;
        }
        match dialogue.messages.last() {
            Some(last) if last.role == Role::Assistant => Err(ApiError::field(
                &format!("messages[{}].role", values.len() - 1),
                "expected the last message to be the user's or the system's: continuing an assistant's message is not supported",
            )),
            _ => Ok(dialogue),
        }
    }

    fn push(&mut self, fields: &Fields, limits: &Limits) -> Result<(), ApiError> {
        refuse_calls(fields)?;
        let expected = "\"system\", \"developer\", \"user\" or \"assistant\"";
        fields.required("role", expected)?;
        let role = fields.typed("role", expected, |value| match value.as_str()? {
            "system" | "developer" => Some(Role::System),
            "user" => Some(Role::User),
            "assistant" => Some(Role::Assistant),
            _ => None,
        })?;
        let role = role.unwrap_or(Role::User);
        let content = self.content(fields, role, limits)?;
        self.messages.push(Message { role, content });
        Ok(())
    }

    /// A message's content. An assistant's may be missing, as where it only called tools.
    fn content(&mut self, fields: &Fields, role: Role, limits: &Limits) -> Result<Vec<Part>, ApiError> {
        let (expected, path) = ("a string or an array of parts", fields.path_of("content"));
        let content = match fields.get("content") {
            None if role == Role::Assistant => return Ok(vec![text_part("")]),
            _ => fields.required("content", expected)?,
        };
        let values = match content {
            Value::String(whole) => return Ok(vec![text_part(whole)]),
            Value::Array(values) => values,
            other => return Err(wrong(&path, expected, other)),
        };
        let mut parts = Vec::with_capacity(values.len());
        for (index, value) in values.iter().enumerate() {
            parts.push(match value {
                Value::String(whole) => text_part(whole),
                other => self.part(other, &format!("{path}[{index}]"), limits)?,
            });
        }
        Ok(parts)
    }

    /// A part of a message; an image's size may stand beside it or its URL, as DashScope's clients write it. Other fields
    /// that are not its type's (`cache_control`, `uuid`) say nothing to a model.
    fn part(&mut self, value: &Value, path: &str, limits: &Limits) -> Result<Part, ApiError> {
        let fields = Fields::of(value, path)?;
        let expected = "\"text\" or \"image_url\"";
        fields.required("type", expected)?;
        match fields.text("type")? {
            Some("text") => {
                fields.required("text", "a string")?;
                Ok(text_part(fields.text("text")?.unwrap_or_default()))
            }
            Some("image_url") => self.image(&fields, limits),
            _ => Err(wrong(&fields.path_of("type"), expected, fields.get("type").unwrap_or(&Value::Null))),
        }
    }

    /// An image: its URL, alone or in an object whose `detail` says nothing here, since a model has its own
    /// resolution.
    fn image(&mut self, part: &Fields, limits: &Limits) -> Result<Part, ApiError> {
        let path = part.path_of("image_url");
        let (url, path, size) = match part.required("image_url", "an object with `url`, or a string")? {
            Value::String(url) => (url.as_str(), path, size(&[part], limits)?),
            other => {
                let fields = Fields::of(other, &path)?;
                fields.required("url", "a string")?;
                let url = fields.text("url")?.unwrap_or_default();
                (url, fields.path_of("url"), size(&[part, &fields], limits)?)
            }
        };
        if self.images.len() == limits.images_per_prompt {
            let most = limits.images_per_prompt;
            return Err(ApiError::too_large(&path, format!("expected at most {most} images in a prompt, got more")));
        }
        let source = ImageSource::read(url, &path)?;
        self.images.push(RequestImage { field: path, source, size });
        Ok(Part::image(self.images.len().to_string()))
    }
}

/// The size that a part gives its image, in the first place that says it.
fn size(places: &[&Fields], limits: &Limits) -> Result<ImageSize, ApiError> {
    let n_pixels = |name, most: u64| {
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        for fields in places {
            if let Some(number) = fields.count(name, 1, most as usize)? {
                return Ok(u32::try_from(number).ok());
            }
        }
        Ok(None)
    };
    Ok(ImageSize {
        min_pixels: n_pixels("min_pixels", limits.image_pixels)?,
        max_pixels: n_pixels("max_pixels", u64::MAX)?,
        resized_height: n_pixels("resized_height", u64::MAX)?,
        resized_width: n_pixels("resized_width", u64::MAX)?,
    })
}

fn text_part(text: &str) -> Part {
    Part::Text { text: text.to_owned() }
}

/// Empty ones are what clients send back with an answer that called nothing.
fn refuse_calls(fields: &Fields) -> Result<(), ApiError> {
    for key in NOT_OFFERED {
        if let Some(value) = fields.get(key).filter(|value| **value != json!([])) {
            let expected = "nothing, since it is not supported";
            return Err(ApiError { code: "unsupported", ..wrong(&fields.path_of(key), expected, value) });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(messages: &Value, status: u16, message: &str) {
        let error = Dialogue::read(messages, &Limits::default()).unwrap_err();
        assert_eq!((error.status.as_u16(), error.message.as_str()), (status, message));
    }

    #[test]
    fn text_and_images_keep_their_order() {
        let image =
            json!({ "type": "image_url", "image_url": { "url": "data:image/png;base64,AA==", "detail": "low" } });
        let messages = json!([
            { "role": "developer", "content": "Be brief." },
            { "role": "user", "name": "u", "content": [image, { "type": "text", "text": "What?" }, image] },
        ]);
        let dialogue = Dialogue::read(&messages, &Limits::default()).unwrap();
        assert_eq!(dialogue.messages[0], Message::text(Role::System, "Be brief."));
        assert!(matches!(
            &dialogue.messages[1].content[..],
            [Part::Image { .. }, Part::Text { .. }, Part::Image { .. }]
        ));
        assert_eq!(dialogue.images[1].field, "messages[1].content[2].image_url.url");
    }

    #[test]
    fn what_other_servers_take_and_what_clients_send_back_is_taken() {
        let url = "data:;base64,AA==";
        let messages = json!([
            { "role": "user", "content": ["Look.", { "type": "image_url", "image_url": url, "uuid": "u" }] },
            { "role": "assistant", "content": null, "tool_calls": [], "refusal": null, "reasoning_content": "Hm." },
            { "role": "assistant", "annotations": [], "audio": null, "function_call": null },
            {
                "role": "user", "name": "n",
                "content": [{ "type": "text", "text": "And?", "cache_control": { "type": "ephemeral" } }],
            },
            { "role": "system", "content": "Be brief." },
        ]);
        let dialogue = Dialogue::read(&messages, &Limits::default()).unwrap();
        assert_eq!(dialogue.messages[1], Message::text(Role::Assistant, ""));
        assert_eq!(dialogue.messages[2], Message::text(Role::Assistant, ""));
        assert_eq!(dialogue.messages[3], Message::text(Role::User, "And?"));
        assert_eq!(dialogue.images[0].field, "messages[0].content[1].image_url");
    }

    #[test]
    fn an_image_may_be_given_a_size() {
        let with = |name: &str, value: Value| {
            let mut part = json!({ "type": "image_url", "image_url": { "url": "data:;base64,AA==", "detail": "?" } });
            part[name] = value;
            json!([{ "role": "user", "content": [part] }])
        };
        let dialogue = Dialogue::read(&with("max_pixels", json!(5e4)), &Limits::default()).unwrap();
        assert_eq!(dialogue.images[0].size, ImageSize { max_pixels: Some(50_000), ..ImageSize::default() });
        let inner = json!({ "url": "data:;base64,AA==", "max_pixels": 9 });
        let inner = Dialogue::read(&with("image_url", inner), &Limits::default()).unwrap();
        assert_eq!(inner.images[0].size, ImageSize { max_pixels: Some(9), ..ImageSize::default() });
        let plain = Dialogue::read(&with("max_pixels", Value::Null), &Limits::default()).unwrap();
        assert!(plain.images[0].size.is_empty());
        refused(
            &with("resized_width", json!(0)),
            400,
            "`messages[0].content[0].resized_width`: expected a whole number from 1 to 4294967295, got 0",
        );
        refused(
            &with("min_pixels", json!(99_999_999)),
            400,
            "`messages[0].content[0].min_pixels`: expected a whole number from 1 to 33554432, got 99999999",
        );
    }

    #[test]
    fn errors_name_the_part() {
        refused(&json!([]), 400, "`messages`: expected an array of at least one message, got an array of 0");
        refused(
            &json!([{ "role": "tool", "content": "" }]),
            400,
            "`messages[0].role`: expected \"system\", \"developer\", \"user\" or \"assistant\", got \"tool\"",
        );
        refused(
            &json!([{ "role": "user", "content": [{ "type": "audio" }] }]),
            400,
            "`messages[0].content[0].type`: expected \"text\" or \"image_url\", got \"audio\"",
        );
        refused(
            &json!([{ "role": "user", "content": "a" }, { "role": "assistant", "content": "b" }]),
            400,
            "`messages[1].role`: expected the last message to be the user's or the system's: continuing an \
             assistant's message is not supported",
        );
        refused(
            &json!([{ "role": "user", "content": null }]),
            400,
            "`messages[0].content`: expected a string or an array of parts, got none",
        );
        refused(
            &json!([{ "role": "assistant", "tool_calls": [{}] }]),
            400,
            "`messages[0].tool_calls`: expected nothing, since it is not supported, got an array of 1",
        );
        let image = json!({ "type": "image_url", "image_url": { "url": "data:image/png;base64,AA==" } });
        refused(
            &json!([{ "role": "user", "content": vec![image; 17] }]),
            413,
            "`messages[0].content[16].image_url.url`: expected at most 16 images in a prompt, got more",
        );
    }
}
