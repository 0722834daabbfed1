//! What each address answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, Response, StatusCode, header};
use http_body_util::channel::{Channel, Sender};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::body;
use super::choices::{Choices, Delta};
use super::error::{ApiError, json_response, text_response};
use super::prepare::Checked;
use super::state::{InFlight, Server, now};
use super::worker::{Job, Update};

/// Pieces of a stream that wait for a slow client.
const STREAM_BUFFER: usize = 64;

/// A completion under way.
struct Running {
    server: Arc<Server>,
    updates: UnboundedReceiver<Update>,
    // Told to the model's thread, completion by completion.
    stopped: Arc<[AtomicBool]>,
    choices: Choices,
    head: Head,
    include_usage: bool,
    n_prompt_tokens: usize,
    arrived: Instant,
    has_first_token: bool,
    _in_flight: InFlight,
}

/// What every object of an answer says.
struct Head {
    id: String,
    created: u64,
    model: String,
}

/// `POST /v1/chat/completions`.
pub async fn chat(State(server): State<Arc<Server>>, request: Request) -> Response<Body> {
    let arrived = Instant::now();
    let outcome = match begin(&server, request, arrived).await {
        Ok((running, true)) => Ok(running.stream()),
        Ok((running, false)) => running.whole().await,
        Err(error) => Err(error),
    };
    outcome.unwrap_or_else(|error| {
        server.metrics.failed(error.code);
        error.into_response()
    })
}

/// Lets a request in, prepares it and hands it to the model; tells also whether the answer is to be streamed.
async fn begin(server: &Arc<Server>, request: Request, arrived: Instant) -> Result<(Running, bool), ApiError> {
    let (parts, body) = request.into_parts();
    let admitted = server.authorise(&parts.headers).and_then(|()| server.admit());
    let (place, in_flight) = match admitted {
        Ok(admitted) => admitted,
        Err(error) => {
            body::discard(body).await;
            return Err(error);
        }
    };
    let body = body::read(body, server.settings.max_request_bytes).await?;
    let request = server.preparer.read(body).await?;
    server.check_model(request.model.as_deref())?;
    let (checked, pictures) = server.preparer.prepare(request).await?;

    let Checked { request, grammar, .. } = &checked;
    let first_seed = request.seed.unwrap_or_else(|| server.fresh_seed());
    let members = (0..request.n).map(|member| (first_seed.wrapping_add(member as u64), grammar.clone()));
    let (sender, updates) = unbounded_channel();
    let stopped: Arc<[AtomicBool]> = (0..request.n).map(|_| AtomicBool::new(false)).collect();
    let mut head = Head {
        id: server.fresh_id(),
        created: now(),
        model: server.settings.model_name.clone(),
    };
    if let Some(model) = &request.model {
        head.model.clone_from(model);
    }
    let running = Running {
        server: server.clone(),
        updates,
        stopped: stopped.clone(),
        choices: Choices::new(request),
        head,
        include_usage: request.include_usage,
        n_prompt_tokens: checked.input_ids.len(),
        arrived,
        has_first_token: false,
        _in_flight: in_flight,
    };
    let (members, n_top_logprobs, stream) = (members.collect(), request.n_top_logprobs, request.stream);
    server.worker.submit(Job {
        members,
        input_ids: checked.input_ids,
        grids: checked.grids,
        pictures,
        options: Arc::new(checked.options),
        adjustments: Arc::new(checked.adjustments),
        n_top_logprobs,
        updates: sender,
        stopped,
        place,
    })?;
    Ok((running, stream))
}

impl Running {
    /// The next news of a completion; none when all have ended.
    async fn next(&mut self) -> Result<Option<Delta>, ApiError> {
        while !self.choices.have_ended() {
            let (member, token) = match self.updates.recv().await {
                Some(Update::Token { member, token }) => (member, token),
                Some(Update::Failed(error)) => return Err(error),
                None => return Err(self.server.worker.ended()),
            };
            if !std::mem::replace(&mut self.has_first_token, true) {
                self.server.metrics.time_to_first_token.observe(self.arrived.elapsed());
            }
            let delta = self
                .choices
                .push(member, &token, &self.server.preparer)
                .map_err(|error| ApiError::internal(error.to_string()))?;
            let Some(delta) = delta else { continue };
            if let Some(reason) = delta.finish_reason {
                self.stopped[member].store(true, Ordering::Relaxed);
                self.server.metrics.succeeded(reason);
            }
            if self.choices.have_ended() {
                self.server.metrics.request_latency.observe(self.arrived.elapsed());
            }
            return Ok(Some(delta));
        }
        Ok(None)
    }

