//! Pictures that endpoints painted: fetched where they only give an address, and kept beside the journal.

use std::path::{Path, PathBuf};
use std::time::Duration;

use align::files::write_atomically;
use align::paint::Painting;
use futures_util::StreamExt;
use sha2::{Digest, Sha256};

use crate::call::Wire;
use crate::settings::RoleSettings;

/// The largest picture that is fetched, in bytes.
const LARGEST_PICTURE: usize = 64 << 20;
/// The wait before a picture is fetched again.
const FETCH_BACKOFF: Duration = Duration::from_millis(500);

/// The folder of the pictures whose rows are in a journal.
pub(crate) fn folder(journal: &Path) -> PathBuf {
    journal.with_extension("pictures")
}

/// Keeps a picture under the hash of its content, unless it is there already; returns its name in the folder.
///
/// Errors: the operating system's, naming the file.
pub(crate) fn keep(folder: &Path, painting: &Painting) -> std::io::Result<String> {
    let hash: String = Sha256::digest(&painting.bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let name = format!("{hash}.{}", painting.format.extension());
    let path = folder.join(&name);
    if !path.exists() {
        write_atomically(&path, &painting.bytes)?;
    }
    Ok(name)
}

/// Reads a kept picture.
///
/// Errors: a message naming the file.
pub(crate) fn read(folder: &Path, name: &str) -> Result<Painting, String> {
    let path = folder.join(name);
    let bytes = fs_err::read(&path).map_err(|error| error.to_string())?;
    Painting::new(bytes).map_err(|problem| format!("{}: {problem}", path.display()))
}

/// Fetches a picture from where an endpoint says it is. The role's key is not shown there.
///
/// Errors: what went wrong last; the address is left out, since it may hold a secret.
pub(crate) async fn fetch(url: &str, wire: &Wire) -> Result<Vec<u8>, String> {
    if !(url.starts_with("http://") || url.starts_with("https://")) {
        return Err("expected the picture's address to begin with http:// or https://".to_owned());
    }
    let mut attempts = 0;
    loop {
        attempts += 1;
        match fetch_once(url, &wire.settings).await {
            Err(problem) if attempts > wire.settings.max_retries => {
                return Err(format!(
                    "the picture cannot be fetched: {problem} (tried {attempts} times)"
                ));
            }
            Err(_) => tokio::time::sleep(FETCH_BACKOFF).await,
            Ok(bytes) => return Ok(bytes),
        }
    }
}

async fn fetch_once(url: &str, settings: &RoleSettings) -> Result<Vec<u8>, String> {
    let plain = |error: reqwest::Error| error.without_url().to_string();
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs_f64(settings.timeout))
        .build()
        .map_err(plain)?;
    let response = client.get(url).send().await.map_err(plain)?;
    let response = response.error_for_status().map_err(plain)?;
    let mut stream = response.bytes_stream();
    let mut bytes = Vec::new();
    while let Some(piece) = stream.next().await {
        bytes.extend_from_slice(&piece.map_err(plain)?);
        if bytes.len() > LARGEST_PICTURE {
            return Err(format!("expected at most {LARGEST_PICTURE} bytes"));
        }
    }
    Ok(bytes)
}
