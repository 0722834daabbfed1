//! The body of a request: read within bounds of size and time.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::StatusCode;
use futures_util::StreamExt;
use tokio::time::timeout;

use super::api_error::ApiError;

/// A body must be there after this long.
const READ_TIME: Duration = Duration::from_mins(1);
/// So much of an unwanted body is still taken in, for so long: clients that are disconnected while they send often do
/// not read why.
const DISCARDED_BYTES: usize = 64 << 20;
const DISCARD_TIME: Duration = Duration::from_secs(2);

/// Reads a body of at most `most` bytes.
///
/// Errors: 413 for more, 408 when it does not come, 400 when it breaks off.
pub async fn read(body: Body, most: usize) -> Result<Vec<u8>, ApiError> {
    let mut stream = body.into_data_stream();
    match timeout(READ_TIME, up_to(&mut stream, most)).await {
        Ok(Ok(Some(bytes))) => Ok(bytes),
        Ok(Ok(None)) => {
            discard_rest(stream).await;
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

/// Takes in a body that nobody wants.
pub async fn discard(body: Body) {
    discard_rest(body.into_data_stream()).await;
}

async fn discard_rest(mut stream: BodyDataStream) {
    let mut n_bytes = 0;
    let pass = async {
        while let Some(Ok(data)) = stream.next().await {
            n_bytes += data.len();
            if n_bytes > DISCARDED_BYTES {
                break;
            }
        }
    };
    let _ = timeout(DISCARD_TIME, pass).await;
}

/// The body's bytes; none if there are more than `most`.
async fn up_to(stream: &mut BodyDataStream, most: usize) -> Result<Option<Vec<u8>>, axum::Error> {
    let mut bytes = Vec::new();
    while let Some(data) = stream.next().await {
        let data = data?;
        if bytes.len() + data.len() > most {
            return Ok(None);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Some(bytes))
}
