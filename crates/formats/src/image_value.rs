//! The image that a value names, in every form that columns and parts of messages have for one:
//! [`align::types::take_image`] lists those of objects.

use align::types::{Beside, ImageOptions, NamedImage, take_image};
use serde_json::{Map, Value};

use crate::field_reader::FieldReader;
use rows::{Image, ProblemKind};

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
    /// The image that a value of a column names. What else an object says of the image is noted as not kept,
    /// but for how it is shown, which [`Self::record`] keeps where it can.
    pub fn image(&mut self, at: &str, value: Value) -> Option<Image> {
        match value {
            Value::String(reference) => {
                self.in_columns.push((at.to_owned(), Map::new()));
                self.decoded(at, Image::from_reference(&reference))
            }
            Value::Object(mut object) => {
                let (named, options) = self.take_image(at, &mut object);
                if matches!(named, Named::Nothing) {
                    self.no_image(at, &Value::Object(object));
                    return None;
                }
                self.note_left(at, &object);
                self.in_columns.push((at.to_owned(), options));
                if let Named::Image(image) = named { Some(image) } else { None }
            }
            other => {
                self.no_image(at, &other);
                None
            }
        }
    }

    /// Takes the image that an object names, and the options by which it is shown, as they are written.
    pub fn take_image(&mut self, at: &str, object: &mut Map<String, Value>) -> (Named, Map<String, Value>) {
        let mut beside = Beside::default();
        let image = match take_image(object, &mut beside) {
            Ok(None) => return (Named::Nothing, beside.options),
            Err(value) => {
                self.no_image(at, &value);
                None
            }
            Ok(Some(NamedImage::Reference(reference))) => self.decoded(at, Image::from_reference(&reference)),
            Ok(Some(NamedImage::Base64(text, name))) => {
                self.decoded(at, Image::from_base64(&text).map(|image| image.named(name)))
            }
        };
        self.note_left(at, &beside.left.into_iter().map(|name| (name, Value::Bool(true))).collect());
        (image.map_or(Named::Unreadable, Named::Image), beside.options)
    }

    /// The options by which a part shows its image; those that cannot be understood are noted.
    pub fn image_options(&mut self, at: &str, options: &Map<String, Value>) -> ImageOptions {
        ImageOptions::read(options).unwrap_or_else(|(name, problem)| {
            self.note(ProblemKind::WrongValue, format!("`{at}.{name}`: {problem}"));
            ImageOptions::default()
        })
    }

    fn no_image(&mut self, at: &str, value: &Value) {
        self.wrong_type(at, "an image's path, address, bytes or data URL", value);
    }
}
