//! What each address answers.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::mpsc::unbounded_channel;

use super::api_error::{ApiError, json_response, text_response};
use super::body;
use super::completion::Completion;
use super::metrics::CONTENT_TYPE;
use super::prepare::Checked;
use super::state::Server;
use super::worker::Job;

/// `POST /v1/chat/completions`.
pub async fn chat(State(server): State<Arc<Server>>, request: Request) -> Response<Body> {
    let arrived = Instant::now();
    let outcome = match begin(&server, request, arrived).await {
        Ok((completion, true)) => Ok(completion.stream()),
        Ok((completion, false)) => completion.whole().await,
        Err(error) => Err(error),
    };
    outcome.unwrap_or_else(|error| refused(&server, error))
}

/// Admits a request, prepares it and hands it to the model; returns also whether the answer is to be streamed.
async fn begin(server: &Arc<Server>, request: Request, arrived: Instant) -> Result<(Completion, bool), ApiError> {
    let (parts, body) = request.into_parts();
    let admitted = server.authorize(&parts.headers).and_then(|()| server.admit());
    let (waiting, in_flight) = match admitted {
        Ok(admitted) => admitted,
        Err(error) => {
            body::discard(body).await;
            return Err(error);
        }
    };
    let body = body::read(body, server.settings.max_request_bytes).await?;
    let request = server.preparer.read(body).await?;
    server.check_model(request.model.as_deref())?;
    let (checked, images) = server.preparer.prepare(request).await?;

    let Checked { request, grammar, .. } = &checked;
    let first_seed = request.seed.unwrap_or_else(|| server.fresh_seed());
    let members = (0..request.n).map(|member| (first_seed.wrapping_add(member as u64), grammar.clone()));
    let (members, n_top_logprobs, stream) = (members.collect(), request.n_top_logprobs, request.stream);
    let (sender, updates) = unbounded_channel();
    let n_prompt_tokens = checked.input_ids.len();
    let mut completion = Completion::new(server, request, n_prompt_tokens, updates, (arrived, in_flight));
    server
        .worker
        .submit(Job {
            members,
            input_ids: checked.input_ids,
            grids: checked.grids,
            images,
            options: Arc::new(checked.options),
            adjustments: Arc::new(checked.adjustments),
            n_top_logprobs,
            updates: sender,
            stopped: completion.stopped.clone(),
            waiting,
        })
        .inspect_err(|_| completion.is_settled = true)?;
    Ok((completion, stream))
}

/// `GET /v1/models`.
pub async fn models(State(server): State<Arc<Server>>, request: Request) -> Response<Body> {
    match server.authorize(request.headers()) {
        Ok(()) => json_response(StatusCode::OK, &json!({ "object": "list", "data": [model_card(&server)] })),
        Err(error) => refused(&server, error),
    }
}

/// `GET /v1/models/NAME`.
pub async fn model(State(server): State<Arc<Server>>, Path(name): Path<String>, request: Request) -> Response<Body> {
    let known = server.authorize(request.headers()).and_then(|()| server.check_model(Some(&name)));
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
        "max_model_len": server.preparer.kv_budget.max_model_len,
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
    text_response(StatusCode::OK, CONTENT_TYPE, server.metrics.text())
}

/// Any other address.
pub async fn not_found(State(server): State<Arc<Server>>, request: Request) -> Response<Body> {
    let problem = format!("no such address: {}", request.uri().path());
    refused(&server, ApiError::new(StatusCode::NOT_FOUND, "not_found", problem))
}

/// A known address with another method.
pub async fn wrong_method(State(server): State<Arc<Server>>, request: Request) -> Response<Body> {
    let problem = format!("{} does not take {}", request.uri().path(), request.method());
    let error = ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", problem);
    refused(&server, error)
}

fn refused(server: &Server, error: ApiError) -> Response<Body> {
    server.metrics.failed(error.code);
    error.into_response()
}
