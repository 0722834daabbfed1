//! The bytes of a request's images, from data URLs, base64 and from files under one folder; and what bounds them.

use std::borrow::Cow;
use std::io::Read;
use std::path::{Path, PathBuf};

use align::types::ImageReference;

use super::api_error::ApiError;

/// How much a request may bring.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Images of a prompt.
    pub images_per_prompt: usize,
    /// Bytes of an image's file.
    pub image_bytes: usize,
    /// Pixels of an image.
    pub image_pixels: u64,
    /// The folder, resolved, beneath which files may be named; none: nowhere.
    pub media_root: Option<PathBuf>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { images_per_prompt: 16, image_bytes: 16 << 20, image_pixels: 32 << 20, media_root: None }
    }
}

/// Where an image comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum ImageSource {
    /// The bytes of its file.
    Data(Vec<u8>),
    /// A file.
    File(PathBuf),
}

impl ImageSource {
    /// Understands an image's URL: `data:…`, base64 alone, `file://…`, or a plain path. What type data claim to be is of no
    /// consequence: the image's own bytes show it.
    ///
    /// Errors: 400 for one that is to be fetched, or for data that cannot be decoded.
    pub fn read(url: &str, field: &str) -> Result<Self, ApiError> {
        let url = url.trim();
        let got = match ImageReference::read(url).map_err(|problem| ApiError::field(field, problem))? {
            ImageReference::Bytes(bytes) => return Ok(Self::Data(bytes)),
            ImageReference::File(path) if path.as_os_str().is_empty() => "nothing".to_owned(),
            ImageReference::File(path) => return Ok(Self::File(path)),
            ImageReference::Remote(address) => {
                let scheme: String = address.chars().take_while(|letter| *letter != ':').take(16).collect();
                format!("`{scheme}://`: this server fetches nothing")
            }
        };
        let expected = "expected `data:image/…;base64,…` or the path of a file";
        Err(ApiError::field(field, format!("{expected}, got {got}")))
    }

    /// The image's bytes.
    ///
    /// Errors: 400 for what cannot be read or lies elsewhere than beneath the allowed folder, 413 for too many bytes.
    pub fn bytes(&self, field: &str, limits: &Limits) -> Result<Cow<'_, [u8]>, ApiError> {
        let bytes: Cow<[u8]> = match self {
            Self::Data(bytes) => bytes.into(),
            Self::File(path) => file_bytes(path, field, limits)?.into(),
        };
        if bytes.len() > limits.image_bytes {
            let most = limits.image_bytes;
            let problem = format!("expected an image of at most {most} bytes, got more");
            return Err(ApiError::too_large(field, problem));
        }
        Ok(bytes)
    }
}

/// A file is read only if it lies beneath the allowed folder after every `..` and symbolic link is followed. What lies
/// elsewhere and what does not exist are refused alike, so that nothing is learned of other folders.
fn file_bytes(path: &Path, field: &str, limits: &Limits) -> Result<Vec<u8>, ApiError> {
    let Some(root) = &limits.media_root else {
        let problem = "expected a data URL: this server was started without --allowed-local-media-path";
        return Err(ApiError::field(field, problem));
    };
    read_beneath(root, path, limits.image_bytes).ok_or_else(|| {
        let problem = "expected a file beneath the folder of --allowed-local-media-path";
        ApiError::field(field, problem)
    })
}

fn read_beneath(root: &Path, path: &Path, most: usize) -> Option<Vec<u8>> {
    let resolved = fs_err::canonicalize(root.join(path)).ok()?;
    if !resolved.starts_with(root) || !resolved.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    // One byte more than allowed shows that there are too many, however the file grows meanwhile.
    let file = fs_err::File::open(&resolved).ok()?;
    file.take(most as u64 + 1).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(url: &str, limits: &Limits) -> Result<Vec<u8>, ApiError> {
        Ok(ImageSource::read(url, "url")?.bytes("url", limits)?.into_owned())
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
        for broken in
            ["data:image/png;base64,A?Q", "data:image/png;base64,%2", "data:", "https://a/b.png", "HTTP://a/b.png", ""]
        {
            assert_eq!(bytes(broken, &limits).unwrap_err().status, 400, "{broken}");
        }
        let small = Limits { image_bytes: 3, ..Limits::default() };
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
        let limits = Limits { media_root: Some(root.clone()), image_bytes: 4, ..Limits::default() };
        let absolute = root.join("inner/a b.png").display().to_string();
        let encoded = format!("file://{}", absolute.replace(' ', "%20"));
        for url in ["inner/a b.png", &absolute, &encoded, "inner/../inner/a b.png"] {
            assert_eq!(bytes(url, &limits).unwrap(), [7], "{url}");
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(folder.path().join("outside.png"), root.join("link.png")).unwrap();
        for url in ["../outside.png", "link.png", "inner", "none.png", "/etc/hostname", "file:///etc/%zz"] {
            assert_eq!(bytes(url, &limits).unwrap_err().status, 400, "{url}");
        }
        fs_err::write(root.join("large.png"), [7; 5]).unwrap();
        assert_eq!(bytes("large.png", &limits).unwrap_err().status, 413);
        assert_eq!(bytes("inner/a b.png", &Limits::default()).unwrap_err().status, 400);
    }
}
