//! One call: sent, read, and tried again while that makes sense.

use std::error::Error;
use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use tokio::time::Instant;

use crate::address::Address;
use crate::body::WireBody;
use crate::body_error::{BodyError, is_out_of_files};
use crate::budget::{Outcome, Usage};
use crate::key::Key;
use crate::pace::{Pace, Permit};
use crate::secrets::Secrets;
use crate::settings::RoleSettings;
use crate::tried::{Tried, quote};
use crate::verb::Verb;

/// The first wait before a call is tried again; doubled each time.
const FIRST_BACKOFF: Duration = Duration::from_millis(500);
/// The longest wait that the endpoint does not ask for.
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);
/// What OpenAI calls a 429 that no waiting mends.
const NOTHING_LEFT: &str = "insufficient_quota";

/// How a call ended, and how many tries it took.
pub(crate) enum Called {
    Ended(Outcome, usize),
    Unusable(String),
    /// It was left without an answer, since nothing further is to be done: no failure of its own.
    Stopped,
}

/// The way to a role's endpoint.
pub(crate) struct Wire {
    pub settings: RoleSettings,
    pub address: Address,
    pub secrets: Secrets,
    pub http: reqwest::Client,
    pub pace: Pace,
    /// Whether the user wants to stop.
    pub wants_stop: fn() -> bool,
}

/// The tries of one call.
#[derive(Default)]
struct Tries {
    made: usize,
    /// Those at which the endpoint failed.
    failed: usize,
    /// Those that the endpoint did not take, and when the first was.
    throttled: usize,
    waiting_since: Option<Instant>,
}

/// What follows from a try.
enum Next {
    End(Called),
    TryAfter(Duration),
}

impl Wire {
    /// Makes a call, again and again until it is answered, refused or tried often enough.
    pub async fn call(&self, verb: &Verb, body: &WireBody, key: &Key, expected: Usage) -> Called {
        let expected = expected.tokens() as f64;
        let mut tries = Tries::default();
        loop {
            let Some(permit) = self.pace.admit(expected).await else {
                return Called::Stopped;
            };
            let tried = self.send(verb, body).await;
            tries.made += 1;
            match self.next(tried, &mut tries, &permit, key, expected) {
                Next::End(called) => return called,
                Next::TryAfter(_) if self.is_stopping() => return Called::Stopped,
                Next::TryAfter(time) => {
                    drop(permit);
                    self.pace.rest(time).await;
                }
            }
        }
    }

    /// Whether no further try is to be made, nor a failure to be held against a request.
    fn is_stopping(&self) -> bool {
        self.pace.is_ending() || (self.wants_stop)()
    }

    fn next(&self, tried: Tried, tries: &mut Tries, permit: &Permit, key: &Key, expected: f64) -> Next {
        match tried {
            Tried::Ended(outcome) => {
                self.pace.correct(expected, outcome.usage.tokens() as f64);
                self.pace.answered();
                Next::End(Called::Ended(outcome, tries.made))
            }
            Tried::Unusable(reason) => Next::End(Called::Unusable(reason)),
            Tried::Failed(reason) => {
                tries.failed += 1;
                if tries.failed > self.settings.max_retries {
                    return self.give_up(&reason, tries);
                }
                Next::TryAfter(backoff(tries.failed, key))
            }
            Tried::Throttled { reason, pause } => {
                self.pace.correct(expected, 0.0);
                self.pace.throttle(permit, pause.unwrap_or_default());
                self.throttled(&reason, pause.unwrap_or_default(), tries, key)
            }
            Tried::Unreachable(reason) => {
                self.pace.correct(expected, 0.0);
                let seconds = self.pace.unreachable().as_secs_f64();
                if seconds < self.settings.max_outage {
                    return Next::TryAfter(Duration::ZERO);
                }
                Next::End(Called::Unusable(format!("out of reach for {seconds:.0} s: {reason}")))
            }
        }
    }

