//! How one try of a call ended.

use std::time::Duration;

use align::chat::Unanswered;
use diagnostic::excerpt;
use reqwest::StatusCode;
use serde_json::Value;

use crate::budget::Outcome;
use crate::fault::{Fault, is_page, message};

/// How one try ended.
pub(crate) enum Tried {
    /// With an answer, or in a way in which another try would end too.
    Ended(Outcome),
    /// The endpoint failed, and may be better later. A status of its own (500), a time-out and a
    /// response that is wrong show that a server took the request; what a proxy says does not.
    Failed { reason: String, is_handled: bool },
    /// No further calls are taken at the moment; where the endpoint says for how long, that too.
    Throttled { reason: String, pause: Option<Duration> },
    /// Nobody listens at the address.
    Unreachable(String),
    /// The endpoint cannot be used by anyone with these settings.
    Unusable(String),
    /// The request cannot be sent, which says nothing of the endpoint.
    Unsendable(String),
}

/// The number of a status, and its name where it has one.
fn shown_status(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("{} {reason}", status.as_u16()),
        None => status.as_u16().to_string(),
    }
}

impl Tried {
    /// A try that came back without an answer.
    pub fn refused(status: StatusCode, pause: Option<Duration>, text: &str) -> Self {
        let reason = format!("{}: {}", shown_status(status), quote_response(text));
        match Fault::of(status.as_u16(), pause, text) {
            Fault::Request => Self::Ended(Outcome::failed(reason)),
            Fault::Flagged => Self::Ended(Outcome::of(Unanswered::refused(reason))),
            Fault::Account => Self::Unusable(reason),
            Fault::Passing => {
                Self::Failed { reason, is_handled: status == StatusCode::INTERNAL_SERVER_ERROR && !is_page(text) }
            }
            Fault::Throttled => Self::Throttled { reason, pause },
        }
    }

    /// A try that came back with an error in the body of a success. Its code is a status with most gateways.
    pub fn error_in_body(error: &Value, text: &str) -> Self {
        let code = [&error["code"], &error["status"], &error["status_code"]].into_iter().find_map(number);
        let kind = [&error["type"], &error["code"], &error["status"]].map(|word| word.as_str().unwrap_or_default());
        let kind = kind.join(" ").to_lowercase();
        let named = STATUS_BY_NAME.iter().find(|(name, _)| kind.contains(name)).map(|(_, status)| *status);
        let status = code.or(named).unwrap_or(500);
        Self::refused(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), None, text)
    }
}

/// What errors without a status mean by their names.
const STATUS_BY_NAME: [(&str, u16); 12] = [
    ("insufficient_quota", 429),
    ("rate_limit", 429),
    ("resource_exhausted", 429),
    ("invalid_request", 400),
    ("invalid_argument", 400),
    ("context_length", 400),
    ("content_filter", 400),
    ("content_policy", 400),
    ("authenticat", 401),
    ("api_key", 401),
    ("permission", 403),
    ("not_found", 404),
];

/// The status in a number or its digits.
fn number(code: &Value) -> Option<u16> {
    let number = code.as_u64().or_else(|| code.as_str()?.parse().ok())?;
    u16::try_from(number).ok().filter(|number| (400..600).contains(number))
}

/// The beginning of a response, or the message in it; of a page its title.
pub(crate) fn quote_response(text: &str) -> String {
    if is_page(text) {
        let title = text.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>"));
        return title
            .map_or_else(|| "an HTML page".to_owned(), |(title, _)| format!("the page \"{}\"", excerpt(title)));
    }
    let response = serde_json::from_str::<Value>(text).unwrap_or_default();
    match message(&response) {
        Some(message) => with_details(message, &response["error"]),
        None => excerpt(text),
    }
}

/// An error's message.
pub(crate) fn quote_error(error: &Value) -> String {
    match error["message"].as_str().or(error.as_str()) {
        Some(message) => with_details(message, error),
        None => excerpt(&error.to_string()),
    }
}

/// A message with what a gateway passes on from the provider behind it.
fn with_details(message: &str, error: &Value) -> String {
    match error["metadata"]["raw"].as_str() {
        Some(raw) => excerpt(&format!("{message} ({raw})")),
        None => excerpt(message),
    }
}
