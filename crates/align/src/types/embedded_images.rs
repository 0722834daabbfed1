//! Images inside a data file, as data URLs, and the names of the files that they become.

use data_url::{DataUrl, DataUrlError};
use sha2::{Digest, Sha256};

/// The bytes of a `data:` URL, in base64 or percent-encoded; none where the reference is none. As the URL standard has it,
/// base64 may be broken into lines and lack its padding.
///
/// Errors: what is wrong with the URL.
pub fn data_url_bytes(reference: &str) -> Option<Result<Vec<u8>, String>> {
    let url = match DataUrl::process(reference) {
        Ok(url) => url,
        Err(DataUrlError::NotADataUrl) => return None,
        Err(DataUrlError::NoComma) => {
            return Some(Err("expected `,` after the head of a data URL, got none".to_owned()));
        }
    };
    let decoded = url.decode_to_vec().map(|(bytes, _)| bytes);
    Some(decoded.map_err(|error| format!("expected base64: {error}")))
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
