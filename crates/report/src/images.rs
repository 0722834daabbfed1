//! Images inside the page, as data URIs.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use align::types::resolved_relative_to;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::{ImageFormat, ImageReader};

/// Images larger than this are not embedded, so that the page can still be opened and sent.
const LARGEST_BYTES: u64 = 4 << 20;

/// Images up to this size stay as they are where they are shown small.
const SMALL_BYTES: u64 = 16 << 10;

/// The longest side of an image that is made smaller, in pixels.
const THUMBNAIL_SIDE: u32 = 320;

/// An image file as a data URI; none where it cannot be read, is no image that browsers show, or is too large.
pub fn data_uri(path: &Path) -> Option<String> {
    embedded(path, LARGEST_BYTES)
}

/// As [`data_uri`], up to so many bytes.
pub fn embedded(path: &Path, most_bytes: u64) -> Option<String> {
    if path.metadata().ok()?.len() > most_bytes {
        return None;
    }
    let bytes = fs_err::read(path).ok()?;
    Some(format!("data:{};base64,{}", media_type(&bytes)?, STANDARD.encode(&bytes)))
}

/// An image as a data URI, made smaller where its file is large, so that a page can show many; none where it cannot be read.
pub fn thumbnail(path: &Path) -> Option<String> {
    if path.metadata().ok()?.len() <= SMALL_BYTES {
        return embedded(path, SMALL_BYTES);
    }
    let image = ImageReader::open(path).ok()?.with_guessed_format().ok()?.decode().ok()?;
    let small = image.thumbnail(THUMBNAIL_SIDE, THUMBNAIL_SIDE).to_rgb8();
    let mut bytes = Cursor::new(Vec::new());
    small.write_to(&mut bytes, ImageFormat::Jpeg).ok()?;
    Some(format!("data:image/jpeg;base64,{}", STANDARD.encode(bytes.get_ref())))
}

/// The media type by the file's first bytes, since file names may be wrong.
fn media_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        [b'B', b'M', ..] => Some("image/bmp"),
        _ if bytes.starts_with(b"<svg") || bytes.starts_with(b"<?xml") => Some("image/svg+xml"),
        _ => None,
    }
}

/// Where an image of a run's rollout is, relative to the report's folder: its path from the run's folder, or the longest
/// end of its path that exists below the report's folder. Otherwise the path as it is.
pub fn below(folder: &Path, run: &Path, image: &Path) -> PathBuf {
    let from_run = run.join(image);
    if from_run.is_file() {
        return resolved_relative_to(&from_run, folder);
    }
    let components: Vec<_> = image.components().collect();
    (0..components.len())
        .map(|start| components[start..].iter().collect::<PathBuf>())
        .find(|end| end.is_relative() && folder.join(end).is_file())
        .unwrap_or_else(|| image.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_images_are_embedded() {
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().join("secret.png");
        std::fs::write(&text, "not an image").unwrap();
        assert_eq!(data_uri(&text), None);
        assert_eq!(data_uri(&folder.path().join("missing.png")), None);
        std::fs::write(&text, b"\x89PNG").unwrap();
        assert_eq!(data_uri(&text).unwrap(), "data:image/png;base64,iVBORw==");
    }

    #[test]
    fn an_image_is_found_after_the_folder_moved() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("images")).unwrap();
        std::fs::write(folder.path().join("images/a.png"), b"").unwrap();
        let run = folder.path().join("runs/x");
        std::fs::create_dir_all(&run).unwrap();
        for (image, expected) in [
            ("../../images/a.png", "images/a.png"),
            ("/gone/out/images/a.png", "images/a.png"),
            ("/gone/b.png", "/gone/b.png"),
        ] {
            assert_eq!(below(folder.path(), &run, Path::new(image)), Path::new(expected));
        }
    }
}
