//! One call: sent, read, and tried again while that makes sense.

use std::error::Error;
use std::time::{Duration, SystemTime};

use futures_util::StreamExt;
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Response, StatusCode, Url};
use tokio::time::Instant;

use crate::address::{Address, is_same_host, redirected, shown};
use crate::body::WireBody;
use crate::body_error::{BodyError, is_out_of_files};
use crate::budget::{Outcome, Usage};
use crate::key::Key;
use crate::pace::{InProgress, LeftOver, Outage, Pace, Permit};
use crate::secrets::Secrets;
use crate::settings::RoleSettings;
use crate::tried::Tried;
use crate::verb::Verb;

/// The first wait before a call is tried again; doubled each time.
const FIRST_BACKOFF: Duration = Duration::from_millis(500);
/// The longest wait that the endpoint does not ask for.
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);
/// How often a call is sent elsewhere.
const MOST_REDIRECTS: usize = 5;
/// The largest response that is read, in bytes: an image of 64 MB in base64 fits.
const LARGEST_RESPONSE: usize = 128 << 20;

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
    /// The header that proves who calls.
    pub authorization: Option<HeaderValue>,
    pub pace: Pace,
    /// Whether the user wants to stop.
    pub wants_stop: fn() -> bool,
}

/// The tries of one call.
struct Tries<'a> {
    call: InProgress<'a>,
    made: usize,
    /// Those at which the endpoint failed, and when it did first.
    failed: usize,
    failing_since: Option<Instant>,
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
        let call = self.pace.enter();
        let mut tries = Tries { call, made: 0, failed: 0, failing_since: None, throttled: 0, waiting_since: None };
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
            Tried::Unsendable(reason) => Next::End(Called::Ended(Outcome::failed(reason), tries.made)),
            Tried::Failed { reason, is_handled } => self.failed(&reason, is_handled, tries, key),
            Tried::Throttled { reason, pause } => {
                self.pace.correct(expected, 0.0);
                self.pace.throttle(permit, pause.unwrap_or_default());
                self.throttled(&reason, pause.unwrap_or_default(), tries, key)
            }
            Tried::Unreachable(reason) => {
                self.pace.correct(expected, 0.0);
                self.outage("out of reach", &reason, false, tries)
            }
        }
    }

    /// Tries again what the endpoint failed at. After the last try it is the request's own failure where others were
    /// answered meanwhile. Where nobody was, it is an outage as far as is known, and another call may begin to find out.
    fn failed(&self, reason: &str, is_handled: bool, tries: &mut Tries, key: &Key) -> Next {
        self.pace.failed();
        tries.failed += 1;
        let since = *tries.failing_since.get_or_insert_with(Instant::now);
        let is_last = tries.failed > self.settings.max_retries;
        let answers_others = self.pace.has_answered_since(since);
        if is_last && answers_others {
            return self.give_up(reason, tries);
        }
        if !answers_others && (is_last || self.pace.parked() > 0) {
            tries.call.park();
            if self.pace.is_alone_under_way() {
                return self.outage("without an answer", reason, is_handled, tries);
            }
        }
        Next::TryAfter(backoff(tries.failed, key))
    }

    /// Waits for an endpoint that answers nobody, for `max_outage` at most. `is_handled` says whether a server took the
    /// request and failed at it, which is no sign that it would fail at others.
    fn outage(&self, state: &str, reason: &str, is_handled: bool, tries: &mut Tries) -> Next {
        let Outage { lasted, pause } = self.pace.probe();
        let seconds = lasted.as_secs_f64();
        if seconds < self.settings.max_outage {
            // Calls that have not been tried go first: one of them may be answered.
            return Next::TryAfter(if tries.call.is_parked { 2 * pause } else { Duration::ZERO });
        }
        // Requests that are left over where all others were answered are not to stop the work whenever it is repeated.
        let is_own = match self.pace.left_over(tries.call.began) {
            LeftOver::Alone => true,
            LeftOver::WithOthers => is_handled,
            LeftOver::No => false,
        };
        if tries.failed > self.settings.max_retries && is_own {
            return self.give_up(reason, tries);
        }
        Next::End(Called::Unusable(format!("{state} for {seconds:.0} s: {reason}")))
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
        let response = match self.post(self.address.below(verb.path()), body).await {
            Ok(response) => response,
            Err(tried) => return tried,
        };
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = match self.whole(response).await {
            Ok(bytes) => bytes,
            Err(tried) => return tried,
        };
        let text = self.secrets.hide(String::from_utf8_lossy(&bytes));
        if status.is_success() {
            let content_type = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
            return verb.read(&text, content_type, body, &self.secrets, &self.settings).await;
        }
        Tried::refused(status, retry_after(&headers), &text)
    }

    /// Sends a body, and once more wherever the endpoint says that it is to go; the key is told to the same host alone.
    ///
    /// Errors: the try, where there is no response to read.
    async fn post(&self, mut url: Url, body: &WireBody) -> Result<Response, Tried> {
        let mut authorization = self.authorization.as_ref();
        for _ in 0..=MOST_REDIRECTS {
            let length = match body.length() {
                Ok(length) => length,
                Err(BodyError::Image(reason)) => return Err(Tried::Unsendable(reason)),
                Err(BodyError::TooManyFiles(reason)) => return Err(Tried::Throttled { reason, pause: None }),
            };
            let mut request = self
                .http
                .post(url.clone())
                .header(CONTENT_TYPE, "application/json")
                // Streams would go out in chunks, which the simplest servers do not read.
                .header(CONTENT_LENGTH, length)
                .body(body.to_wire());
            if let Some(value) = authorization {
                request = request.header(AUTHORIZATION, value);
            }
            let response = request.send().await.map_err(|error| self.not_sent(error))?;
            let status = response.status();
            let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
            let Some(location) = location.filter(|_| status.is_redirection()) else {
                return Ok(response);
            };
            let to = redirected(&url, location).map_err(|to| Tried::Unusable(format!("{status}, to {to}")))?;
            // Others ask for another method, by which nothing is answered.
            if ![StatusCode::TEMPORARY_REDIRECT, StatusCode::PERMANENT_REDIRECT].contains(&status) {
                let to = self.secrets.hide(shown(to.as_str())).into_owned();
                return Err(Tried::Unusable(format!(
                    "{status}, to {to}: give that address as url if it is the endpoint's"
                )));
            }
            authorization = authorization.filter(|_| is_same_host(&url, &to));
            url = to;
        }
        Err(Tried::Unusable(format!("expected at most {MOST_REDIRECTS} redirects, got more")))
    }

    /// The body of a response.
    ///
    /// Errors: what went wrong, also where it is larger than any answer.
    async fn whole(&self, response: Response) -> Result<Vec<u8>, Tried> {
        let mut bytes = Vec::new();
        let mut pieces = response.bytes_stream();
        while let Some(piece) = pieces.next().await {
            bytes.extend_from_slice(&piece.map_err(|error| self.broken_off(error))?);
            if bytes.len() > LARGEST_RESPONSE {
                let problem = format!("expected a response of at most {LARGEST_RESPONSE} bytes, got a larger one");
                return Err(Tried::Failed { reason: problem, is_handled: true });
            }
        }
        Ok(bytes)
    }

    fn not_sent(&self, error: reqwest::Error) -> Tried {
        if is_out_of_files(&error) {
            let reason = self.describe(error);
            return Tried::Throttled { reason, pause: None };
        }
        if error.is_connect() { Tried::Unreachable(self.describe(error)) } else { self.broken_off(error) }
    }

    fn broken_off(&self, error: reqwest::Error) -> Tried {
        let is_handled = error.is_timeout();
        Tried::Failed { reason: self.describe(error), is_handled }
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
