//! The dialogue of a request: messages as the chat template takes them, and where their pictures come from.

use align::types::{Message, Part, Role};
use serde_json::Value;

use super::error::ApiError;
use super::fields::{Fields, wrong};
use super::media::{ImageSource, Limits};

/// Fields of a message. Names and annotations, which clients send back with an answer, say nothing to a model.
const FIELDS: &[&str] = &["annotations", "content", "name", "role"];

/// What was said and shown.
#[derive(Debug)]
pub struct Dialogue {
    /// The messages; a picture stands in them by its number.
    pub messages: Vec<Message>,
    /// The pictures in order, each with its place in the request.
    pub images: Vec<(String, ImageSource)>,
}

impl Dialogue {
    /// Reads the `messages` of a request.
    ///
    /// Errors: 400, or 413 for too many pictures, naming the part at fault.
    pub fn read(value: &Value, limits: &Limits) -> Result<Self, ApiError> {
        let Some(values) = value.as_array().filter(|values| !values.is_empty()) else {
            return Err(wrong("messages", "an array of at least one message", value));
        };
        let mut dialogue = Self {
            messages: Vec::with_capacity(values.len()),
            images: Vec::new(),
        };
        for (index, value) in values.iter().enumerate() {
            dialogue.push(&Fields::of(value, &format!("messages[{index}]"))?, limits)?;
        }
        match dialogue.messages.last() {
            Some(last) if last.role != Role::User => Err(ApiError::field(
                &format!("messages[{}].role", values.len() - 1),
                "expected the last message to be the user's",
            )),
            _ => Ok(dialogue),
        }
    }

    fn push(&mut self, fields: &Fields, limits: &Limits) -> Result<(), ApiError> {
        fields.refuse_others(&[FIELDS])?;
        let expected = "\"system\", \"developer\", \"user\" or \"assistant\"";
        fields.required("role", expected)?;
        let role = fields.typed("role", expected, |value| match value.as_str()? {
            "system" | "developer" => Some(Role::System),
            "user" => Some(Role::User),
            "assistant" => Some(Role::Assistant),
            _ => None,
        })?;
        let place = fields.place_of("content");
        let content = match fields.required("content", "a string or an array of parts")? {
            Value::String(text) => vec![Part::Text { text: text.clone() }],
            Value::Array(parts) => {
                let part = |(index, part)| self.part(part, &format!("{place}[{index}]"), limits);
                parts.iter().enumerate().map(part).collect::<Result<_, _>>()?
            }
            other => return Err(wrong(&place, "a string or an array of parts", other)),
        };
        self.messages.push(Message {
            role: role.unwrap_or(Role::User),
            content,
        });
        Ok(())
    }

    fn part(&mut self, value: &Value, place: &str, limits: &Limits) -> Result<Part, ApiError> {
        let fields = Fields::of(value, place)?;
        let expected = "\"text\" or \"image_url\"";
        fields.required("type", expected)?;
        match fields.text("type")? {
            Some("text") => {
                fields.refuse_others(&[&["type", "text"]])?;
                fields.required("text", "a string")?;
                let text = fields.text("text")?.unwrap_or_default().to_owned();
                Ok(Part::Text { text })
            }
            Some("image_url") => {
                fields.refuse_others(&[&["type", "image_url"]])?;
                self.image(fields.required("image_url", "an object with `url`")?, place, limits)
            }
            _ => Err(wrong(
                &fields.place_of("type"),
                expected,
                fields.get("type").unwrap_or(&Value::Null),
            )),
        }
    }

    /// A picture; `detail` says nothing here, since a model has its own resolution.
    fn image(&mut self, value: &Value, place: &str, limits: &Limits) -> Result<Part, ApiError> {
        let fields = Fields::of(value, &format!("{place}.image_url"))?;
        fields.refuse_others(&[&["url", "detail"]])?;
        fields.required("url", "a string")?;
        let url = fields.text("url")?.unwrap_or_default();
        let place = fields.place_of("url");
        if self.images.len() == limits.images_per_prompt {
            let most = limits.images_per_prompt;
            return Err(ApiError::too_large(
                &place,
                format!("expected at most {most} pictures in a prompt, got more"),
            ));
        }
        let source = ImageSource::read(url, &place)?;
        self.images.push((place, source));
        Ok(Part::Image {
            image: self.images.len().to_string().into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn refused(messages: &Value, status: u16, message: &str) {
        let error = Dialogue::read(messages, &Limits::default()).unwrap_err();
        assert_eq!((error.status.as_u16(), error.message.as_str()), (status, message));
    }

    #[test]
    fn text_and_pictures_keep_their_order() {
        let picture =
            json!({ "type": "image_url", "image_url": { "url": "data:image/png;base64,AA==", "detail": "low" } });
        let messages = json!([
            { "role": "developer", "content": "Be brief." },
            { "role": "user", "name": "u", "content": [picture, { "type": "text", "text": "What?" }, picture] },
        ]);
        let dialogue = Dialogue::read(&messages, &Limits::default()).unwrap();
        assert_eq!(dialogue.messages[0], Message::text(Role::System, "Be brief."));
        assert!(matches!(
            &dialogue.messages[1].content[..],
            [Part::Image { .. }, Part::Text { .. }, Part::Image { .. }]
        ));
        assert_eq!(dialogue.images[1].0, "messages[1].content[2].image_url.url");
    }

    #[test]
    fn faults_name_the_part() {
        refused(
            &json!([]),
            400,
            "`messages`: expected an array of at least one message, got an array of 0",
        );
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
            "`messages[1].role`: expected the last message to be the user's",
        );
        let picture = json!({ "type": "image_url", "image_url": { "url": "data:image/png;base64,AA==" } });
        refused(
            &json!([{ "role": "user", "content": vec![picture; 17] }]),
            413,
            "`messages[0].content[16].image_url.url`: expected at most 16 pictures in a prompt, got more",
        );
    }
}
