//! Pictures that stand in a data file itself, as data URLs, and the names of the files that they become.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

/// The bytes of a `data:` URL; none where the reference is none.
///
/// Errors: what is wrong with the URL.
pub fn data_url_bytes(reference: &str) -> Option<Result<Vec<u8>, String>> {
    let rest = reference.strip_prefix("data:")?;
    Some(match rest.split_once(',') {
        None => Err("expected `,` after the head of a data URL, got none".to_owned()),
        Some((head, _)) if !head.ends_with(";base64") => {
            Err(format!("expected a data URL in base64, got `data:{head}`"))
        }
        Some((_, body)) => BASE64_STANDARD
            .decode(body.trim())
            .map_err(|error| format!("expected base64: {error}")),
    })
}

/// The name of the file that a picture's bytes become: their hash, so that a picture shown often is there once, and the
/// ending of what they are.
pub fn picture_file_name(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    let hash: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("{hash}.{}", picture_ending(bytes))
}

/// The ending for a file of these bytes; `bin` where they are no picture.
pub fn picture_ending(bytes: &[u8]) -> &'static str {
    match image::guess_format(bytes) {
        Ok(image::ImageFormat::Jpeg) => "jpg",
        Ok(format) => format.extensions_str().first().copied().unwrap_or("bin"),
        Err(_) => "bin",
    }
}
