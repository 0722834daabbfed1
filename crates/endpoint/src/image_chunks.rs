//! An image's file as base64, chunk by chunk.

use std::io::Read;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::body_error::BodyError;

/// Bytes of an image that are read and encoded at once: a multiple of 3, so that the encoded pieces join.
pub(crate) const CHUNK_BYTES: u64 = 48 << 10;

/// The chunks of an image; after an error there are no more.
pub(crate) struct ImageChunks {
    file: Option<std::io::Result<fs_err::File>>,
}

impl ImageChunks {
    /// Opens an image. What is wrong with its file is the first chunk.
    pub fn open(path: &Path) -> Self {
        Self { file: Some(fs_err::File::open(path)) }
    }
}

impl Iterator for ImageChunks {
    type Item = std::io::Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        let file = match self.file.take()? {
            Ok(file) => file,
            Err(error) => return Some(Err(error)),
        };
        let mut chunk = Vec::new();
        match (&file).take(CHUNK_BYTES).read_to_end(&mut chunk) {
            Ok(0) => None,
            Ok(_) => {
                self.file = Some(Ok(file));
                Some(Ok(STANDARD.encode(chunk).into()))
            }
            Err(error) => Some(Err(error)),
        }
    }
}

/// What a data URL calls an image, by its first bytes.
///
/// Errors: [`BodyError`] where the file cannot be read, or endpoints know no such image.
pub(crate) fn media_type(path: &Path) -> Result<&'static str, BodyError> {
    let mut start = [0; 12];
    let length = fs_err::File::open(path)?.read(&mut start)?;
    match &start[..length] {
        [0x89, b'P', b'N', b'G', ..] => Ok("image/png"),
        [0xff, 0xd8, 0xff, ..] => Ok("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Ok("image/gif"),
        [b'B', b'M', ..] => Ok("image/bmp"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P'] => Ok("image/webp"),
        _ => Err(BodyError::Image(format!("{}: expected a PNG, JPEG, WebP, GIF or BMP image", path.display()))),
    }
}
