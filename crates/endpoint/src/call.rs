//! One call: sent, read, and tried again while that makes sense.

use std::time::{Duration, SystemTime};

use align::chat::{ChatAnswer, Unanswered};
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Body, StatusCode};
use serde_json::Value;

use crate::body::{Key, WireBody};
use crate::pace::Pace;
use crate::settings::RoleSettings;
use crate::verb::Verb;

/// The first wait before a call is tried again; doubled each time.
const FIRST_BACKOFF: Duration = Duration::from_millis(500);
/// The longest wait that is not asked for.
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);
/// The longest wait that an endpoint may ask for.
const LONGEST_PAUSE: Duration = Duration::from_mins(10);
/// How much of an answer that is none is quoted.
const QUOTED_LETTERS: usize = 200;

/// How one try ended.
pub(crate) enum Tried {
    Answered(ChatAnswer),
    /// The request itself is at fault; another try would end the same.
    Refused(String),
    /// The endpoint is at fault, and may be better later.
    Failed {
        reason: String,
        pause: Option<Duration>,
    },
    /// The endpoint cannot be used by anyone with these settings.
    Unusable(String),
}

/// How a call ended, and how many tries it took.
pub(crate) enum Called {
    Ended(Result<ChatAnswer, Unanswered>, usize),
    Unusable(String),
}

/// Makes a call, again and again until it is answered, refused or tried often enough.
pub(crate) async fn call(
    http: &reqwest::Client,
    settings: &RoleSettings,
    pace: &Pace,
    (verb, body): (&Verb, &WireBody),
    key: &Key,
    expected_tokens: f64,
) -> Called {
    let mut attempts = 0;
    loop {
        pace.admit(expected_tokens).await;
        attempts += 1;
        let (reason, pause) = match send(http, settings, verb, body).await {
            Tried::Answered(answer) => {
                pace.correct(
                    expected_tokens,
                    (answer.prompt_tokens + answer.completion_tokens) as f64,
                );
                return Called::Ended(Ok(answer), attempts);
            }
            Tried::Refused(reason) => return Called::Ended(Err(Unanswered { reason }), attempts),
            Tried::Unusable(reason) => return Called::Unusable(reason),
            Tried::Failed { reason, pause } => (reason, pause),
        };
        if attempts > settings.max_retries {
            let reason = format!("{reason} (tried {attempts} times)");
            return Called::Ended(Err(Unanswered { reason }), attempts);
        }
        match pause {
            // Whoever else wants to call waits too.
            Some(pause) => pace.pause(pause.min(LONGEST_PAUSE)),
            None => tokio::time::sleep(backoff(attempts, key)).await,
        }
    }
}

/// Doubled with every try, and spread by the request's key so that calls that failed together do not return together.
fn backoff(attempts: usize, key: &Key) -> Duration {
    let doubled = FIRST_BACKOFF.saturating_mul(1 << (attempts - 1).min(16));
    let spread = f64::from(key[attempts % key.len()]) / 255.0;
    doubled.min(LONGEST_BACKOFF).mul_f64(0.5 + 0.5 * spread)
}

async fn send(http: &reqwest::Client, settings: &RoleSettings, verb: &Verb, body: &WireBody) -> Tried {
    let url = format!("{}/{}", settings.url.trim_end_matches('/'), verb.path());
    let stream = futures_util::stream::iter(body.clone().into_stream());
    let request = http
        .post(url)
        .header(CONTENT_TYPE, "application/json")
        .body(Body::wrap_stream(stream));
    let failed = |error: reqwest::Error| Tried::Failed {
        reason: describe(error),
        pause: None,
    };
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) => return failed(error),
    };
    let (status, pause) = (response.status(), retry_after(response.headers()));
    let bytes = match response.bytes().await {
        Ok(bytes) => bytes,
        Err(error) => return failed(error),
    };
    if status.is_success() {
        return verb.read(&bytes, settings).await;
    }
    let reason = format!("{status}: {}", quote(&bytes));
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => Tried::Unusable(reason),
        StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
            Tried::Failed { reason, pause }
        }
        status if status.is_server_error() => Tried::Failed { reason, pause },
        _ => Tried::Refused(reason),
    }
}

/// How long an endpoint wants to be left alone: seconds, or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

/// The error and what caused it, without the address, which may hold a secret.
fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        text.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    text
}

/// The beginning of a response, or the message in it.
pub(crate) fn quote(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let message = serde_json::from_str::<Value>(&text).ok().and_then(|value| {
        let message = value["error"]["message"].as_str().or(value["message"].as_str());
        message.map(str::to_owned)
    });
    let text = message.unwrap_or_else(|| text.into_owned());
    let mut quoted: String = text.chars().take(QUOTED_LETTERS).collect();
    if quoted.len() < text.len() {
        quoted.push('…');
    }
    quoted
}
