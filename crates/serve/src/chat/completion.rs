//! A request's completions under way, and how they are answered: whole, or as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use axum::body::Body;
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use axum::response::sse::{Event, Sse};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;

use super::api_error::{ApiError, json_response};
use super::choices::{Choices, Delta};
use super::request::ChatRequest;
use super::state::{InFlight, Server, now};
use super::worker::Update;

/// Completions under way. Dropped before their end, as when the client disconnects, they are counted as failed.
pub struct Completion {
    server: Arc<Server>,
    updates: UnboundedReceiver<Update>,
    /// For each completion, whether no more of it is wanted; read by the model's thread.
    pub stopped: Arc<[AtomicBool]>,
    choices: Choices,
    // What every object of the answer says.
    id: String,
    created: i64,
    model: String,
    include_usage: bool,
    n_prompt_tokens: usize,
    arrived: Instant,
    has_first_token: bool,
    /// Whether it is counted, as one that came to its end or elsewhere.
    pub is_settled: bool,
    _in_flight: InFlight,
}

/// What a stream sends next.
enum Phase {
    Deltas,
    Done,
    Closed,
}

impl Completion {
    /// The completions of a request with a prompt of so many tokens, which arrive as `updates`.
    pub fn new(
        server: &Arc<Server>,
        request: &ChatRequest,
        n_prompt_tokens: usize,
        updates: UnboundedReceiver<Update>,
        (arrived, in_flight): (Instant, InFlight),
    ) -> Self {
        let model = request.model.as_ref().unwrap_or(&server.settings.model_name);
        Self {
            updates,
            stopped: (0..request.n).map(|_| AtomicBool::new(false)).collect(),
            choices: Choices::new(request),
            id: format!("chatcmpl-{:016x}", server.fresh_seed()),
            created: now(),
            model: model.clone(),
            include_usage: request.include_usage,
            n_prompt_tokens,
            arrived,
            has_first_token: false,
            is_settled: false,
            _in_flight: in_flight,
            server: server.clone(),
        }
    }

    /// The next piece of a completion; none when all have ended.
    async fn next(&mut self) -> Result<Option<Delta>, ApiError> {
        let delta = self.receive().await;
        if !matches!(delta, Ok(Some(_))) || self.choices.have_ended() {
            self.is_settled = true;
        }
        delta
    }

    async fn receive(&mut self) -> Result<Option<Delta>, ApiError> {
        while !self.choices.have_ended() {
            let (member, token) = match self.updates.recv().await {
                Some(Update::Token { member, token }) => (member, token),
                Some(Update::Failed(error)) => return Err(error),
                None => return Err(self.server.worker.ended()),
            };
            let metrics = &self.server.metrics;
            if !std::mem::replace(&mut self.has_first_token, true) {
                metrics.first_token(self.arrived.elapsed());
            }
            let delta = self
                .choices
                .push(member, &token, &self.server.preparer)
                .map_err(|error| ApiError::internal(error.to_string()))?;
            let Some(delta) = delta else { continue };
            if let Some(reason) = delta.finish_reason {
                self.stopped[member].store(true, Ordering::Relaxed);
                metrics.succeeded(reason);
            }
            if self.choices.have_ended() {
                metrics.last_token(self.arrived.elapsed());
            }
            return Ok(Some(delta));
        }
        Ok(None)
    }

    /// The answer as one JSON object.
    ///
    /// Errors: what happened to the completions.
    pub async fn whole(mut self) -> Result<Response<Body>, ApiError> {
        let mut wholes: Vec<Delta> = Vec::new();
        wholes.resize_with(self.stopped.len(), Delta::default);
        while let Some(delta) = self.next().await? {
            let whole = &mut wholes[delta.index];
            whole.index = delta.index;
            whole.text.push_str(&delta.text);
            whole.logprobs.extend(delta.logprobs);
            whole.token_ids.extend(delta.token_ids);
            whole.finish_reason = delta.finish_reason;
        }
        let choices: Vec<Value> = wholes.iter().map(|whole| self.choices.whole(whole)).collect();
        let mut answer = self.object("chat.completion", &choices);
        answer["usage"] = self.usage();
        Ok(json_response(StatusCode::OK, &answer))
    }

    /// Server-sent events, each a JSON object, closed by `[DONE]`. When the client disconnects, the request ends.
    pub fn stream(self) -> Response<Body> {
        let events = stream::unfold((self, Phase::Deltas), |(mut completion, phase)| async move {
            let (data, phase) = completion.event(phase).await?;
            Some((Ok::<_, Infallible>(Event::default().data(data)), (completion, phase)))
        });
        Sse::new(events).into_response()
    }

    async fn event(&mut self, phase: Phase) -> Option<(String, Phase)> {
        match phase {
            Phase::Closed => return None,
            Phase::Done => {}
            Phase::Deltas => match self.next().await {
                Ok(Some(delta)) => {
                    let piece = self.choices.piece(&delta);
                    return Some((self.chunk(&[piece], Value::Null), Phase::Deltas));
                }
                Ok(None) if self.include_usage => return Some((self.chunk(&[], self.usage()), Phase::Done)),
                Ok(None) => {}
                Err(error) => {
                    self.server.metrics.failed(error.code);
                    return Some((error.json().to_string(), Phase::Closed));
                }
            },
        }
        Some(("[DONE]".to_owned(), Phase::Closed))
    }

    fn chunk(&self, choices: &[Value], usage: Value) -> String {
        let mut chunk = self.object("chat.completion.chunk", choices);
        if self.include_usage {
            chunk["usage"] = usage;
        }
        chunk.to_string()
    }

    fn object(&self, kind: &str, choices: &[Value]) -> Value {
        let (id, created, model) = (&self.id, self.created, &self.model);
        json!({ "id": id, "object": kind, "created": created, "model": model, "choices": choices })
    }

    fn usage(&self) -> Value {
        let (prompt, completion) = (self.n_prompt_tokens, self.choices.n_tokens);
        json!({ "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion })
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        if !self.is_settled {
            self.server.metrics.failed("client_gone");
        }
    }
}
