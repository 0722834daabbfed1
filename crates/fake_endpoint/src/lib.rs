//! An OpenAI-compatible endpoint for tests, which chats and paints: it answers every request rightly, but for the share
//! of calls that it spoils in one of the ways that real endpoints have.
//!
//! What goes wrong follows from the request and how often it was made, so that a run repeated is a run the same.

mod failures;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub use failures::Failure;

/// What to answer to the words of a request.
pub type Answer = fn(&str) -> String;

/// The image's file for a prompt and a seed.
pub type Paint = fn(&str, u64) -> Vec<u8>;

/// What a test makes of every call to chat, where right answers and common failures are not enough.
pub type Respond = Box<dyn Fn(&Call) -> Reply + Send + Sync>;

/// A call as it came.
pub struct Call<'a> {
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its body.
    pub body: &'a Value,
    /// Every text in it, one after the other.
    pub words: &'a str,
}

/// What comes back.
pub struct Reply {
    /// The status; answers are paid for where it is 200.
    pub status: u16,
    /// The header `Retry-After`.
    pub retry_after: Option<&'static str>,
    /// The body.
    pub body: String,
}

/// A running endpoint; it ends with its value.
pub struct FakeEndpoint {
    address: SocketAddr,
    shared: Arc<Shared>,
    // Ends the server when dropped.
    _runtime: tokio::runtime::Runtime,
}

struct Shared {
    answer: Answer,
    paint: Paint,
    /// Whether images are given by their address instead of their bytes.
    gives_addresses: bool,
    /// Share of calls that are spoiled, in %.
    faulty: u64,
    respond: Option<Respond>,
    counts: Mutex<Counts>,
}

/// What the endpoint has seen.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Calls, spoiled ones included.
    pub calls: usize,
    /// Calls by request: how often each was made.
    pub by_request: HashMap<[u8; 32], usize>,
    /// Whole answers that were paid for, by request.
    pub answered: HashMap<[u8; 32], usize>,
    /// Spoiled calls by failure.
    pub failures: HashMap<Failure, usize>,
    /// Calls that state the length of their body before it.
    pub with_length: usize,
}

impl FakeEndpoint {
    /// Starts an endpoint on a free port of this machine that spoils so many calls in a hundred.
    ///
    /// Errors: the operating system's.
    pub fn start(answer: Answer, faulty: u64) -> std::io::Result<Self> {
        Self::serve(0, Shared::new(answer, no_image, faulty))
    }

    /// The same on a port of one's choice, such as that of an endpoint that has ended.
    ///
    /// Errors: the operating system's, where the port is taken.
    pub fn start_at(port: u16, answer: Answer, faulty: u64) -> std::io::Result<Self> {
        Self::serve(port, Shared::new(answer, no_image, faulty))
    }

    /// Starts an endpoint that responds by a function.
    ///
    /// Errors: the operating system's.
    pub fn start_responding(respond: impl Fn(&Call) -> Reply + Send + Sync + 'static) -> std::io::Result<Self> {
        Self::serve(0, Shared { respond: Some(Box::new(respond)), ..Shared::new(|_| String::new(), no_image, 0) })
    }

    /// The same of an endpoint that also paints.
    ///
    /// Errors: the operating system's.
    pub fn start_painting(answer: Answer, paint: Paint, faulty: u64) -> std::io::Result<Self> {
        Self::serve(0, Shared::new(answer, paint, faulty))
    }

    /// The same of an endpoint that paints and returns the addresses of its images.
    ///
    /// Errors: the operating system's.
    pub fn start_painting_by_address(answer: Answer, paint: Paint, faulty: u64) -> std::io::Result<Self> {
        let shared = Shared::new(answer, paint, faulty);
        Self::serve(0, Shared { gives_addresses: true, ..shared })
    }

    fn serve(port: u16, shared: Shared) -> std::io::Result<Self> {
        let shared = Arc::new(shared);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = runtime.block_on(tokio::net::TcpListener::bind(("127.0.0.1", port)))?;
        let address = listener.local_addr()?;
        let app = Router::new()
            .route("/v1/chat/completions", post(complete))
            .route("/v1/images/generations", post(paint))
            .route("/images/{seed}/{prompt}", get(hand_out))
            .route("/moved/{status}/{port}/chat/completions", post(redirect))
            .layer(DefaultBodyLimit::disable())
            .with_state(shared.clone());
        runtime.spawn(async move { axum::serve(listener, app).await });
        Ok(Self { address, shared, _runtime: runtime })
    }

    /// Where its `/v1` is.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// What it has seen so far.
    pub fn counts(&self) -> Counts {
        self.shared.lock().clone()
    }
}

