//! A server that speaks OpenAI's chat interface. Requests are admitted (`state`), read and prepared beside the model
//! (`prepare`, `images`), sampled token by token on the model's own thread (`worker`, `scheduler`) as far as the KV
//! cache allows (`kv_budget`), and answered as their tokens come (`handlers`).

mod api_error;
mod body;
mod choices;
mod completion;
mod fields;
mod grammar;
mod handlers;
mod images;
mod kv_budget;
mod media;
mod memory;
mod messages;
mod metrics;
mod pools;
mod prefill_group;
mod prepare;
mod request;
mod sampling;
mod scheduler;
mod state;
mod text_stream;
mod worker;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use burn::tensor::Device;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use vlm::generate::ContinuousBatch;
use vlm::model::Vlm;
use vlm::processor::Processor;

use crate::error::ServeError;
use kv_budget::KvBudget;
pub use kv_budget::KvCacheSettings;
pub use media::Limits;
use metrics::Metrics;
use prepare::Preparer;
pub use scheduler::Capacity;
use scheduler::Scheduler;
pub use state::{Server, Settings};
use worker::Worker;

/// How often the server checks whether it should stop, and whether all requests are done.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// Connections have so long to close after the last answer.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// What a running server reports.
pub enum Notice<'a> {
    /// It listens here.
    Listening(SocketAddr),
    /// The model's thread ended; every request gets this problem as its answer.
    ModelFailed(&'a str),
}

/// Whoever runs a server.
pub struct Operator<'a> {
    /// Whether the server should stop.
    pub should_stop: &'a dyn Fn() -> bool,
    /// Takes what the server reports. An error ends the server.
    pub notify: &'a dyn Fn(Notice) -> io::Result<()>,
}

/// Puts a server together around a model.
///
/// Errors: `Setting` and `KvCacheTooSmall` when sequences are to be longer than the model or the memory allows;
/// `Vocabulary` when it cannot be laid out; `Io` when the system gives no threads.
pub fn build(
    (model, processor): (Vlm, Processor),
    settings: Settings,
    limits: Limits,
    capacity: Capacity,
) -> Result<Arc<Server>, ServeError> {
    let metrics = Arc::new(Metrics::default());
    let batch = ContinuousBatch::new(&model);
    // The batch's model shares the vision tower; what else is in the other one is not needed any more.
    let model = batch.model().clone();
    let text = &model.config().text;
    let kv_budget = KvBudget::new(text, capacity.kv_cache, model.device() == Device::flex())?;
    let max_kv_tokens = kv_budget.n_tokens;
    let pool = pools::pool(pools::n_threads(text.hidden_size))?;
    let preparer = Preparer::new((model, processor), limits, kv_budget, capacity.max_sequences, metrics.clone())?;
    let scheduler = Scheduler::new(batch, capacity, max_kv_tokens, metrics.clone());
    let worker = Worker::start(move |jobs| pool.install(move || scheduler.run(&jobs)))?;
    Ok(Arc::new(Server::new(settings, metrics, Arc::new(preparer), worker)))
}

/// Serves until it should stop, then finishes what was admitted, for at most `shutdown_timeout`.
///
/// Errors: `Address` when it cannot be listened on; `RequestsTruncated` when the time was too short; `Io` when nobody
/// takes the server's notices.
pub fn run(
    server: &Arc<Server>,
    (host, port): (&str, u16),
    shutdown_timeout: Duration,
    operator: &Operator,
) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((host, port))
            .await
            .map_err(|source| ServeError::Address { flags: format!("--host {host} --port {port}"), source })?;
        (operator.notify)(Notice::Listening(listener.local_addr()?))?;
        // Tokens go out one by one: none must wait for another to fill a packet.
        let listener = listener.tap_io(|connection| {
            let _ = connection.set_nodelay(true);
        });
        let (close, closing) = oneshot::channel::<()>();
        let serving = axum::serve(listener, router(server.clone())).with_graceful_shutdown(async {
            let _ = closing.await;
        });
        let serving = tokio::spawn(serving.into_future());
        let n_requests = until_done(server, shutdown_timeout, operator).await?;
        let _ = close.send(());
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, serving).await;
        match n_requests {
            0 => Ok(()),
            n_requests => Err(ServeError::RequestsTruncated { n_requests }),
        }
    })
}

/// Waits until the server should stop, and then until nothing is in flight or the time is over; returns how many
/// requests are left.
async fn until_done(server: &Server, shutdown_timeout: Duration, operator: &Operator<'_>) -> io::Result<usize> {
    let mut is_failure_reported = false;
    while !(operator.should_stop)() {
        if let Some(problem) = server.worker.failure()
            && !std::mem::replace(&mut is_failure_reported, true)
        {
            (operator.notify)(Notice::ModelFailed(problem))?;
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    server.stop();
    let stopped = Instant::now();
    while server.n_in_flight() > 0 && stopped.elapsed() < shutdown_timeout {
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    Ok(server.n_in_flight())
}

fn router(server: Arc<Server>) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(handlers::chat))
        .route("/v1/models", get(handlers::models))
        .route("/v1/models/{*name}", get(handlers::model))
        .route("/health", get(handlers::health))
        .route("/metrics", get(handlers::metrics))
        .fallback(handlers::not_found)
        .method_not_allowed_fallback(handlers::wrong_method)
        .with_state(server)
}
