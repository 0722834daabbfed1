//! Images that endpoints painted: fetched where they only give an address, and kept beside the journal.

use std::path::{Path, PathBuf};
use std::time::Duration;

use align::files::write_atomically;
use align::paint::Painting;
use futures_util::StreamExt;
use sha2::{Digest, Sha256};

use crate::settings::RoleSettings;

/// The largest image that is fetched, in bytes.
const LARGEST_IMAGE: usize = 64 << 20;
/// The wait before an image is fetched again.
const FETCH_BACKOFF: Duration = Duration::from_millis(500);

/// The folder of the images whose rows are in a journal.
pub(crate) fn folder(journal: &Path) -> PathBuf {
    journal.with_extension("images")
}

/// Keeps an image under the hash of its content, unless it is there already; returns its name in the folder.
///
/// Errors: the operating system's, naming the file.
pub(crate) fn keep(folder: &Path, painting: &Painting) -> std::io::Result<String> {
    let hash = hex::encode(Sha256::digest(&painting.bytes));
    let name = format!("{hash}.{}", painting.format.extension());
    let path = folder.join(&name);
    if !path.exists() {
        write_atomically(&path, &painting.bytes)?;
    }
    Ok(name)
}

/// Reads a kept image.
///
/// Errors: a message naming the file.
pub(crate) fn read(folder: &Path, name: &str) -> Result<Painting, String> {
    let path = folder.join(name);
    let bytes = fs_err::read(&path).map_err(|error| error.to_string())?;
    Painting::new(bytes).map_err(|problem| format!("{}: {problem}", path.display()))
}

/// Fetches an image from where an endpoint says it is. The role's key is not sent there.
///
/// Errors: what went wrong last; the address is left out, since it may hold a secret.
pub(crate) async fn fetch(url: &str, settings: &RoleSettings) -> Result<Vec<u8>, String> {
    if !(url.starts_with("http://") || url.starts_with("https://")) {
        return Err("expected the image's address to begin with http:// or https://".to_owned());
    }
    let mut attempts = 0;
    loop {
        attempts += 1;
        match fetch_once(url, settings).await {
            Err(problem) if attempts > settings.max_retries => {
                return Err(format!("the image cannot be fetched: {problem} (tried {attempts} times)"));
            }
            Err(_) => tokio::time::sleep(FETCH_BACKOFF).await,
            Ok(bytes) => return Ok(bytes),
        }
    }
}

async fn fetch_once(url: &str, settings: &RoleSettings) -> Result<Vec<u8>, String> {
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs_f64(settings.timeout))
        .build()
        .map_err(without_address)?;
    let response = client.get(url).send().await.map_err(without_address)?;
    let response = response.error_for_status().map_err(without_address)?;
    let mut stream = response.bytes_stream();
    let mut bytes = Vec::new();
    while let Some(piece) = stream.next().await {
        bytes.extend_from_slice(&piece.map_err(without_address)?);
        if bytes.len() > LARGEST_IMAGE {
            return Err(format!("expected at most {LARGEST_IMAGE} bytes"));
        }
    }
    Ok(bytes)
}

fn without_address(error: reqwest::Error) -> String {
    error.without_url().to_string()
}