/// What an endpoint that does not paint makes of a prompt.
fn no_image(_prompt: &str, _seed: u64) -> Vec<u8> {
    b"no image".to_vec()
}

impl Shared {
    fn new(answer: Answer, paint: Paint, faulty: u64) -> Self {
        Self { answer, paint, gives_addresses: false, faulty, respond: None, counts: Mutex::default() }
    }

    /// Counts a call and decides what goes wrong with it.
    fn admit(&self, headers: &HeaderMap, body: &[u8]) -> ([u8; 32], Option<Failure>) {
        let request: [u8; 32] = Sha256::digest(body).into();
        let length = headers.get("content-length").and_then(|length| length.to_str().ok());
        let mut counts = self.lock();
        counts.calls += 1;
        counts.with_length += usize::from(length == Some(&body.len().to_string()));
        let times = counts.by_request.entry(request).or_default();
        *times += 1;
        let failure = failures::failure(&request, *times, self.faulty);
        if let Some(failure) = failure {
            *counts.failures.entry(failure).or_default() += 1;
        }
        (request, failure)
    }

    fn charge(&self, request: [u8; 32]) {
        *self.lock().answered.entry(request).or_default() += 1;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn complete(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let (request, failure) = shared.admit(&headers, &body);
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let words = words(&body);
    if let Some(respond) = &shared.respond {
        let reply = respond(&Call { headers: &headers, body: &body, words: &words });
        if reply.status == 200 {
            shared.charge(request);
        }
        return reply.into_response();
    }
    let answer = (shared.answer)(&words);
    let body = match failure {
        Some(failure) => ended(&failure.said(answer), failure.finish_reason()),
        None => completion(&answer),
    };
    if failure.is_none_or(Failure::is_paid_for) {
        shared.charge(request);
    }
    match failure {
        Some(failure) => failure.spoil(body).await,
        None => ([("content-type", "application/json")], body).into_response(),
    }
}

async fn paint(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let (request, failure) = shared.admit(&headers, &body);
    if failure == Some(Failure::Refusal) {
        let problem = json!({ "error": { "message": "the prompt is against the content policy" } });
        return (StatusCode::BAD_REQUEST, problem.to_string()).into_response();
    }
    let painting: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (prompt, seed) = (painting["prompt"].as_str().unwrap_or_default(), painting["seed"].as_u64().unwrap_or(0));
    let host = headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
    let image = match failure {
        // Handed over as painted, so it is paid for.
        Some(Failure::WrongSchema) => json!({ "b64_json": STANDARD.encode("not an image") }),
        _ if shared.gives_addresses => {
            let prompt: String = prompt.bytes().map(|byte| format!("%{byte:02x}")).collect();
            json!({ "url": format!("http://{host}/images/{seed}/{prompt}") })
        }
        _ => json!({ "b64_json": STANDARD.encode((shared.paint)(prompt, seed)) }),
    };
    if failure.is_none_or(Failure::is_paid_for) {
        shared.charge(request);
    }
    let body = json!({ "created": 0, "data": [image] }).to_string();
    match failure {
        Some(failure) => failure.spoil(body).await,
        None => ([("content-type", "application/json")], body).into_response(),
    }
}

/// Sends a call to the endpoint at another port.
async fn redirect(Path((status, port)): Path<(u16, u16)>) -> Response {
    let location = format!("http://127.0.0.1:{port}/v1/chat/completions");
    (StatusCode::from_u16(status).unwrap_or_default(), [("location", location)]).into_response()
}

async fn hand_out(State(shared): State<Arc<Shared>>, Path((seed, prompt)): Path<(u64, String)>) -> Vec<u8> {
    (shared.paint)(&prompt, seed)
}

/// Every text of a request, one after the other.
fn words(request: &Value) -> String {
    let messages = request["messages"].as_array().into_iter().flatten();
    let parts = messages.flat_map(|message| message["content"].as_array().into_iter().flatten());
    parts.filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n")
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        match self.retry_after {
            Some(time) => (status, [("retry-after", time)], self.body).into_response(),
            None => (status, self.body).into_response(),
        }
    }
}

/// The body of an answer, which says that it took 100 and 10 tokens.
pub fn completion(text: &str) -> String {
    ended(text, "stop")
}

fn ended(text: &str, finish_reason: &str) -> String {
    let message = json!({ "role": "assistant", "content": text });
    json!({
        "id": "fake", "object": "chat.completion", "model": "fake",
        "choices": [{ "index": 0, "message": message, "finish_reason": finish_reason }],
        "usage": { "prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110 },
    })
    .to_string()
}
