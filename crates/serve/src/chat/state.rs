//! What all requests share: the model's thread, which clients are served, how many requests may wait.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use axum::http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::api_error::ApiError;
use super::metrics::Metrics;
use super::prepare::Preparer;
use super::worker::{Waiting, Worker};

/// How the server was started.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What clients call the model.
    pub model_name: String,
    /// The key that clients must send, if any.
    pub api_key: Option<String>,
    /// Requests that may wait.
    pub max_waiting: usize,
    /// Bytes of a request's body.
    pub max_request_bytes: usize,
}

/// The server.
pub struct Server {
    /// How it was started.
    pub settings: Settings,
    /// What it counts.
    pub metrics: Arc<Metrics>,
    /// Makes requests ready.
    pub preparer: Arc<Preparer>,
    /// Answers them.
    pub worker: Worker,
    /// When it began, in seconds since 1970.
    pub started: i64,
    // A clone for every request in flight.
    in_flight: InFlight,
    stopping: AtomicBool,
    // Differs from process to process, and counts requests.
    random: RandomState,
    n_requests: AtomicU64,
}

/// Kept by a request that was admitted and has not been answered to the end.
#[derive(Clone, Default)]
pub struct InFlight(Arc<()>);

impl Server {
    /// A server that admits requests.
    pub fn new(settings: Settings, metrics: Arc<Metrics>, preparer: Arc<Preparer>, worker: Worker) -> Self {
        Self {
            settings,
            metrics,
            preparer,
            worker,
            started: now(),
            in_flight: InFlight::default(),
            stopping: AtomicBool::new(false),
            random: RandomState::new(),
            n_requests: AtomicU64::new(0),
        }
    }

    /// Makes sure that the client sent the key, if there is one. Hashes are compared, so that the time it takes says
    /// nothing of the key.
    ///
    /// Errors: 401.
    pub fn authorize(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let Some(key) = &self.settings.api_key else {
            return Ok(());
        };
        let sent = headers.get(header::AUTHORIZATION).map_or(&b""[..], |value| value.as_bytes());
        if Sha256::digest(sent) == Sha256::digest(format!("Bearer {key}")) {
            return Ok(());
        }
        let problem = "expected the header `Authorization: Bearer KEY` with the key that the server was started with";
        Err(ApiError::new(StatusCode::UNAUTHORIZED, "invalid_api_key", problem))
    }

    /// Admits a request.
    ///
    /// Errors: 503 while the server stops, 429 when as many wait as may.
    pub fn admit(&self) -> Result<(Waiting, InFlight), ApiError> {
        let in_flight = self.in_flight.clone();
        if self.is_stopping() {
            let problem = "the server is stopping";
            return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", problem));
        }
        let most = self.settings.max_waiting;
        let Some(waiting) = Waiting::admit(&self.metrics, most) else {
            let problem = format!("{most} requests are waiting, the queue is full: try again later");
            return Err(ApiError::new(StatusCode::TOO_MANY_REQUESTS, "queue_full", problem));
        };
        Ok((waiting, in_flight))
    }

    /// Makes sure that the model requested is the one served; no name requests whichever that is.
    ///
    /// Errors: 404.
    pub fn check_model(&self, name: Option<&str>) -> Result<(), ApiError> {
        let served = &self.settings.model_name;
        match name {
            Some(name) if name != served => Err(ApiError {
                param: Some("model".to_owned()),
                ..ApiError::new(
                    StatusCode::NOT_FOUND,
                    "model_not_found",
                    format!("`model`: expected `{served}`, got `{name}`"),
                )
            }),
            _ => Ok(()),
        }
    }

    /// Admits no further request.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    /// Whether no further request is admitted.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Requests that have not been answered to the end.
    pub fn n_in_flight(&self) -> usize {
        Arc::strong_count(&self.in_flight.0) - 1
    }

    /// A seed for a request that brings none.
    pub fn fresh_seed(&self) -> u64 {
        self.random.hash_one(self.n_requests.fetch_add(1, Ordering::Relaxed))
    }
}

/// Seconds since 1970.
pub fn now() -> i64 {
    Timestamp::now().as_second()
}
