//! How one try of a call ended.

use std::time::Duration;

use serde_json::Value;

use crate::budget::Outcome;

/// How much of a response that holds no answer is quoted.
const QUOTED_LETTERS: usize = 200;

/// How one try ended.
pub(crate) enum Tried {
    /// With an answer, or in a way in which another try would end too.
    Ended(Outcome),
    /// The endpoint failed, and may be better later.
    Failed(String),
    /// No further calls are taken at the moment; where the endpoint says for how long, that too.
    Throttled { reason: String, pause: Option<Duration> },
    /// Nobody listens at the address.
    Unreachable(String),
    /// The endpoint cannot be used by anyone with these settings.
    Unusable(String),
}

/// The beginning of a response, or the message in it.
pub(crate) fn quote(text: &str) -> String {
    let response = serde_json::from_str::<Value>(text).unwrap_or_default();
    let message = response["error"]["message"].as_str().or(response["message"].as_str());
    let text = message.unwrap_or(text);
    let mut quoted: String = text.chars().take(QUOTED_LETTERS).collect();
    if quoted.len() < text.len() {
        quoted.push('…');
    }
    quoted
}
