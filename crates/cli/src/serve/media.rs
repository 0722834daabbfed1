//! The bytes of a request's pictures, from data URLs and from files under one folder; and what bounds them.

use std::io::Read;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::error::ApiError;

/// How much a request may bring.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Pictures of a prompt.
    pub images_per_prompt: usize,
    /// Bytes of a picture's file.
    pub image_bytes: usize,
    /// Pixels of a picture.
    pub image_pixels: u64,
    /// The folder, resolved, beneath which files may be named; none: nowhere.
    pub media_root: Option<PathBuf>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            images_per_prompt: 16,
            image_bytes: 16 << 20,
            image_pixels: 32 << 20,
            media_root: None,
        }
    }
}

/// Where a picture comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum ImageSource {
    /// Base64.
    Data(String),
    /// A file.
    File(PathBuf),
}

impl ImageSource {
    /// Understands a picture's URL: `data:…;base64,…`, `file://…`, or a plain path. What type data say to be is of no
    /// consequence: the picture's own bytes tell.
    ///
    /// Errors: 400 for one that is to be fetched, or for another kind of data.
    pub fn read(url: &str, place: &str) -> Result<Self, ApiError> {
        let expected = "expected `data:image/…;base64,…` or the path of a file";
        let refused = |got: &str| Err(ApiError::field(place, format!("{expected}, got {got}")));
        let url = url.trim();
        if let Some(data) = after_scheme(url, "data:") {
            let (kind, data) = data.split_once(',').unwrap_or_default();
            let is_base64 = kind
                .rsplit(';')
                .next()
                .is_some_and(|last| last.trim().eq_ignore_ascii_case("base64"));
            return if is_base64 && kind.contains(';') {
                Ok(Self::Data(data.to_owned()))
            } else {
                refused("data in another form")
            };
        }
        if let Some(path) = after_scheme(url, "file://") {
            return match percent_decoded(path).map(String::from_utf8) {
                Some(Ok(path)) => Ok(Self::File(path.into())),
                _ => refused("a broken `%` escape"),
            };
        }
        match url.split_once("://") {
            Some((scheme, _)) => refused(&format!("`{}://`: this server fetches nothing", short(scheme))),
            None if url.is_empty() => refused("nothing"),
            None => Ok(Self::File(url.into())),
        }
    }

    /// The picture's bytes.
    ///
    /// Errors: 400 for what cannot be read or lies elsewhere than beneath the allowed folder, 413 for too many bytes.
    pub fn bytes(&self, place: &str, limits: &Limits) -> Result<Vec<u8>, ApiError> {
        match self {
            Self::Data(text) => data_bytes(text, place, limits),
            Self::File(path) => file_bytes(path, place, limits),
        }
    }
}

/// What follows a scheme, in whichever case that is written.
fn after_scheme<'a>(url: &'a str, scheme: &str) -> Option<&'a str> {
    let (head, rest) = url.split_at_checked(scheme.len())?;
    head.eq_ignore_ascii_case(scheme).then_some(rest)
}

fn data_bytes(text: &str, place: &str, limits: &Limits) -> Result<Vec<u8>, ApiError> {
    let expected = |problem: &dyn std::fmt::Display| ApiError::field(place, format!("expected base64: {problem}"));
    let text = plain_base64(text).ok_or_else(|| expected(&"got a broken `%` escape"))?;
    let n_bytes = text.len() / 4 * 3;
    check_size(n_bytes.saturating_sub(2), place, limits)?;
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let base64 = GeneralPurpose::new(&base64::alphabet::STANDARD, config);
    let bytes = base64.decode(text).map_err(|error| expected(&error))?;
    check_size(bytes.len(), place, limits)?;
    Ok(bytes)
}

/// Base64 in the standard alphabet, whichever alphabet, line breaks and escapes it was written with.
fn plain_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = if text.contains('%') {
        percent_decoded(text)?
    } else {
        text.as_bytes().to_vec()
    };
    bytes.retain(|byte| !byte.is_ascii_whitespace());
    for byte in &mut bytes {
        *byte = match *byte {
            b'-' => b'+',
            b'_' => b'/',
            other => other,
        };
    }
    Some(bytes)
}

