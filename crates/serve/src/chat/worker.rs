//! The model's own thread, what is handed to it and what comes back.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};

use tokio::sync::mpsc::UnboundedSender;
use vlm::error::Error;
use vlm::generate::{Adjustments, GenerateOptions, Token, kv_cache};

use super::api_error::ApiError;
use super::grammar::Grammar;
use super::metrics::Metrics;
use super::prepare::Encoded;

/// A request, ready for the model.
pub struct Job {
    /// Token ids, image placeholders expanded.
    pub input_ids: Vec<u32>,
    /// The images' grids.
    pub grids: Vec<[usize; 3]>,
    /// The images' rows.
    pub images: Encoded,
    /// How to sample.
    pub options: Arc<GenerateOptions>,
    /// What sampling does beyond that.
    pub adjustments: Arc<Adjustments>,
    /// As in [`vlm::generate::Request`].
    pub n_top_logprobs: Option<usize>,
    /// Each completion's seed, and what it may say.
    pub members: Vec<(u64, Option<Grammar>)>,
    /// Where its tokens go. A client that disconnected has closed it.
    pub updates: UnboundedSender<Update>,
    /// For each completion, whether no more of it is wanted.
    pub stopped: Arc<[AtomicBool]>,
    /// Counts it among those that wait; released when it begins.
    pub waiting: Waiting,
}

impl Job {
    /// Tokens of the KV cache that it may take, its prompt padded to so many.
    pub fn kv_tokens(&self, padded: usize) -> usize {
        kv_cache::reserved(padded, self.members.len(), self.options.max_new_tokens)
    }
}

/// What happened to a request's completions.
pub enum Update {
    /// A token came.
    Token {
        /// Which completion's.
        member: usize,
        /// The token.
        token: Token,
    },
    /// A completion failed.
    Failed(ApiError),
}

/// Counts a request among those that wait, until it is dropped.
pub struct Waiting(Arc<Metrics>);

impl Waiting {
    /// One more, unless `most` wait.
    pub fn admit(metrics: &Arc<Metrics>, most: usize) -> Option<Self> {
        let n_waiting = metrics.requests_waiting.inner();
        n_waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < most as i64).then_some(n + 1)).ok()?;
        Some(Self(metrics.clone()))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.requests_waiting.dec();
    }
}

/// The other end of the model's thread.
pub struct Worker {
    jobs: Sender<Job>,
    failure: Arc<OnceLock<String>>,
}

impl Worker {
    /// Starts a thread that does `work` on the jobs that come until no more can come. When it fails or panics, all jobs
    /// under way are dropped, which closes their channels, and so is every later one.
    ///
    /// Errors: when the system gives no thread.
    pub fn start(work: impl FnOnce(Receiver<Job>) -> Result<(), Error> + Send + 'static) -> std::io::Result<Self> {
        let (jobs, receiver) = channel();
        let failure = Arc::new(OnceLock::new());
        let noted = failure.clone();
        std::thread::Builder::new().name("model".to_owned()).spawn(move || {
            let problem = match catch_unwind(AssertUnwindSafe(|| work(receiver))) {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error.to_string(),
                Err(panic) => panic_message(&*panic),
            };
            let _ = noted.set(problem);
        })?;
        Ok(Self { jobs, failure })
    }

    /// Hands a job over.
    ///
    /// Errors: 500 when the model's thread has ended.
    pub fn submit(&self, job: Job) -> Result<(), ApiError> {
        self.jobs.send(job).map_err(|_| self.ended())
    }

    /// Why the model's thread has ended, if it has.
    pub fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    /// The error of a request whose channel was closed.
    pub fn ended(&self) -> ApiError {
        let problem = self.failure().unwrap_or("an error of the server's");
        ApiError::internal(format!("the model's thread ended: {problem}"))
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a message".to_owned())
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;

    fn job(updates: UnboundedSender<Update>, metrics: &Arc<Metrics>) -> Job {
        Job {
            input_ids: vec![1, 2],
            grids: Vec::new(),
            images: Encoded::default(),
            options: Arc::default(),
            adjustments: Arc::default(),
            n_top_logprobs: None,
            members: vec![(0, None)],
            updates,
            stopped: [AtomicBool::new(false)].into(),
            waiting: Waiting::admit(metrics, 1).unwrap(),
        }
    }

    #[test]
    fn a_panic_closes_the_channels_under_way_and_is_reported_to_all_that_follow() {
        let worker = Worker::start(|jobs| {
            let _first = jobs.recv();
            panic!("the sum of {} parts", 3)
        })
        .unwrap();
        let metrics = Arc::new(Metrics::default());
        let (updates, mut receiver) = unbounded_channel();
        worker.submit(job(updates, &metrics)).unwrap();
        assert!(receiver.blocking_recv().is_none());
        // The channel closes while the thread unwinds; a moment later the reason is there.
        while worker.failure().is_none() {
            std::thread::yield_now();
        }
        assert_eq!(metrics.requests_waiting.get(), 0);
        let (updates, _receiver) = unbounded_channel();
        let error = worker.submit(job(updates, &metrics)).unwrap_err();
        assert_eq!(error.status, 500);
        assert_eq!(error.message, "the model's thread ended: the sum of 3 parts");
    }

    #[test]
    fn no_more_wait_than_may() {
        let metrics = Arc::new(Metrics::default());
        let first = Waiting::admit(&metrics, 2).unwrap();
        let _second = Waiting::admit(&metrics, 2).unwrap();
        assert!(Waiting::admit(&metrics, 2).is_none());
        drop(first);
        assert!(Waiting::admit(&metrics, 2).is_some());
    }
}
