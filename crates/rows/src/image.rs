//! An image as rows hold it.

use std::path::PathBuf;
use std::sync::Arc;

use align::types::{ImageReference, Part, base64_bytes};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// An image as a row holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Image {
    /// A file.
    File(PathBuf),
    /// The bytes of an image file.
    Bytes {
        /// The bytes.
        bytes: Arc<[u8]>,
        /// The file name that came with them.
        name: Option<String>,
    },
    /// An address on a network, which is kept but never fetched.
    Remote(String),
}

impl Image {
    /// The image that a string in a data file refers to: an address, a `data:` URL, base64 or a path.
    ///
    /// Errors: what is wrong with a `data:` URL or a `file://` address.
    pub fn from_reference(reference: &str) -> Result<Self, String> {
        Ok(match ImageReference::read(reference)? {
            ImageReference::Bytes(bytes) => Self::unnamed(bytes),
            ImageReference::File(path) => Self::File(path),
            ImageReference::Remote(address) => Self::Remote(address),
        })
    }

    /// An image from base64, as [`base64_bytes`] reads it.
    ///
    /// Errors: what is wrong with the base64.
    pub fn from_base64(text: &str) -> Result<Self, String> {
        Ok(Self::unnamed(base64_bytes(text)?))
    }

    /// An image of bytes without a name.
    pub fn unnamed(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self::Bytes { bytes: bytes.into(), name: None }
    }

    /// The image with the file name that came with its bytes.
    #[must_use]
    pub fn named(self, name: Option<String>) -> Self {
        match self {
            Self::Bytes { bytes, .. } => Self::Bytes { bytes, name },
            other => other,
        }
    }

    /// The image's bytes in base64; none for a file or an address.
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

    /// The image part of an item for this image.
    pub fn part(&self) -> Part {
        Part::image(self.part_path())
    }

    /// The path in an item's image part for this image.
    pub fn part_path(&self) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Remote(address) => address.into(),
            Self::Bytes { name, .. } => name.clone().unwrap_or_default().into(),
        }
    }
}
