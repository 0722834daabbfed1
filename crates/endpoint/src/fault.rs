//! Whose failure it is that a call has no answer: one table, by the status and by what the response says.
//! `docs/judge.md` shows the same table.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::Value;

/// Whose failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The request's: it has no answer, others may have.
    Request,
    /// The request's too: the endpoint refuses it as harmful.
    Flagged,
    /// The account's, or the endpoint's with these settings: nobody is answered before something is changed.
    Account,
    /// The moment's: later the same request may be answered.
    Passing,
    /// The moment's, and the endpoint says that too many calls are made.
    Throttled,
}

/// Statuses that are not [`Fault::Passing`]: those of servers (5xx), 408, 409, 425 and what nobody knows are.
const BY_STATUS: [(RangeInclusive<u16>, Fault); 10] = [
    // Redirects that cannot be followed.
    (300..=399, Fault::Account),
    (400..=400, Fault::Request),
    // No key, no credit, forbidden, no such path or model, not called so.
    (401..=407, Fault::Account),
    (410..=411, Fault::Account),
    // Too long, too large, no such image.
    (413..=415, Fault::Request),
    (422..=422, Fault::Request),
    (426..=426, Fault::Account),
    (429..=429, Fault::Throttled),
    (431..=431, Fault::Request),
    (451..=451, Fault::Flagged),
];

/// Servers that are overloaded and say for how long do not want the same call again before that.
const OVERLOADED: [u16; 2] = [503, 529];

/// What is said where an account has nothing left, which no waiting mends. Rate limits say other words.
const NO_CREDIT: [&str; 11] = [
    "insufficient_quota",
    "insufficient quota",
    "insufficient balance",
    "insufficient credit",
    "insufficient funds",
    "credit balance is too low",
    "out of credits",
    "not enough credits",
    "billing_hard_limit",
    "exceeded_current_quota",
    "arrearage",
];
/// The same words stand in limits by the minute, which then say when to come again.
const QUOTA: &str = "exceeded your current quota";

/// What is said of a bad key, where the status is that of a bad request.
const BAD_KEY: [&str; 8] = [
    "invalid_api_key",
    "invalid api key",
    "incorrect api key",
    "api key not valid",
    "api_key_invalid",
    "api key expired",
    "invalid authentication",
    "authentication_error",
];

/// What is said of a model that is not there, under the same condition.
const NO_MODEL: [&str; 7] = [
    "model_not_found",
    "model not found",
    "model not exist",
    "not a valid model",
    "unknown model",
    "no such model",
    "invalid model name",
];
/// A model's name may stand between.
const NOT_THERE: [&str; 3] = ["does not exist", "not found", "not exist"];
/// Most bytes between "model" and the words that it is not there.
const LONGEST_NAME: usize = 100;

/// What is said of an input that a filter stopped.
const FLAGGED: [&str; 16] = [
    "flagged",
    "moderation",
    "moderated",
    "content policy",
    "content_policy",
    "content filter",
    "content_filter",
    "content management policy",
    "safety system",
    "safety_check",
    "guardrail",
    "prohibited_content",
    "usage guidelines",
    "usage policies",
    "data_inspection_failed",
    "inappropriate content",
];
/// Words that say so of an input, and stand in other messages too.
const STOPPED: [&str; 5] = ["blocked", "rejected", "violat", "inappropriate", "unsafe"];
const INPUT: [&str; 5] = ["input", "prompt", "content", "message", "image"];
/// Whom a message concerns that is about no input.
const ACCOUNT: [&str; 7] = ["account", "api key", "api_key", "organization", "subscription", "your ip", "suspended"];

/// Letters of a message that are looked at: further down it may repeat the request.
const LETTERS_READ: usize = 300;

impl Fault {
    /// Whose failure a response without an answer is. `pause` is how long the endpoint wants to be left alone.
    pub fn of(status: u16, pause: Option<Duration>, text: &str) -> Self {
        let found = BY_STATUS.iter().find(|(statuses, _)| statuses.contains(&status));
        let body = serde_json::from_str(text).unwrap_or_default();
        let words = words(&body, text);
        match found.map_or(Self::Passing, |(_, fault)| *fault) {
            // A proxy's page says nothing of the request, unless it is too large for the proxy.
            Self::Request if is_page(text) && !(413..=414).contains(&status) => Self::Passing,
            Self::Request if status == 400 && is_of_account(&words) => Self::Account,
            Self::Request if body.is_object() && says_flagged(&body, &words) => Self::Flagged,
            Self::Account if status == 403 && flags_input(&body, &words) => Self::Flagged,
            Self::Throttled if has_no_credit(&words, pause) => Self::Account,
            Self::Passing if pause.is_some() && OVERLOADED.contains(&status) => Self::Throttled,
            fault => fault,
        }
    }
}

/// Whether a text is a page for people.
pub(crate) fn is_page(text: &str) -> bool {
    let start: String = text.trim_start().chars().take(15).collect::<String>().to_ascii_lowercase();
    start.starts_with("<!doctype html") || start.starts_with("<html") || start.starts_with("<head")
}

/// The message, the code and the kind of an error, in small letters.
fn words(body: &Value, text: &str) -> String {
    let mut words = message(body).unwrap_or(text).chars().take(LETTERS_READ).collect::<String>();
    for place in [body, &body["error"]] {
        for name in ["code", "type", "status"] {
            if let Some(word) = place[name].as_str() {
                words.push('\n');
                words.push_str(word);
            }
        }
    }
    words.to_lowercase()
}