    /// Waits for an endpoint that takes no further calls, as long as that is worth it.
    fn throttled(&self, reason: &str, pause: Duration, tries: &mut Tries, key: &Key) -> Next {
        tries.throttled += 1;
        let pause = pause.max(backoff(tries.throttled, key));
        let since = *tries.waiting_since.get_or_insert_with(Instant::now);
        let max_wait = self.settings.max_wait;
        if (since.elapsed() + pause).as_secs_f64() <= max_wait {
            return Next::TryAfter(pause);
        }
        // Where no call is taken, it is nothing that the request has done.
        if (self.pace.silence() + pause).as_secs_f64() > max_wait {
            let problem = format!("it is rate limited for longer than max_wait, which is {max_wait} s: {reason}");
            return Next::End(Called::Unusable(problem));
        }
        self.give_up(reason, tries)
    }

    fn give_up(&self, reason: &str, tries: &Tries) -> Next {
        if self.is_stopping() {
            return Next::End(Called::Stopped);
        }
        let outcome = Outcome::failed(format!("{reason} (tried {} times)", tries.made));
        Next::End(Called::Ended(outcome, tries.made))
    }

    async fn send(&self, verb: &Verb, body: &WireBody) -> Tried {
        let length = match body.length() {
            Ok(length) => length,
            Err(BodyError::Image(reason)) => return Tried::Failed(reason),
            Err(BodyError::TooManyFiles(reason)) => return Tried::Throttled { reason, pause: None },
        };
        let request = self
            .http
            .post(self.address.below(verb.path()))
            .header(CONTENT_TYPE, "application/json")
            // Streams would go out in chunks, which the simplest servers do not read.
            .header(CONTENT_LENGTH, length)
            .body(body.to_wire());
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return self.not_sent(error),
        };
        self.pace.reached();
        let (status, pause) = (response.status(), retry_after(response.headers()));
        let bytes = match response.bytes().await {
            Ok(bytes) => bytes,
            Err(error) => return Tried::Failed(self.describe(error)),
        };
        let text = self.secrets.hide(String::from_utf8_lossy(&bytes));
        if status.is_success() {
            return verb.read(&text, body, &self.secrets, &self.settings).await;
        }
        refused(status, pause, &text)
    }

    fn not_sent(&self, error: reqwest::Error) -> Tried {
        if is_out_of_files(&error) {
            let reason = self.describe(error);
            return Tried::Throttled { reason, pause: None };
        }
        let is_unreachable = error.is_connect();
        let reason = self.describe(error);
        if is_unreachable { Tried::Unreachable(reason) } else { Tried::Failed(reason) }
    }

    /// The error and what caused it, without the address, which may hold a secret.
    pub fn describe(&self, error: reqwest::Error) -> String {
        let error = error.without_url();
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            text.push_str(&format!(": {inner}"));
            cause = inner.source();
        }
        self.secrets.hide(text).into_owned()
    }
}

/// What an endpoint means that does not answer.
fn refused(status: StatusCode, pause: Option<Duration>, text: &str) -> Tried {
    let reason = format!("{status}: {}", quote(text));
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => Tried::Unusable(reason),
        StatusCode::TOO_MANY_REQUESTS if text.contains(NOTHING_LEFT) => Tried::Unusable(reason),
        StatusCode::TOO_MANY_REQUESTS => Tried::Throttled { reason, pause },
        StatusCode::SERVICE_UNAVAILABLE if pause.is_some() => Tried::Throttled { reason, pause },
        StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT | StatusCode::TOO_EARLY => Tried::Failed(reason),
        status if status.is_server_error() => Tried::Failed(reason),
        _ => Tried::Ended(Outcome::failed(reason)),
    }
}

/// Doubled with every try, and spread by the request's key so that calls that failed together do not return together.
fn backoff(attempts: usize, key: &Key) -> Duration {
    let doubled = FIRST_BACKOFF.saturating_mul(1 << (attempts - 1).min(16));
    let spread = f64::from(key[attempts % key.len()]) / 255.0;
    doubled.min(LONGEST_BACKOFF).mul_f64(0.5 + 0.5 * spread)
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
