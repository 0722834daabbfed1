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
    /// Understands a picture's URL: `data:image/…;base64,…`, `file://…`, or a plain path.
    ///
    /// Errors: 400 for one that is to be fetched, or for another kind of data.
    pub fn read(url: &str, place: &str) -> Result<Self, ApiError> {
        let expected = "expected `data:image/…;base64,…` or the path of a file";
        if let Some(data) = url.strip_prefix("data:") {
            let (kind, data) = data.split_once(',').unwrap_or_default();
            return if kind.starts_with("image/") && kind.ends_with(";base64") {
                Ok(Self::Data(data.to_owned()))
            } else {
                Err(ApiError::field(place, format!("{expected}, got other data")))
            };
        }
        if let Some(path) = url.strip_prefix("file://") {
            return match percent_decoded(path) {
                Some(path) => Ok(Self::File(path.into())),
                None => Err(ApiError::field(place, format!("{expected}, got a broken `%` escape"))),
            };
        }
        match url.split_once("://") {
            Some((scheme, _)) => Err(ApiError::field(
                place,
                format!("{expected}, got `{}://`: this server fetches nothing", short(scheme)),
            )),
            None if url.is_empty() => Err(ApiError::field(place, format!("{expected}, got nothing"))),
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

fn data_bytes(text: &str, place: &str, limits: &Limits) -> Result<Vec<u8>, ApiError> {
    let n_bytes = text.len() / 4 * 3;
    check_size(n_bytes.saturating_sub(2), place, limits)?;
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let base64 = GeneralPurpose::new(&base64::alphabet::STANDARD, config);
    let bytes = base64
        .decode(text)
        .map_err(|error| ApiError::field(place, format!("expected base64: {error}")))?;
    check_size(bytes.len(), place, limits)?;
    Ok(bytes)
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

fn percent_decoded(text: &str) -> Option<String> {
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
    String::from_utf8(bytes).ok()
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
    fn data_urls_are_decoded_padded_or_not() {
        let limits = Limits::default();
        assert_eq!(bytes("data:image/png;base64,AQID", &limits).unwrap(), [1, 2, 3]);
        assert_eq!(bytes("data:image/png;base64,AQ==", &limits).unwrap(), [1]);
        assert_eq!(bytes("data:image/png;base64,AQ", &limits).unwrap(), [1]);
        for broken in [
            "data:image/png;base64,A Q",
            "data:text/plain;base64,AQ==",
            "data:",
            "https://a/b.png",
            "",
        ] {
            assert_eq!(bytes(broken, &limits).unwrap_err().status, 400, "{broken}");
        }
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
