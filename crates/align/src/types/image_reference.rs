//! Where an image is that a string names, in a data file or a request.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use super::embedded_bytes;

/// Where an image is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageReference {
    /// In the string itself: the bytes of its file.
    Bytes(Vec<u8>),
    /// In a file on this machine.
    File(PathBuf),
    /// Elsewhere: at an address such as `https://…`, `s3://…` or `hf://…`, kept as it is written and never fetched.
    Remote(String),
}

impl ImageReference {
    /// Understands a data URL, base64 of an image, an address or a path. A `file://` address is the path that it names,
    /// percent escapes decoded; any other scheme, in whichever case it is written, is elsewhere.
    ///
    /// Errors: what is wrong with a data URL or a `file://` address.
    pub fn read(reference: &str) -> Result<Self, String> {
        if let Some(bytes) = embedded_bytes(reference) {
            return bytes.map(Self::Bytes);
        }
        match scheme_of(reference.trim_start()) {
            Some((scheme, path)) if scheme.eq_ignore_ascii_case("file") => {
                let path = path.strip_prefix("localhost/").map_or(path, |_| &path["localhost".len()..]);
                match percent_decode_str(path).decode_utf8() {
                    Ok(path) => Ok(Self::File(path.as_ref().into())),
                    Err(_) => Err(format!("expected a path in UTF-8 after `{scheme}://`")),
                }
            }
            Some(_) => Ok(Self::Remote(reference.to_owned())),
            None => Ok(Self::File(reference.into())),
        }
    }
}

/// An address's scheme and what follows it; none for a path.
fn scheme_of(reference: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = reference.split_once(':')?;
    let is_scheme = scheme.len() > 1
        && scheme.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && scheme.chars().all(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter));
    match rest.strip_prefix("//") {
        Some(rest) if is_scheme => Some((scheme, rest)),
        // `file:/a` says the same as `file:///a`.
        None if rest.starts_with('/') && scheme.eq_ignore_ascii_case("file") => Some((scheme, rest)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_addresses_are_paths_and_other_addresses_stay_as_they_are() {
        for (reference, path) in [
            ("file:///a%20b/c.png", "/a b/c.png"),
            ("FILE://localhost/a.png", "/a.png"),
            ("file:/a.png", "/a.png"),
            ("file://images/a.png", "images/a.png"),
            ("file://localhost.png", "localhost.png"),
            ("a%20b.png", "a%20b.png"),
            ("a:b//c.png", "a:b//c.png"),
            ("C://a.png", "C://a.png"),
            ("images//a.png", "images//a.png"),
        ] {
            assert_eq!(ImageReference::read(reference), Ok(ImageReference::File(path.into())), "{reference}");
        }
        for address in
            ["https://a/b.png", "HTTPS://A/b.png", "s3://a/b", "gs://a/b", "oss://a/b", "hf://a/b", "x+y.z-1://a"]
        {
            assert_eq!(ImageReference::read(address), Ok(ImageReference::Remote(address.to_owned())));
        }
        assert!(ImageReference::read("file:///%ff").unwrap_err().contains("in UTF-8"));
        assert!(ImageReference::read("DATA:image/png;base64").is_err());
    }
}
