//! Images inside a data file, in base64 or as data URLs, and the names of the files that they become.

use data_url::DataUrl;
use data_url::forgiving_base64::decode_to_vec;
use diagnostic::excerpt;
use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};

/// Shorter texts are paths, whatever they decode to: no image file is as small.
const SHORTEST_BARE_IMAGE: usize = 64;

/// The bytes of an image that stands within a data file: of a `data:` URL, or of base64 without a head, where it decodes
/// to an image. None where the reference is a path or an address.
///
/// Errors: what is wrong with a `data:` URL.
pub fn embedded_bytes(reference: &str) -> Option<Result<Vec<u8>, String>> {
    data_url_bytes(reference).or_else(|| bare_image(reference).map(Ok))
}

/// The bytes of a `data:` URL, as [`base64_bytes`] reads them where its head says `base64`, otherwise percent-encoded;
/// none where the text is no such URL.
///
/// Errors: what is wrong with the URL.
pub fn data_url_bytes(text: &str) -> Option<Result<Vec<u8>, String>> {
    let text = text.trim_start();
    let (scheme, rest) = text.split_at_checked("data:".len())?;
    if !scheme.eq_ignore_ascii_case("data:") {
        return None;
    }
    let Some((head, body)) = rest.split_once(',') else {
        return Some(Err("expected `,` after the head of a data URL, got none".to_owned()));
    };
    let is_base64 = head.split(';').skip(1).any(|parameter| parameter.trim().eq_ignore_ascii_case("base64"));
    if is_base64 {
        return Some(decoded(body));
    }
    let plain = DataUrl::process(text).ok()?.decode_to_vec().map(|(bytes, _)| bytes);
    Some(plain.map_err(|error| error.to_string()))
}

/// The bytes that a text in base64 holds: with or without the head of a `data:` URL, of either alphabet, broken into
/// lines or not, padded or not, perhaps percent-encoded.
///
/// Errors: what is wrong with the text.
pub fn base64_bytes(text: &str) -> Result<Vec<u8>, String> {
    data_url_bytes(text).unwrap_or_else(|| decoded(text))
}

fn decoded(text: &str) -> Result<Vec<u8>, String> {
    let mut base64: Vec<u8> = percent_decode_str(text).filter(|byte| !byte.is_ascii_whitespace()).collect();
    for byte in &mut base64 {
        *byte = match *byte {
            b'-' => b'+',
            b'_' => b'/',
            other => other,
        };
    }
    let n_letters = base64.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last + 1);
    base64.truncate(n_letters);
    decode_to_vec(&base64).map_err(|_| {
        let foreign = text.chars().find(|letter| !letter.is_ascii_whitespace() && !is_base64(*letter));
        match foreign {
            Some(letter) => format!("expected base64, got `{}` within it", excerpt(&letter.to_string())),
            None if base64.contains(&b'=') => "expected base64, got `=` before its end".to_owned(),
            None => format!("expected base64, got {n_letters} letters, which is cut short"),
        }
    })
}

fn is_base64(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "+/-_=%".contains(letter)
}

/// The bytes of base64 without a head. Its first letters decide before the rest is decoded, so that paths cost nothing.
fn bare_image(text: &str) -> Option<Vec<u8>> {
    let first = text.trim_start().get(..SHORTEST_BARE_IMAGE)?;
    image::guess_format(&decoded(first).ok()?).ok()?;
    decoded(text).ok()
}

/// The name of the file that an image's bytes become: their hash, so that an image shown often is stored once, and the
/// extension of their format.
pub fn image_file_name(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    let hash: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("{hash}.{}", image_extension(bytes))
}

/// The extension for a file of these bytes; `bin` where they are no image.
pub fn image_extension(bytes: &[u8]) -> &'static str {
    match image::guess_format(bytes) {
        Ok(image::ImageFormat::Jpeg) => "jpg",
        Ok(format) => format.extensions_str().first().copied().unwrap_or("bin"),
        Err(_) => "bin",
    }
}

/// An image's width and height (pixels), by the head of its file; none where that is no image's.
pub fn image_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let reader = image::ImageReader::new(std::io::Cursor::new(bytes)).with_guessed_format().ok()?;
    reader.into_dimensions().ok()
}

/// The same of a file, of which no more than the head is read.
pub fn image_file_size(path: &std::path::Path) -> Option<(u32, u32)> {
    image::ImageReader::open(path).ok()?.with_guessed_format().ok()?.into_dimensions().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Their base64 has both letters in which the alphabets differ.
    const BYTES: [u8; 7] = [251, 251, 251, 251, 251, 251, 1];

    #[test]
    fn base64_is_read_however_it_is_written() {
        let bodies = [
            "+/v7+/v7AQ==",
            "+/v7+/v7AQ=",
            "+/v7+/v7AQ",
            "-_v7-_v7AQ",
            "+/v7\r\n+/v7\r\nAQ==\r\n",
            " +/v7 +/v7\tAQ==",
            "%2B%2Fv7%2b%2fv7AQ%3D%3D",
        ];
        let heads = [
            "",
            "data:;base64,",
            "data:image/png;base64,",
            "DATA:Image/PNG;charset=utf-8;BASE64,",
            "data:image/png;base64;name=a.png,",
            " data:image/png; base64 ,",
        ];
        for (head, body) in heads.iter().flat_map(|head| bodies.iter().map(move |body| (head, body))) {
            let text = format!("{head}{body}");
            assert_eq!(base64_bytes(&text).unwrap(), BYTES, "{text:?}");
            assert_eq!(data_url_bytes(&text).is_some(), !head.is_empty(), "{text:?}");
        }
        assert!(base64_bytes("").unwrap().is_empty());
        assert_eq!(data_url_bytes("data:,a%20b").unwrap().unwrap(), b"a b");
    }

    #[test]
    fn what_is_no_base64_is_said_to_be_none() {
        for (text, expected) in [
            ("AQ?D", "got `?` within it"),
            ("b'AQID'", "got `'` within it"),
            ("AQ==AQ==", "got `=` before its end"),
            ("AQIDA", "got 5 letters, which is cut short"),
            ("data:image/png;base64,AQ\u{1b}", "got `\\u{1b}` within it"),
            ("data:image/png;base64", "expected `,` after the head"),
        ] {
            let problem = base64_bytes(text).unwrap_err();
            assert!(problem.contains(expected), "{text}: {problem}");
        }
    }

    #[test]
    fn an_image_without_a_head_is_told_from_a_path() {
        let png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==";
        let expected = base64_bytes(png).unwrap();
        for text in [png.to_owned(), format!("\n{}", png.trim_end_matches('=')), format!("data:;base64,{png}")] {
            assert_eq!(embedded_bytes(&text).unwrap().unwrap(), expected, "{text}");
        }
        let long = "images/".repeat(20);
        for path in ["a.png", "/9j/a.jpg", "iVBORw0KGgo", &long, "database/a.png", "datä", "https://a.org/b.png"] {
            assert!(embedded_bytes(path).is_none(), "{path}");
        }
    }
}