/// A file is read only if it lies beneath the allowed folder after every `..` and symbolic link is followed. What lies
/// elsewhere and what does not exist are refused alike, so that nothing is learnt of other folders.
fn file_bytes(path: &Path, place: &str, limits: &Limits) -> Result<Vec<u8>, ApiError> {
    let Some(root) = &limits.media_root else {
        let problem = "expected a data URL: this server was started without --allowed-local-media-path";
        return Err(ApiError::field(place, problem));
    };
    let refused = || {
        ApiError::field(
            place,
            "expected a file beneath the folder of --allowed-local-media-path",
        )
    };
    let resolved = fs_err::canonicalize(root.join(path)).map_err(|_| refused())?;
    if !resolved.starts_with(root) || !resolved.is_file() {
        return Err(refused());
    }
    let file = fs_err::File::open(&resolved).map_err(|_| refused())?;
    let mut bytes = Vec::new();
    // One byte more than allowed tells that there are too many, however the file grows meanwhile.
    file.take(limits.image_bytes as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|_| refused())?;
    check_size(bytes.len(), place, limits)?;
    Ok(bytes)
}

fn check_size(n_bytes: usize, place: &str, limits: &Limits) -> Result<(), ApiError> {
    if n_bytes > limits.image_bytes {
        let most = limits.image_bytes;
        return Err(ApiError::too_large(
            place,
            format!("expected a picture of at most {most} bytes, got more"),
        ));
    }
    Ok(())
}

fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%' {
            let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &rest[2..];
        } else {
            bytes.push(byte);
        }
    }
    Some(bytes)
}

fn short(text: &str) -> String {
    text.chars().take(16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(url: &str, limits: &Limits) -> Result<Vec<u8>, ApiError> {
        ImageSource::read(url, "url")?.bytes("url", limits)
    }

    #[test]
    fn data_urls_are_decoded_however_they_are_written() {
        let limits = Limits::default();
        for (url, expected) in [
            ("data:image/png;base64,AQID", &[1, 2, 3][..]),
            ("data:image/png;base64,AQ==", &[1]),
            ("data:image/png;base64,AQ", &[1]),
            ("data:image/png;base64,AQ\r\nI D\n", &[1, 2, 3]),
            ("data:image/png;base64,-_8=", &[251, 255]),
            ("data:image/png;base64,%2B%2f8%3D", &[251, 255]),
            ("data:;base64,AQ==", &[1]),
            ("data:application/octet-stream;base64,AQ==", &[1]),
            (" DATA:Image/PNG;name=a.png;BASE64,AQ==", &[1]),
        ] {
            assert_eq!(bytes(url, &limits).unwrap(), expected, "{url}");
        }
        for broken in [
            "data:image/png;base64,A?Q",
            "data:image/png;base64,%2",
            "data:image/png,AQ==",
            "data:base64,AQ==",
            "data:",
            "https://a/b.png",
            "HTTP://a/b.png",
            "",
        ] {
            assert_eq!(bytes(broken, &limits).unwrap_err().status, 400, "{broken}");
        }
        let small = Limits {
            image_bytes: 3,
            ..Limits::default()
        };
        assert_eq!(bytes("data:;base64,A\nQ\nI\nD", &small).unwrap(), [1, 2, 3]);
        assert_eq!(bytes("data:;base64,AQIDBA", &small).unwrap_err().status, 413);
    }

    #[test]
    fn files_are_read_beneath_the_root_alone() {
        let folder = tempfile::tempdir().unwrap();
        let root = fs_err::canonicalize(folder.path()).unwrap().join("root");
        fs_err::create_dir_all(root.join("inner")).unwrap();
        fs_err::write(root.join("inner/a b.png"), [7]).unwrap();
        fs_err::write(folder.path().join("outside.png"), [8]).unwrap();
        let limits = Limits {
            media_root: Some(root.clone()),
            image_bytes: 4,
            ..Limits::default()
        };
        let absolute = root.join("inner/a b.png").display().to_string();
        let encoded = format!("file://{}", absolute.replace(' ', "%20"));
        for url in ["inner/a b.png", &absolute, &encoded, "inner/../inner/a b.png"] {
            assert_eq!(bytes(url, &limits).unwrap(), [7], "{url}");
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(folder.path().join("outside.png"), root.join("link.png")).unwrap();
        for url in [
            "../outside.png",
            "link.png",
            "inner",
            "none.png",
            "/etc/hostname",
            "file:///etc/%zz",
        ] {
            assert_eq!(bytes(url, &limits).unwrap_err().status, 400, "{url}");
        }
        fs_err::write(root.join("large.png"), [7; 5]).unwrap();
        assert_eq!(bytes("large.png", &limits).unwrap_err().status, 413);
        assert_eq!(bytes("inner/a b.png", &Limits::default()).unwrap_err().status, 400);
    }
}
