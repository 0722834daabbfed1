//! The page's server: on this machine alone, for one reviewer.
//!
//! Only loopback is listened to; requests whose `Host` is not this server's (a name that someone pointed here) and
//! decisions whose `Origin` is not are refused, so that no page of another site reads or decides anything.

use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use diagnostic::{excerpt, read_json};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::agreement::agreement;
use super::cases::{Case, Cases};
use super::decisions::{Decisions, Verdict};
use crate::error::ServeError;

/// The page: one file that loads nothing from elsewhere.
const PAGE: &str = include_str!("page.html");
/// How often the server checks whether it should end.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// The page has so long to show that all is decided.
const LAST_VIEW: Duration = Duration::from_millis(800);
/// Nothing may be loaded but what the page itself holds and this server serves.
const POLICY: &str = "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A review under way.
struct Review {
    cases: Cases,
    decisions: Mutex<Decisions>,
    // `127.0.0.1:PORT` and `localhost:PORT`.
    hosts: [String; 2],
}

/// Serves the page until everything is decided; returns the agreement in words. `announce` gets a line that names the
/// page's address.
///
/// Errors: `Address` for a port that cannot be had; `ReviewStopped` where `should_stop` says so before the end; `Io`
/// when the announcement fails.
pub fn serve(
    cases: Cases,
    decisions: Decisions,
    port: u16,
    should_stop: &dyn Fn() -> bool,
    announce: &dyn Fn(&str) -> io::Result<()>,
) -> Result<String, ServeError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .map_err(|source| ServeError::Address { flags: format!("--port {port}"), source })?;
        let address = listener.local_addr()?;
        let review = Arc::new(Review {
            cases,
            decisions: Mutex::new(decisions),
            hosts: ["127.0.0.1", "localhost"].map(|host| format!("{host}:{}", address.port())),
        });
        let (n_left, total) = (review.n_left(), review.cases.cases.len());
        announce(&format!("reviewing {n_left} of {total} on http://{address}"))?;
        let serving = tokio::spawn(axum::serve(listener, router(review.clone())).into_future());
        while !should_stop() && review.next().is_some() {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        tokio::time::sleep(LAST_VIEW).await;
        serving.abort();
        match review.n_left() {
            0 => Ok(agreement(&review.cases, &review.decisions().latest)),
            n_left => Err(ServeError::ReviewStopped { n_left }),
        }
    })
}

fn router(review: Arc<Review>) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/state", get(state))
        .route("/image/{case}/{index}", get(image))
        .route("/decide", post(decide))
        .route("/undo", post(undo))
        .layer(from_fn_with_state(review.clone(), guard))
        .with_state(review)
}

/// Refuses what does not come from the page, and marks what goes out.
async fn guard(State(review): State<Arc<Review>>, request: Request, next: Next) -> Response {
    if let Err(problem) = review.admit(request.headers()) {
        return (StatusCode::FORBIDDEN, problem).into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

impl Review {
    fn admit(&self, headers: &HeaderMap) -> Result<(), String> {
        let [host, origin] = [header::HOST, header::ORIGIN].map(|name| headers.get(name)?.to_str().ok());
        let host = host.unwrap_or_default();
        if !self.hosts.iter().any(|own| own == host) {
            return Err(format!("`Host`: expected {}, got `{host}`", self.hosts[0]));
        }
        match origin {
            Some(origin) if !self.hosts.iter().any(|own| origin == format!("http://{own}")) => {
                Err(format!("`Origin`: expected http://{}, got `{origin}`", self.hosts[0]))
            }
            _ => Ok(()),
        }
    }

    fn decisions(&self) -> MutexGuard<'_, Decisions> {
        self.decisions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first case that is not decided.
    fn next(&self) -> Option<usize> {
        let decisions = self.decisions();
        self.cases.cases.iter().position(|case| !decisions.is_decided(&case.id))
    }

    fn n_left(&self) -> usize {
        let decisions = self.decisions();
        let left = self.cases.cases.iter().filter(|case| !decisions.is_decided(&case.id));
        left.count()
    }

    /// What the page shows: how far the review is, and the case at hand. The judge's verdict is kept from the reviewer.
    fn shown(&self) -> Value {
        let total = self.cases.cases.len();
        let case = self.next().map(|index| {
            let case = &self.cases.cases[index];
            json!({
                "id": case.id,
                "index": index,
                "question": case.question(),
                "response": case.response,
                "category": case.category,
                "images": case.images().len(),
            })
        });
        json!({
            "reviewer": self.decisions().reviewer,
            "done": total - self.n_left(),
            "total": total,
            "case": case,
        })
    }
}

async fn page() -> Response {
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], PAGE).into_response()
}

async fn state(State(review): State<Arc<Review>>) -> Response {
    json_response(&review.shown())
}

async fn image(State(review): State<Arc<Review>>, Path((case, index)): Path<(usize, usize)>) -> Response {
    let images = review.cases.cases.get(case).map(Case::images);
    let Some(path) = images.as_ref().and_then(|images| images.get(index)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    match fs_err::read(path) {
        Ok(bytes) => {
            let kind = if bytes.starts_with(b"\x89PNG") { "image/png" } else { "image/jpeg" };
            ([(header::CONTENT_TYPE, kind)], bytes).into_response()
        }
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}

/// What the page sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Decided {
    id: String,
    decision: Verdict,
}

async fn decide(State(review): State<Arc<Review>>, body: Bytes) -> Response {
    let decided: Decided = match read_json(&body) {
        Ok(decided) => decided,
        Err(problem) => return (StatusCode::BAD_REQUEST, problem.to_string()).into_response(),
    };
    if !review.cases.cases.iter().any(|case| case.id == decided.id) {
        return (StatusCode::BAD_REQUEST, format!("`id`: no such case: `{}`", excerpt(&decided.id))).into_response();
    }
    let written = review.decisions().decide(&decided.id, decided.decision);
    after(&review, written)
}

async fn undo(State(review): State<Arc<Review>>) -> Response {
    let written = review.decisions().undo().map(drop);
    after(&review, written)
}

/// The state after a decision; one that could not be written down is none.
fn after(review: &Review, written: io::Result<()>) -> Response {
    match written {
        Ok(()) => json_response(&review.shown()),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

fn json_response(value: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}
