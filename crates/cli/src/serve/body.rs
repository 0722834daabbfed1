//! The body of a request: read within bounds of size and time.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use http_body_util::BodyExt;
use tokio::time::timeout;

use super::error::ApiError;

/// A body must be there after this long.
const READ_TIME: Duration = Duration::from_mins(1);
/// So much of an unwanted body is still taken in, for so long: clients that are cut off while they send often do not
/// read why.
const DISCARDED_BYTES: usize = 64 << 20;
const DISCARD_TIME: Duration = Duration::from_secs(2);

/// Reads a body of at most `most` bytes.
///
/// Errors: 413 for more, 408 when it does not come, 400 when it breaks off.
pub async fn read(mut body: Body, most: usize) -> Result<Vec<u8>, ApiError> {
    let read = timeout(READ_TIME, up_to(&mut body, most)).await;
    match read {
        Ok(Ok(Some(bytes))) => Ok(bytes),
        Ok(Ok(None)) => {
            discard(body).await;
            let problem = format!("expected at most {most} bytes, got more");
            Err(ApiError::request(StatusCode::PAYLOAD_TOO_LARGE, "too_large", problem))
        }
        Ok(Err(error)) => {
            let problem = format!("expected a whole body: {error}");
            Err(ApiError::request(StatusCode::BAD_REQUEST, "broken_body", problem))
        }
        Err(_) => {
            let problem = format!("expected its body within {} s", READ_TIME.as_secs());
            Err(ApiError::request(StatusCode::REQUEST_TIMEOUT, "timeout", problem))
        }
    }
}

/// Lets a body pass that nobody wants.
pub async fn discard(mut body: Body) {
    let pass = async {
        let mut n_bytes = 0;
        while let Some(Ok(frame)) = body.frame().await {
            n_bytes += frame.data_ref().map_or(0, Bytes::len);
            if n_bytes > DISCARDED_BYTES {
                break;
            }
        }
    };
    let _ = timeout(DISCARD_TIME, pass).await;
}

/// The body's bytes; none if there are more than `most`.
async fn up_to(body: &mut Body, most: usize) -> Result<Option<Vec<u8>>, axum::Error> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Some(data) = frame?.data_ref() {
            if bytes.len() + data.len() > most {
                return Ok(None);
            }
            bytes.extend_from_slice(data);
        }
    }
    Ok(Some(bytes))
}
