//! The ways in which a call goes wrong.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;

/// Longer than any test waits.
const FOR_EVER: Duration = Duration::from_hours(1);
/// Between two pieces of a slow answer.
const DRIP: Duration = Duration::from_millis(20);
const PIECES: usize = 6;

/// One way in which a call goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// 429 that says when to come again.
    TooManyUntil,
    /// 429 that does not.
    TooMany,
    /// 500.
    ServerError,
    /// No answer at all.
    Hang,
    /// The connection ends in the middle of the answer.
    Cut,
    /// An answer that is no JSON.
    InvalidJson,
    /// A model's answer that is other JSON than was requested.
    WrongSchema,
    /// A model's answer in words.
    Refusal,
    /// The right answer, a few bytes at a time.
    SlowDrip,
}

const FAILURES: [Failure; 9] = [
    Failure::TooManyUntil,
    Failure::TooMany,
    Failure::ServerError,
    Failure::Hang,
    Failure::Cut,
    Failure::InvalidJson,
    Failure::WrongSchema,
    Failure::Refusal,
    Failure::SlowDrip,
];

/// What goes wrong when a request is made for the n-th time; nothing, most times.
pub(crate) fn failure(request: &[u8; 32], times: usize, faulty: u64) -> Option<Failure> {
    let [chance, kind] = [0, 1].map(|at| u64::from(request[(times * 2 + at) % request.len()]) * 37 + times as u64 * 11);
    (chance % 100 < faulty).then(|| FAILURES[kind as usize % FAILURES.len()])
}

impl Failure {
    /// Whether the endpoint has done its work and wants to be paid.
    pub(crate) fn is_paid_for(self) -> bool {
        matches!(self, Self::WrongSchema | Self::Refusal | Self::SlowDrip)
    }

    /// The spoiled response; `body` is what it would have been.
    pub(crate) async fn spoil(self, body: String) -> Response {
        match self {
            Self::TooManyUntil => {
                (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "0.05")], "slow down").into_response()
            }
            Self::TooMany => (StatusCode::TOO_MANY_REQUESTS, "slow down").into_response(),
            Self::ServerError => {
                (StatusCode::INTERNAL_SERVER_ERROR, "{\"error\":{\"message\":\"sorry\"}}").into_response()
            }
            Self::Hang => {
                tokio::time::sleep(FOR_EVER).await;
                StatusCode::GATEWAY_TIMEOUT.into_response()
            }
            Self::Cut => {
                let half = Bytes::copy_from_slice(&body.as_bytes()[..body.len() / 2]);
                let pieces = [Ok(half), Err(std::io::Error::other("cut"))];
                Body::from_stream(futures_util::stream::iter(pieces)).into_response()
            }
            Self::InvalidJson => format!("{body}}}{{").into_response(),
            Self::SlowDrip => {
                let length = body.len().div_ceil(PIECES);
                let pieces: Vec<Bytes> = body.into_bytes().chunks(length).map(Bytes::copy_from_slice).collect();
                let dripping = futures_util::stream::iter(pieces).then(|piece| async {
                    tokio::time::sleep(DRIP).await;
                    Ok::<_, std::io::Error>(piece)
                });
                Body::from_stream(dripping).into_response()
            }
            Self::WrongSchema | Self::Refusal => body.into_response(),
        }
    }
}
