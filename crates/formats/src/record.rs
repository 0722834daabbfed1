//! What every layout is read into: an item, its pictures, and what else stood in the row.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use align::types::{Item, Message, Part, Role, data_url_bytes};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};

/// A picture as a row holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Picture {
    /// A file.
    File(PathBuf),
    /// The picture's file as bytes.
    Bytes {
        /// The bytes.
        bytes: Arc<[u8]>,
        /// The name that stood beside them.
        name: Option<String>,
    },
    /// An address on a network, which is kept and never fetched.
    Remote(String),
}

impl Picture {
    /// The picture that a string in a data file refers to: an address, a `data:` URL or a path.
    ///
    /// Errors: what is wrong with a `data:` URL.
    pub fn from_reference(reference: &str) -> Result<Self, String> {
        if reference.starts_with("http://") || reference.starts_with("https://") {
            return Ok(Self::Remote(reference.to_owned()));
        }
        match data_url_bytes(reference) {
            None => Ok(Self::File(PathBuf::from(reference))),
            Some(bytes) => Ok(Self::Bytes {
                bytes: bytes?.into(),
                name: None,
            }),
        }
    }

    /// A picture from base64.
    ///
    /// Errors: what is no base64.
    pub fn from_base64(text: &str) -> Result<Self, String> {
        let bytes = BASE64_STANDARD
            .decode(text.trim())
            .map_err(|error| format!("expected base64: {error}"))?;
        Ok(Self::Bytes {
            bytes: bytes.into(),
            name: None,
        })
    }

    /// The picture's bytes in base64; none for a file or an address.
    pub fn to_base64(&self) -> Option<String> {
        match self {
            Self::Bytes { bytes, .. } => Some(BASE64_STANDARD.encode(bytes)),
            Self::File(_) | Self::Remote(_) => None,
        }
    }

    /// The path or address as a file writes it; none for bytes.
    pub fn reference(&self) -> Option<String> {
        match self {
            Self::File(path) => Some(path.to_string_lossy().into_owned()),
            Self::Remote(address) => Some(address.clone()),
            Self::Bytes { .. } => None,
        }
    }

    /// What stands in an item's image part for this picture.
    pub fn part_path(&self) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Remote(address) => address.into(),
            Self::Bytes { name, .. } => name.clone().unwrap_or_default().into(),
        }
    }
}

/// One prompt or labelled sample, whatever file it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The item; its image parts and `pictures` go together in order.
    pub item: Item,
    /// The pictures, in the order of the item's image parts.
    pub pictures: Vec<Picture>,
    /// What else the row holds, by field; nothing in it is null.
    pub extra: Map<String, Value>,
}

impl Record {
    /// Resolves relative paths against a folder.
    pub fn resolve(&mut self, folder: &Path) {
        for picture in &mut self.pictures {
            if let Picture::File(path) = picture {
                *path = folder.join(&*path);
            }
        }
        self.rename_parts();
    }

    /// Replaces the pictures, one for each.
    pub(crate) fn with_pictures(&self, pictures: Vec<Picture>) -> Self {
        let mut record = Self {
            item: self.item.clone(),
            pictures,
            extra: self.extra.clone(),
        };
        record.rename_parts();
        record
    }

    fn rename_parts(&mut self) {
        let parts = self.item.messages.iter_mut().flat_map(|message| &mut message.content);
        let images = parts.filter_map(|part| match part {
            Part::Image { image } => Some(image),
            Part::Text { .. } => None,
        });
        for (image, picture) in images.zip(&self.pictures) {
            *image = picture.part_path();
        }
    }

    /// The one question of a dialogue that is nothing but a question of the user's and perhaps the label.
    ///
    /// Errors: what the dialogue is instead.
    pub(crate) fn only_question(&self) -> Result<&Message, String> {
        match self.item.prompt() {
            [question] if question.role == Role::User => Ok(question),
            [system, _, ..] if system.role == Role::System => Err("it holds no system message".into()),
            prompt => Err(format!("it holds one question, not {} turns", prompt.len())),
        }
    }

    /// A field of the rest as text.
    pub(crate) fn extra_text(&self, name: &str) -> Option<&str> {
        self.extra.get(name).and_then(Value::as_str)
    }
}

/// A user's turn: pictures first, then words.
pub(crate) fn question(pictures: &[Picture], text: impl Into<String>) -> Message {
    let images = pictures.iter().map(|picture| Part::Image {
        image: picture.part_path(),
    });
    Message {
        role: Role::User,
        content: images.chain([Part::Text { text: text.into() }]).collect(),
    }
}
