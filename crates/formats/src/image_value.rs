//! The image that a value names, in every form that columns and parts of messages have for one:
//! [`align::types::take_image`] lists those of objects.

use align::types::{NamedImage, take_image};
use serde_json::{Map, Value};

use crate::field_reader::FieldReader;
use rows::Image;

/// What an object names.
pub(crate) enum Named {
    /// No image.
    Nothing,
    /// What cannot be read, which is noted.
    Unreadable,
    /// An image.
    Image(Image),
}

impl FieldReader<'_> {
    /// The image that a value names. What else an object says of the image is noted as not kept.
    pub fn image(&mut self, at: &str, value: Value) -> Option<Image> {
        match value {
            Value::String(reference) => self.decoded(at, Image::from_reference(&reference)),
            Value::Object(mut object) => {
                let named = self.take_image(at, &mut object);
                if matches!(named, Named::Nothing) {
                    self.no_image(at, &Value::Object(object));
                    return None;
                }
                self.note_left(at, &object);
                if let Named::Image(image) = named { Some(image) } else { None }
            }
            other => {
                self.no_image(at, &other);
                None
            }
        }
    }

    /// Takes the image that an object names.
    pub fn take_image(&mut self, at: &str, object: &mut Map<String, Value>) -> Named {
        let mut left = Vec::new();
        let image = match take_image(object, &mut left) {
            Ok(None) => return Named::Nothing,
            Err(value) => {
                self.no_image(at, &value);
                None
            }
            Ok(Some(NamedImage::Reference(reference))) => self.decoded(at, Image::from_reference(&reference)),
            Ok(Some(NamedImage::Base64(text, name))) => {
                self.decoded(at, Image::from_base64(&text).map(|image| image.named(name)))
            }
        };
        self.note_left(at, &left.into_iter().map(|name| (name, Value::Bool(true))).collect());
        image.map_or(Named::Unreadable, Named::Image)
    }

    fn no_image(&mut self, at: &str, value: &Value) {
        self.wrong_type(at, "an image's path, address, bytes or data URL", value);
    }
}
