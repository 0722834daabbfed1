//! A server that speaks OpenAI's interface. Requests are let in (`state`), read and made ready beside the model
//! (`prepare`, `pictures`), drawn token by token on the model's own thread (`worker`, `scheduler`) as far as there is
//! memory (`room`), and answered as their tokens come (`handlers`).

mod body;
mod choices;
mod error;
mod fields;
mod grammar;
mod handlers;
mod media;
mod memory;
mod messages;
mod metrics;
mod pictures;
mod pools;
mod prepare;
mod request;
mod room;
mod sampling;
mod scheduler;
mod state;
mod text_stream;
mod worker;

use std::io::Write;
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

use crate::errors::Failure;
use crate::interrupt;
pub use media::Limits;
use metrics::Metrics;
use prepare::Preparer;
use room::Room;
pub use room::Wanted;
use scheduler::{Bounds, Scheduler};
use state::Server;
pub use state::Settings;
use worker::Worker;

/// How often the server looks whether it is asked to stop, and whether all is done.
const LOOK: Duration = Duration::from_millis(20);
/// Connections have so long to close after the last answer.
const CLOSING_TIME: Duration = Duration::from_secs(1);

/// How much is computed at once.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    /// Sequences in the batch.
    pub max_sequences: usize,
    /// Tokens of prompts computed between two steps.
    pub max_prompt_tokens: usize,
    /// Room for keys and values.
    pub room: Wanted,
}

/// Puts a server together around a model.
///
/// Errors: of usage when sequences are to be longer than the model or the memory allows; when a vocabulary cannot be
/// laid out or the system gives no threads.
pub fn build(
    (model, processor): (Vlm, Processor),
    settings: Settings,
    limits: Limits,
    capacity: Capacity,
) -> anyhow::Result<Arc<Server>> {
    let metrics = Arc::new(Metrics::default());
    let batch = ContinuousBatch::new(&model);
    // The batch's model shares the vision tower; what else is in the other one is not needed any more.
    let model = batch.model().clone();
    let text = &model.config().text;
    let room = Room::new(text, capacity.room, model.device() == Device::flex())?;
    warn_of_short_memory(room, capacity.room, text.max_position_embeddings);
    let bounds = Bounds {
        max_sequences: capacity.max_sequences,
        max_prompt_tokens: capacity.max_prompt_tokens,
        max_held_tokens: room.n_tokens(),
    };
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(pools::n_threads(text.hidden_size))
        .build()?;
    let preparer = Preparer::new(
        (model, processor),
        limits,
        room,
        capacity.max_sequences,
        metrics.clone(),
    )?;
    let scheduler = Scheduler::new(batch, bounds, metrics.clone());
    let worker = Worker::start(move |jobs| pool.install(move || scheduler.run(&jobs)))?;
    Ok(Arc::new(Server::new(settings, metrics, Arc::new(preparer), worker)))
}

/// Says so when there is less memory than the model's longest sequence takes.
fn warn_of_short_memory(room: Room, wanted: Wanted, longest: usize) {
    let most = room.max_model_len();
    if wanted.max_model_len.is_none() && most < longest {
        let hint = "--kv-cache-memory-bytes gives them more";
        eprintln!(
            "warning: there is memory for keys and values of {most} tokens a sequence, of the model's {longest}: {hint}"
        );
    }
}

/// Serves until asked to stop, then finishes what was let in, for at most `stop_time`.
///
/// Errors: of usage when the address cannot be had; of interruption when requests were cut off.
pub fn run(server: &Arc<Server>, address: (&str, u16), stop_time: Duration) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let taken = |error| Failure::usage(format!("--host {} --port {}: {error}", address.0, address.1));
        let listener = TcpListener::bind(address).await.map_err(taken)?;
        announce(listener.local_addr()?)?;
        // Tokens go out one by one: none must wait for another to fill a packet.
        let listener = listener.tap_io(|connection| {
            let _ = connection.set_nodelay(true);
        });
        let (close, closing) = oneshot::channel::<()>();
        let serving = axum::serve(listener, router(server.clone())).with_graceful_shutdown(async {
            let _ = closing.await;
        });
        let serving = tokio::spawn(serving.into_future());
        let n_cut_off = until_done(server, stop_time).await;
        let _ = close.send(());
        let _ = tokio::time::timeout(CLOSING_TIME, serving).await;
        if n_cut_off > 0 {
            let problem = format!("stopped on request; {n_cut_off} requests were cut off");
            return Err(Failure::interrupted(problem)
                .hint("--shutdown-timeout gives them more time")
                .into());
        }
        Ok(())
    })
}

/// Tells on standard output where the server listens, for whoever waits for it.
fn announce(address: SocketAddr) -> std::io::Result<()> {
    let mut output = std::io::stdout();
    writeln!(output, "listening on http://{address}")?;
    output.flush()
}

/// Waits until asked to stop, and then until nothing is in flight or the time is over; tells how many are.
async fn until_done(server: &Server, stop_time: Duration) -> u64 {
    while !interrupt::requested() {
        tokio::time::sleep(LOOK).await;
    }
    server.stop();
    let asked = Instant::now();
    while server.n_in_flight() > 0 && asked.elapsed() < stop_time {
        tokio::time::sleep(LOOK).await;
    }
    server.n_in_flight()
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