/// The message of an error, under the names that endpoints have for it.
pub(crate) fn message(body: &Value) -> Option<&str> {
    let error = &body["error"];
    let known =
        [&error["message"], error, &body["message"], &body["detail"], &body["msg"], &body["errors"][0]["message"]];
    known.into_iter().find_map(|text| text.as_str().filter(|text| !text.is_empty()))
}

fn has_any(words: &str, known: &[&str]) -> bool {
    known.iter().any(|known| words.contains(known))
}

fn has_no_credit(words: &str, pause: Option<Duration>) -> bool {
    has_any(words, &NO_CREDIT) || (words.contains(QUOTA) && pause.is_none() && !words.contains("retry in"))
}

fn is_of_account(words: &str) -> bool {
    has_any(words, &NO_CREDIT) || has_any(words, &BAD_KEY) || has_any(words, &NO_MODEL) || is_without_model(words)
}

/// Whether it says "model NAME does not exist" or the like.
fn is_without_model(words: &str) -> bool {
    let Some((_, after)) = words.split_once("model") else {
        return false;
    };
    let end = NOT_THERE.iter().filter_map(|said| after.find(said)).min();
    end.is_some_and(|end| end <= LONGEST_NAME && !after[..end].contains('\n'))
}

fn flags_input(body: &Value, words: &str) -> bool {
    if !body.is_object() || has_any(words, &ACCOUNT) {
        return false;
    }
    says_flagged(body, words) || (has_any(words, &STOPPED) && has_any(words, &INPUT))
}

fn says_flagged(body: &Value, words: &str) -> bool {
    !body["error"]["metadata"]["flagged_input"].is_null() || has_any(words, &FLAGGED)
}

/// Whether an error, in the body of a response, says that a filter stopped something.
pub(crate) fn is_flagged(body: &Value) -> bool {
    says_flagged(body, &words(body, &body.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(status: u16, pause: Option<u64>, body: &str, expected: Fault) {
        assert_eq!(Fault::of(status, pause.map(Duration::from_secs), body), expected, "{status} {body}");
    }

    fn says(status: u16, message: &str, expected: Fault) {
        check(status, None, &json!({ "error": { "message": message } }).to_string(), expected);
        check(status, None, &json!({ "detail": message }).to_string(), expected);
    }

    #[test]
    fn the_status_says_whose_failure_it_is() {
        use Fault::{Account, Flagged, Passing, Request, Throttled};
        for (fault, statuses) in [
            (Request, &[400, 413, 422][..]),
            (Flagged, &[451]),
            (Account, &[301, 302, 303, 307, 401, 402, 403, 404, 405, 407, 410]),
            (Passing, &[204, 408, 409, 418, 424, 425, 499, 500, 501, 502, 503, 504, 520, 524, 529]),
            (Throttled, &[429]),
        ] {
            for status in statuses {
                check(*status, None, r#"{"error":{"message":"no"}}"#, fault);
            }
        }
        check(503, Some(1), "busy", Throttled);
        check(502, Some(1), "busy", Passing);
        let page = "<html><head><title>Sorry, you have been blocked</title></head></html>";
        for (status, fault) in
            [(200, Passing), (400, Passing), (403, Account), (404, Account), (413, Request), (502, Passing)]
        {
            check(status, None, page, fault);
        }
    }

    #[test]
    fn what_is_said_decides_where_a_status_has_two_meanings() {
        use Fault::{Account, Flagged, Request, Throttled};
        for (status, fault, messages) in [
            (
                400,
                Account,
                &[
                    "API key not valid. Please pass a valid API key.",
                    "The model `gpt-9.1` does not exist",
                    "Model Not Exist",
                    "some/name is not a valid model ID",
                    "Your credit balance is too low to access the API",
                ][..],
            ),
            (
                400,
                Request,
                &[
                    "This model's maximum context length is 4096 tokens. However, you requested 5000.",
                    "Unsupported parameter: 'max_tokens' is not supported with this model.",
                    "Could not download the image: not found",
                ],
            ),
            (
                400,
                Flagged,
                &[
                    "The response was filtered due to the prompt triggering our content management policy",
                    "Input data may contain inappropriate content.",
                ],
            ),
            (
                403,
                Flagged,
                &[
                    "The chosen model requires moderation and the input was flagged",
                    "Prompt blocked",
                    "Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE",
                    "request rejected: inappropriate content",
                ],
            ),
            (
                403,
                Account,
                &[
                    "Country, region, or territory not supported",
                    "Your account was flagged for review",
                    "Access to this organization has been blocked",
                    "Incorrect permissions",
                ],
            ),
            (429, Account, &["You exceeded your current quota, please check your plan", "insufficient balance"]),
            (
                429,
                Throttled,
                &[
                    "Rate limit reached for m: Limit 3, add a payment method in your account's billing settings",
                    "You exceeded your current quota. Please retry in 38s.",
                    "Too many requests",
                ],
            ),
        ] {
            for message in messages {
                says(status, message, fault);
            }
        }
        let coded = json!({ "error": { "message": "no", "code": "insufficient_quota" } }).to_string();
        check(429, Some(1), &coded, Account);
        check(429, Some(1), r#"{"error":"You exceeded your current quota"}"#, Throttled);
        let echoed = json!({ "error": { "message": "no", "metadata": { "flagged_input": "my account" } } });
        check(403, None, &echoed.to_string(), Flagged);
        let repeats = format!("bad field: {}model x does not exist", "a ".repeat(LETTERS_READ));
        says(400, &repeats, Request);
    }
}
