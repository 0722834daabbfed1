//! What every layout is read into: an item, its images, and the row's other fields.

use std::path::Path;

use align::types::{Item, Message, Part, Role, image_paths, relative_to};
use rows::Image;
use serde_json::{Map, Value};

/// One prompt or labeled sample, whatever its file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record {
    /// The item; its image parts go with `images`, in order.
    pub item: Item,
    /// The images, in the order of the item's image parts.
    pub images: Vec<Image>,
    /// The row's other fields; none is null.
    pub extra: Map<String, Value>,
}

impl Record {
    /// Resolves relative paths against a folder.
    pub fn resolve(&mut self, folder: &Path) {
        for image in &mut self.images {
            if let Image::File(path) = image {
                *path = folder.join(&*path);
            }
        }
        self.rename_parts();
    }

    /// Takes images that are not in the file's folder from another one, where they are there. The paths stay relative to
    /// the file's folder.
    pub fn look_for_images(&mut self, own: &Path, other: &Path) {
        for image in &mut self.images {
            if let Image::File(path) = image
                && !own.join(&*path).is_file()
                && other.join(&*path).is_file()
            {
                *path = relative_to(&other.join(&*path), own);
            }
        }
        self.rename_parts();
    }

    /// The record with other images, one for each of its own.
    pub fn with_images(&self, images: Vec<Image>) -> Self {
        let mut record = Self { item: self.item.clone(), images, extra: self.extra.clone() };
        record.rename_parts();
        record
    }

    fn rename_parts(&mut self) {
        let mut images = self.images.iter();
        for part in self.item.messages.iter_mut().flat_map(|message| &mut message.content) {
            if let Part::Image { image: path, .. } = part
                && let Some(image) = images.next()
            {
                *path = image.part_path();
            }
        }
    }

    /// The question of a dialogue with one user message, and perhaps a label.
    ///
    /// Errors: what else the dialogue has.
    pub fn only_question(&self) -> Result<&Message, String> {
        match self.item.prompt() {
            [question] if question.role == Role::User => Ok(question),
            [system, _, ..] if system.role == Role::System => Err("it holds no system message".into()),
            prompt => Err(format!("it holds one question, not {} turns", prompt.len())),
        }
    }

    /// The one image.
    ///
    /// Errors: how many there are instead.
    pub fn only_image(&self) -> Result<&Image, String> {
        match &self.images[..] {
            [image] => Ok(image),
            images => Err(format!("it shows one image, not {}", images.len())),
        }
    }

    /// The label's text, empty where there is none.
    pub fn label_or_empty(&self) -> String {
        self.item.label().unwrap_or_default()
    }

    /// The images' paths and addresses as a list.
    pub fn image_references(&self) -> Value {
        self.images.iter().filter_map(Image::reference).collect()
    }

    /// One of the other fields as text.
    pub fn extra_text(&self, name: &str) -> Option<&str> {
        self.extra.get(name).and_then(Value::as_str)
    }
}

/// A user message: images first, then text.
pub(crate) fn question(images: &[Image], text: impl Into<String>) -> Message {
    let mut content: Vec<Part> = images.iter().map(Image::part).collect();
    content.push(Part::Text { text: text.into() });
    Message { role: Role::User, content }
}

/// The images of an item that a benchmark's reader made, by its image parts.
///
/// Errors: those of [`Image::from_reference`].
pub(crate) fn images_of(item: &Item) -> Result<Vec<Image>, String> {
    image_paths(&item.messages).map(|path| Image::from_reference(&path.to_string_lossy())).collect()
}
