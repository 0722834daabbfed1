//! What all requests share: the model's thread, who may ask, how many may wait.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::{HeaderMap, StatusCode, header};
use sha2::{Digest, Sha256};

use super::error::ApiError;
use super::metrics::{Gauge, Metrics};
use super::prepare::Preparer;
use super::worker::{Waiting, Worker};

/// What the server was told when it was started.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What clients call the model.
    pub model_name: String,
    /// What clients must show, if anything.
    pub api_key: Option<String>,
    /// Requests that may wait.
    pub max_waiting: usize,
    /// Bytes of a request's body.
    pub max_request_bytes: usize,
}

/// The server.
pub struct Server {
    /// What it was told.
    pub settings: Settings,
    /// What it counts.
    pub metrics: Arc<Metrics>,
    /// Makes requests ready.
    pub preparer: Arc<Preparer>,
    /// Answers them.
    pub worker: Worker,
    /// When it began, in seconds since 1970.
    pub started: u64,
    n_in_flight: Arc<Gauge>,
    stopping: AtomicBool,
    // Differs from process to process, and counts requests.
    chance: std::hash::RandomState,
    n_requests: AtomicU64,
}

/// A request that has been let in and not been answered to the end.
pub struct InFlight(Arc<Gauge>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fall();
    }
}

impl Server {
    /// A server that lets requests in.
    pub fn new(settings: Settings, metrics: Arc<Metrics>, preparer: Arc<Preparer>, worker: Worker) -> Self {
        Self {
            settings,
            metrics,
            preparer,
            worker,
            started: now(),
            n_in_flight: Arc::default(),
            stopping: AtomicBool::new(false),
            chance: std::hash::RandomState::new(),
            n_requests: AtomicU64::new(0),
        }
    }

    /// Makes sure that the client shows the key, if there is one. Hashes are compared, so that the time it takes tells
    /// nothing of the key.
    ///
    /// Errors: 401.
    pub fn authorise(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let Some(key) = &self.settings.api_key else {
            return Ok(());
        };
        let shown = headers
            .get(header::AUTHORIZATION)
            .map_or(&b""[..], |value| value.as_bytes());
        if Sha256::digest(shown) == Sha256::digest(format!("Bearer {key}")) {
            return Ok(());
        }
        let problem = "expected the header `Authorization: Bearer KEY` with the key that the server was started with";
        Err(ApiError::new(StatusCode::UNAUTHORIZED, "invalid_api_key", problem))
    }

    /// Lets a request in.
    ///
    /// Errors: 503 while the server stops, 429 when as many wait as may.
    pub fn admit(&self) -> Result<(Waiting, InFlight), ApiError> {
        self.n_in_flight.rise();
        let in_flight = InFlight(self.n_in_flight.clone());
        if self.is_stopping() {
            let problem = "the server is stopping";
            return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", problem));
        }
        let most = self.settings.max_waiting;
        let full = || {
            let problem = format!("{most} requests wait already, as many as may: try again later");
            ApiError::new(StatusCode::TOO_MANY_REQUESTS, "queue_full", problem)
        };
        let place = Waiting::take(&self.metrics, most).ok_or_else(full)?;
        Ok((place, in_flight))
    }

    /// Makes sure that the model asked for is the one served; no name asks for whichever that is.
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

    /// Lets no further request in.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    /// Whether no further request is let in.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Requests that have not been answered to the end.
    pub fn n_in_flight(&self) -> u64 {
        self.n_in_flight.get()
    }

    /// A seed for a request that brings none.
    pub fn fresh_seed(&self) -> u64 {
        self.chance.hash_one(self.n_requests.fetch_add(1, Ordering::Relaxed))
    }

    /// A name for an answer.
    pub fn fresh_id(&self) -> String {
        format!("chatcmpl-{:016x}", self.fresh_seed())
    }
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs())
}