    async fn whole(mut self) -> Result<Response<Body>, ApiError> {
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
        let mut answer = self.head.object("chat.completion", &choices);
        answer["usage"] = self.usage();
        Ok(json_response(StatusCode::OK, &answer))
    }

    /// Server-sent events, each a JSON object, closed by `[DONE]`. When the client goes, so does the request.
    fn stream(self) -> Response<Body> {
        let (events, body) = Channel::<Bytes>::new(STREAM_BUFFER);
        tokio::spawn(self.send_events(events));
        let mut response = Response::new(Body::new(body));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        response
    }

    async fn send_events(mut self, mut events: Sender<Bytes>) {
        let mut begun = vec![false; self.stopped.len()];
        loop {
            let chunk = match self.next().await {
                Ok(Some(delta)) => {
                    let is_first = !std::mem::replace(&mut begun[delta.index], true);
                    let choices = [self.choices.piece(&delta, is_first)];
                    self.chunk(&choices, Value::Null)
                }
                Ok(None) => break,
                Err(error) => {
                    self.server.metrics.failed(error.code);
                    let _ = events.send_data(event(&error.json())).await;
                    return;
                }
            };
            if events.send_data(event(&chunk)).await.is_err() {
                self.server.metrics.failed("client_gone");
                return;
            }
        }
        if self.include_usage {
            let last = self.chunk(&[], self.usage());
            let _ = events.send_data(event(&last)).await;
        }
        let _ = events.send_data(Bytes::from_static(b"data: [DONE]\n\n")).await;
    }

    fn chunk(&self, choices: &[Value], usage: Value) -> Value {
        let mut chunk = self.head.object("chat.completion.chunk", choices);
        if self.include_usage {
            chunk["usage"] = usage;
        }
        chunk
    }

    fn usage(&self) -> Value {
        let (prompt, completion) = (self.n_prompt_tokens, self.choices.n_tokens());
        json!({ "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion })
    }
}

impl Head {
    fn object(&self, kind: &str, choices: &[Value]) -> Value {
        json!({
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "choices": choices,
        })
    }
}

fn event(value: &Value) -> Bytes {
    Bytes::from(format!("data: {value}\n\n"))
}

/// `GET /v1/models`.
pub async fn models(State(server): State<Arc<Server>>, request: Request) -> Response<Body> {
    match server.authorise(request.headers()) {
        Ok(()) => json_response(
            StatusCode::OK,
            &json!({ "object": "list", "data": [model_card(&server)] }),
        ),
        Err(error) => refused(&server, error),
    }
}

/// `GET /v1/models/NAME`.
pub async fn model(State(server): State<Arc<Server>>, Path(name): Path<String>, request: Request) -> Response<Body> {
    let known = server
        .authorise(request.headers())
        .and_then(|()| server.check_model(Some(&name)));
    match known {
        Ok(()) => json_response(StatusCode::OK, &model_card(&server)),
        Err(error) => refused(&server, error),
    }
}

fn model_card(server: &Server) -> Value {
    json!({
        "id": server.settings.model_name,
        "object": "model",
        "created": server.started,
        "owned_by": "scruple",
        "max_model_len": server.preparer.max_model_len(),
    })
}

/// `GET /health`: 200 while requests are served, 503 while the server stops, 500 when the model's thread has ended.
pub async fn health(State(server): State<Arc<Server>>) -> Response<Body> {
    if let Some(problem) = server.worker.failure() {
        let body = json!({ "status": "failed", "problem": problem });
        return json_response(StatusCode::INTERNAL_SERVER_ERROR, &body);
    }
    if server.is_stopping() {
        return json_response(StatusCode::SERVICE_UNAVAILABLE, &json!({ "status": "stopping" }));
    }
    json_response(StatusCode::OK, &json!({ "status": "ok" }))
}

/// `GET /metrics`.
pub async fn metrics(State(server): State<Arc<Server>>) -> Response<Body> {
    text_response(StatusCode::OK, "text/plain; version=0.0.4", server.metrics.render())
}

/// Any other address.
pub async fn not_found(State(server): State<Arc<Server>>, request: Request) -> Response<Body> {
    let problem = format!("no such address: {}", request.uri().path());
    refused(&server, ApiError::new(StatusCode::NOT_FOUND, "not_found", problem))
}

/// A known address asked in another way.
pub async fn wrong_method(State(server): State<Arc<Server>>, request: Request) -> Response<Body> {
    let problem = format!("{} does not take {}", request.uri().path(), request.method());
    let error = ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", problem);
    refused(&server, error)
}

fn refused(server: &Server, error: ApiError) -> Response<Body> {
    server.metrics.failed(error.code);
    error.into_response()
}
