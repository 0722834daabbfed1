//! The interface to models that paint images: behind an endpoint, or the miniature world's own painter.
//!
//! As in [`crate::chat`], requests are taken as there is capacity for them, and images come back as they are finished,
//! in any order. A missing image is [`Unpainted`] with the reason, and never replaced by another.

use crate::chat::ChatError;

/// An image to paint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaintRequest {
    /// What it is for; errors and records name it.
    pub id: String,
    /// What it is to show.
    pub prompt: String,
    /// Width and height in pixels.
    pub size: u32,
    /// Seeds the painter's randomness, and distinguishes images of the same prompt.
    pub seed: u64,
}

/// How an image is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageFormat {
    /// PNG.
    Png,
    /// JPEG.
    Jpeg,
}

impl ImageFormat {
    /// The format by a file's first bytes.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x89, b'P', b'N', b'G', ..] => Some(Self::Png),
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            _ => None,
        }
    }

    /// The extension of such files.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
        }
    }
}

/// A finished image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Painting {
    /// The image's file: PNG or JPEG.
    pub bytes: Vec<u8>,
    /// Which of the two.
    pub format: ImageFormat,
}

impl Painting {
    /// An image from a file's bytes.
    ///
    /// Errors: what was expected, when they are neither PNG nor JPEG.
    pub fn new(bytes: Vec<u8>) -> Result<Self, String> {
        let format = ImageFormat::of(&bytes).ok_or("expected a PNG or JPEG image, got other bytes")?;
        Ok(Self { bytes, format })
    }
}

/// Why there is no image, whatever was tried.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Unpainted {
    /// What went wrong last.
    pub reason: String,
}

/// A model that paints.
pub trait PaintModel {
    /// The model's name, for records.
    fn name(&self) -> &str;

    /// Paints images, many at a time, and hands each over with its request's index as it comes, in any order. Requests
    /// are taken from the iterator as there is capacity for them, so that memory stays bounded.
    ///
    /// Errors: [`ChatError`] when it stops early; a request that fails for itself alone is handed over as
    /// [`Unpainted`].
    fn paint(
        &self,
        requests: &mut dyn Iterator<Item = PaintRequest>,
        on_painted: &mut dyn FnMut(usize, Result<Painting, Unpainted>),
    ) -> Result<(), ChatError>;
}
