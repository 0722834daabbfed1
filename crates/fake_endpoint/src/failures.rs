//! The ways in which a call goes wrong.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use serde_json::json;

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
    /// A proxy's page, 502.
    BadGateway,
    /// 403 that says that a filter stopped the input.
    Flagged,
    /// The right answer as an event stream.
    EventStream,
    /// An answer that an error broke off: 200, and the choice says so.
    BrokenOff,
    /// An answer of no letters.
    EmptyReply,
    /// A draft of the answer in thoughts that the token limit cut off.
    CutDraft,
    /// The right answer after thoughts with a draft in them.
    Thoughts,
}

/// Right by its form and wrong in all else.
pub(crate) const DRAFT: &str = r#"The form would be {"perception_level": "L1", "safe": true}. But"#;

const FAILURES: [Failure; 16] = [
    Failure::TooManyUntil,
    Failure::TooMany,
    Failure::ServerError,
    Failure::Hang,
    Failure::Cut,
    Failure::InvalidJson,
    Failure::WrongSchema,
    Failure::Refusal,
    Failure::SlowDrip,
    Failure::BadGateway,
    Failure::Flagged,
    Failure::EventStream,
    Failure::BrokenOff,
    Failure::EmptyReply,
    Failure::CutDraft,
    Failure::Thoughts,
];

/// What goes wrong when a request is made for the n-th time; nothing, most times.
pub(crate) fn failure(request: &[u8; 32], times: usize, faulty: u64) -> Option<Failure> {
    let [chance, kind] = [0, 1].map(|at| u64::from(request[(times * 2 + at) % request.len()]) * 37 + times as u64 * 11);
    (chance % 100 < faulty).then(|| FAILURES[kind as usize % FAILURES.len()])
}

impl Failure {
    /// Whether the endpoint has done its work and wants to be paid.
    pub(crate) fn is_paid_for(self) -> bool {
        match self {
            Self::TooManyUntil | Self::TooMany | Self::ServerError | Self::BadGateway | Self::Flagged => false,
            Self::Hang | Self::Cut | Self::InvalidJson => false,
            Self::WrongSchema | Self::Refusal | Self::SlowDrip | Self::EventStream => true,
            Self::BrokenOff | Self::EmptyReply | Self::CutDraft | Self::Thoughts => true,
        }
    }

    /// What the model says where it should have said `answer`.
    pub(crate) fn said(self, answer: String) -> String {
        match self {
            Self::WrongSchema => json!({ "verdict": "fine" }).to_string(),
            Self::Refusal => "I cannot judge that.".to_owned(),
            Self::EmptyReply => String::new(),
            Self::CutDraft => format!("<think>{DRAFT}"),
            Self::Thoughts => format!("<think>{DRAFT} no.</think>{answer}"),
            Self::BrokenOff => DRAFT.to_owned(),
            _ => answer,
        }
    }

    /// How it is said that the answer ended.
    pub(crate) fn finish_reason(self) -> &'static str {
        match self {
            Self::BrokenOff => "error",
            Self::CutDraft => "length",
            _ => "stop",
        }
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
            Self::BadGateway => {
                let page = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>";
                (StatusCode::BAD_GATEWAY, [("content-type", "text/html")], page).into_response()
            }
            Self::Flagged => {
                let problem = json!({ "error": { "code": 403, "message": "the input was flagged" } });
                (StatusCode::FORBIDDEN, problem.to_string()).into_response()
            }
            Self::EventStream => {
                let events = format!(": hello\n\ndata: {body}\n\ndata: [DONE]\n\n");
                ([("content-type", "text/event-stream")], events).into_response()
            }
            Self::WrongSchema | Self::Refusal => body.into_response(),
            Self::BrokenOff | Self::EmptyReply | Self::CutDraft | Self::Thoughts => body.into_response(),
        }
    }
}
