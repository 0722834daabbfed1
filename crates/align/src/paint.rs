//! The door to models that paint: behind an endpoint, or the miniature world's own painter.
//!
//! It stands beside [`crate::chat`]: requests go in as there is room for them, pictures come out as they are finished,
//! in whatever order. A picture that could not be had is [`Unpainted`] with the reason, and never another picture.

use crate::chat::ChatError;

/// A picture to paint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaintRequest {
    /// What it is for; errors and records name it.
    pub id: String,
    /// What it shall show.
    pub prompt: String,
    /// Width and height in pixels.
    pub size: u32,
    /// Sets the painter's chance, and tells pictures of the same prompt apart.
    pub seed: u64,
}

/// How a picture is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureFormat {
    /// PNG.
    Png,
    /// JPEG.
    Jpeg,
}

impl PictureFormat {
    /// The format by a file's first bytes.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x89, b'P', b'N', b'G', ..] => Some(Self::Png),
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            _ => None,
        }
    }

    /// The ending of such files' names.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
        }
    }
}

/// A finished picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Painting {
    /// The picture's file: PNG or JPEG.
    pub bytes: Vec<u8>,
    /// Which of the two.
    pub format: PictureFormat,
}

impl Painting {
    /// A picture from a file's bytes.
    ///
    /// Errors: what was expected, when they are neither PNG nor JPEG.
    pub fn new(bytes: Vec<u8>) -> Result<Self, String> {
        let format = PictureFormat::of(&bytes).ok_or("expected a PNG or JPEG picture, got other bytes")?;
        Ok(Self { bytes, format })
    }
}

/// Why there is no picture, whatever was tried.
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

    /// Paints pictures, many at a time, and hands each over with its request's index as it comes, in whatever order.
    /// Requests are drawn from the iterator as there is room for them, so that memory stays bounded.
    ///
    /// Errors: [`ChatError`] when it stops early; a request that fails for itself alone is handed over as
    /// [`Unpainted`].
    fn paint(
        &self,
        requests: &mut dyn Iterator<Item = PaintRequest>,
        on_painted: &mut dyn FnMut(usize, Result<Painting, Unpainted>),
    ) -> Result<(), ChatError>;
}
