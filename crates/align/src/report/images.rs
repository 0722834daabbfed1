//! Images inside the page, as data URIs.

use std::path::{Path, PathBuf};

use crate::types::seen_from;

/// Images larger than this are not embedded, so that the page can still be opened and sent.
const LARGEST_BYTES: u64 = 4 << 20;

/// An image file as a data URI; none where it cannot be read, is no image that browsers show, or is too large.
pub(super) fn data_uri(path: &Path) -> Option<String> {
    if path.metadata().ok()?.len() > LARGEST_BYTES {
        return None;
    }
    let bytes = fs_err::read(path).ok()?;
    Some(format!("data:{};base64,{}", media_type(&bytes)?, base64(&bytes)))
}

/// The media type by the file's first bytes, since names may lie.
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

/// Base64 with padding (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let sextet = bits >> (18 - 6 * place) & 63;
            text.push(if place <= chunk.len() {
                char::from(ALPHABET[sextet as usize])
            } else {
                '='
            });
        }
    }
    text
}

/// Where an image of a run's rollout lies, relative to the report's folder: where the run's folder sees it, or the
/// longest end of its path that exists below the report's folder. Otherwise the path as it stands.
pub(super) fn below(folder: &Path, run: &Path, image: &Path) -> PathBuf {
    let seen = run.join(image);
    if seen.is_file() {
        return seen_from(&seen, folder);
    }
    let components: Vec<_> = image.components().collect();
    let ends = (0..components.len()).map(|start| components[start..].iter().collect::<PathBuf>());
    let is_below = |end: &PathBuf| end.is_relative() && folder.join(end).is_file();
    ends.into_iter().find(is_below).unwrap_or_else(|| image.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_equals_the_examples_of_rfc_4648() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xbf]), "+/+/");
    }

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
