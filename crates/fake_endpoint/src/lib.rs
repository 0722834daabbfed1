//! An OpenAI-compatible chat endpoint for tests: it answers every request rightly, but for the share of calls that it
//! spoils in one of the ways that real endpoints have.
//!
//! What goes wrong follows from the request and how often it was made, so that a run repeated is a run the same.

mod faults;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub use faults::Fault;

/// What to answer to the words of a request.
pub type Answer = fn(&str) -> String;

/// A running endpoint; it ends with its value.
pub struct FakeEndpoint {
    address: SocketAddr,
    shared: Arc<Shared>,
    // Ends the server when dropped.
    _runtime: tokio::runtime::Runtime,
}

struct Shared {
    answer: Answer,
    /// Share of calls that are spoiled, in per cent.
    faulty: u64,
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
    /// Spoiled calls by fault.
    pub faults: HashMap<Fault, usize>,
}

impl FakeEndpoint {
    /// Starts an endpoint on a free port of this machine that spoils so many calls in a hundred.
    ///
    /// Errors: the operating system's.
    pub fn start(answer: Answer, faulty: u64) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            answer,
            faulty,
            counts: Mutex::default(),
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let listener = runtime.block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0)))?;
        let address = listener.local_addr()?;
        let app = Router::new()
            .route("/v1/chat/completions", post(complete))
            .layer(DefaultBodyLimit::disable())
            .with_state(shared.clone());
        runtime.spawn(async move { axum::serve(listener, app).await });
        Ok(Self {
            address,
            shared,
            _runtime: runtime,
        })
    }

    /// Where its `/v1` is.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// What it has seen so far.
    pub fn counts(&self) -> Counts {
        self.shared.lock().clone()
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn complete(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let request: [u8; 32] = Sha256::digest(&body).into();
    let times = {
        let mut counts = shared.lock();
        counts.calls += 1;
        let times = counts.by_request.entry(request).or_default();
        *times += 1;
        *times
    };
    let fault = faults::fault(&request, times, shared.faulty);
    if let Some(fault) = fault {
        *shared.lock().faults.entry(fault).or_default() += 1;
    }
    let words = words(&serde_json::from_slice(&body).unwrap_or_default());
    let answer = match fault {
        // Said by the model, so it is paid for.
        Some(Fault::WrongSchema) => json!({ "verdict": "fine" }).to_string(),
        Some(Fault::Refusal) => "I cannot judge that.".to_owned(),
        _ => (shared.answer)(&words),
    };
    let body = completion(&answer);
    if fault.is_none_or(Fault::is_paid_for) {
        *shared.lock().answered.entry(request).or_default() += 1;
    }
    match fault {
        Some(fault) => fault.spoil(body).await,
        None => ([("content-type", "application/json")], body).into_response(),
    }
}

/// Every text of a request, one after the other.
fn words(request: &Value) -> String {
    let messages = request["messages"].as_array().into_iter().flatten();
    let parts = messages.flat_map(|message| message["content"].as_array().into_iter().flatten());
    parts
        .filter_map(|part| part["text"].as_str())
        .collect::<Vec<_>>()
        .join("\n")
}

fn completion(text: &str) -> String {
    let message = json!({ "role": "assistant", "content": text });
    json!({
        "id": "fake", "object": "chat.completion", "model": "fake",
        "choices": [{ "index": 0, "message": message, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110 },
    })
    .to_string()
}
