//! The model's own thread: requests join its batch as room comes free, and every token goes out as soon as it is drawn.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};

use axum::http::StatusCode;
use burn::tensor::Tensor;
use tokio::sync::mpsc::UnboundedSender;
use vlm::batch::TokenSequence;
use vlm::error::Error;
use vlm::generate::{ContinuousBatch, Event, GenerateOptions, Member, Request, Token};

use super::error::ApiError;
use super::grammar::Grammar;
use super::metrics::Metrics;

/// A request, ready for the model.
pub struct Job {
    /// Token ids, image placeholders expanded.
    pub input_ids: Vec<u32>,
    /// The pictures' grids.
    pub grids: Vec<[usize; 3]>,
    /// The pictures' rows, `[m, d]`.
    pub images: Option<Tensor<2>>,
    /// How to sample.
    pub options: Arc<GenerateOptions>,
    /// As in [`Request`].
    pub n_top_logprobs: Option<usize>,
    /// Each completion's seed, and what it may say.
    pub members: Vec<(u64, Option<Grammar>)>,
    /// Where its tokens go. A client that has gone has closed it.
    pub updates: UnboundedSender<Update>,
    /// For each completion, whether no more of it is wanted.
    pub stopped: Arc<[AtomicBool]>,
    /// Its place among those that wait, given up when it begins.
    pub place: Waiting,
}

/// What a request hears of its completions.
pub enum Update {
    /// A token came.
    Token {
        /// Which completion's.
        member: usize,
        /// The token.
        token: Token,
    },
    /// A completion cannot go on.
    Failed(ApiError),
}

/// A place among the requests that wait.
pub struct Waiting(Arc<Metrics>);

impl Waiting {
    /// A place, unless `most` are taken.
    pub fn take(metrics: &Arc<Metrics>, most: usize) -> Option<Self> {
        metrics
            .requests_waiting
            .rise_below(most as u64)
            .then(|| Self(metrics.clone()))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.requests_waiting.fall();
    }
}

/// The other end of the model's thread.
pub struct Worker {
    jobs: Sender<Job>,
    failure: Arc<OnceLock<String>>,
}

impl Worker {
    /// Starts a thread that does `work` on the jobs that come until no more can come. When it fails or panics, all jobs
    /// under way are dropped, which closes their lines, and so is every later one.
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
            eprintln!("error: the model's thread ended: {problem}");
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

    /// What a request is told whose line was closed.
    pub fn ended(&self) -> ApiError {
        let problem = self.failure().unwrap_or("a fault of the server's");
        ApiError::internal(format!("the model's thread ended: {problem}"))
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}

/// What is in the batch and what waits for room in it.
pub struct Scheduler {
    /// The model at work.
    pub batch: ContinuousBatch,
    /// Sequences at once.
    pub max_sequences: usize,
    /// Tokens of prompts, padding included, computed between two steps; a longer prompt is computed alone.
    pub max_prompt_tokens: usize,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// A completion in the batch.
struct Active {
    member: usize,
    updates: UnboundedSender<Update>,
    stopped: Arc<[AtomicBool]>,
    // Counts its request as running while any of its completions is.
    _running: Arc<Running>,
}

struct Running(Arc<Metrics>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.requests_running.fall();
    }
}

impl Scheduler {
    /// Works until no more jobs can come.
    ///
    /// Errors: when the model's scores cannot be read.
    pub fn run(mut self, jobs: &Receiver<Job>) -> Result<(), Error> {
        let mut queue: VecDeque<Job> = VecDeque::new();
        let mut active: HashMap<u64, Active> = HashMap::new();
        let mut next_id = 0;
        loop {
            if queue.is_empty() && active.is_empty() {
                let Ok(job) = jobs.recv() else { return Ok(()) };
                queue.push_back(job);
            }
            queue.extend(jobs.try_iter());
            self.let_go(&mut queue, &mut active);
            let admitted = self.admitted(&mut queue, active.len());
            self.join(admitted, &mut active, &mut next_id);
            self.metrics.sequences_running.set(active.len() as u64);
            for Event { id, token } in self.batch.step()? {
                self.hand_out(id, token, &mut active);
            }
            self.metrics.sequences_running.set(active.len() as u64);
        }
    }

    /// Drops what nobody waits for any more.
    fn let_go(&mut self, queue: &mut VecDeque<Job>, active: &mut HashMap<u64, Active>) {
        queue.retain(|job| !job.updates.is_closed());
        active.retain(|&id, sequence| {
            let stopped = sequence.stopped[sequence.member].load(Ordering::Relaxed);
            let wanted = !stopped && !sequence.updates.is_closed();
            if !wanted {
                self.batch.leave(id);
            }
            wanted
        });
    }

    /// The jobs that join now: the first of the queue for which there is room.
    fn admitted(&self, queue: &mut VecDeque<Job>, mut n_sequences: usize) -> Vec<Job> {
        let (mut jobs, mut longest): (Vec<Job>, usize) = (Vec::new(), 0);
        while let Some(job) = queue.front() {
            longest = longest.max(job.input_ids.len());
            let fits = jobs.is_empty() || longest * (jobs.len() + 1) <= self.max_prompt_tokens;
            n_sequences += job.members.len();
            if !fits || n_sequences > self.max_sequences {
                break;
            }
            jobs.extend(queue.pop_front());
        }
        jobs
    }

    fn join(&mut self, jobs: Vec<Job>, active: &mut HashMap<u64, Active>, next_id: &mut u64) {
        let mut requests = Vec::with_capacity(jobs.len());
        let mut joining = Vec::new();
        for job in &jobs {
            self.metrics.requests_running.rise();
            let running = Arc::new(Running(self.metrics.clone()));
            let mut members = Vec::with_capacity(job.members.len());
            for (member, (seed, grammar)) in job.members.iter().enumerate() {
                let constraint = grammar.as_ref().map(|grammar| Box::new(grammar.copy()) as Box<_>);
                members.push(Member {
                    id: *next_id,
                    seed: *seed,
                    constraint,
                });
                let sequence = Active {
                    member,
                    updates: job.updates.clone(),
                    stopped: job.stopped.clone(),
                    _running: running.clone(),
                };
                joining.push((*next_id, sequence));
                *next_id += 1;
            }
            let sequence = TokenSequence {
                ids: &job.input_ids,
                grids: &job.grids,
            };
            requests.push(Request {
                sequence,
                images: job.images.clone(),
                members,
                options: job.options.clone(),
                n_top_logprobs: job.n_top_logprobs,
            });
        }
        match self.batch.join(requests) {
            Ok(()) => {
                let n_tokens: usize = jobs.iter().map(|job| job.input_ids.len()).sum();
                self.metrics.prompt_tokens.fetch_add(n_tokens as u64, Ordering::Relaxed);
                active.extend(joining);
                jobs.into_iter().for_each(|job| drop(job.place));
            }
            Err(error) => {
                for job in jobs {
                    let _ = job.updates.send(Update::Failed(api_error(&error)));
                }
            }
        }
    }

    /// Sends a token on its way. A closed line is noticed before the next step.
    fn hand_out(&self, id: u64, token: Result<Token, Error>, active: &mut HashMap<u64, Active>) {
        let Some(sequence) = active.get(&id) else { return };
        let (update, is_last) = match token {
            Ok(token) => {
                self.metrics.generation_tokens.fetch_add(1, Ordering::Relaxed);
                let is_last = token.finish_reason.is_some();
                let member = sequence.member;
                (Update::Token { member, token }, is_last)
            }
            Err(error) => (Update::Failed(api_error(&error)), true),
        };
        let _ = sequence.updates.send(update);
        if is_last {
            active.remove(&id);
        }
    }
}

/// A grammar that goes beyond the library's bounds is the client's; anything else that fails here is not.
fn api_error(error: &Error) -> ApiError {
    match error {
        Error::Constraint(problem) => ApiError::request(
            StatusCode::BAD_REQUEST,
            "unsupported_format",
            format!("the answer's format: {problem}"),
        ),
        other => ApiError::internal(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;

    #[test]
    fn a_panic_closes_the_lines_under_way_and_is_told_to_all_that_follow() {
        let worker = Worker::start(|jobs| {
            let _first = jobs.recv();
            panic!("the sum of {} parts", 3)
        })
        .unwrap();
        let metrics = Arc::new(Metrics::default());
        let job = |updates| Job {
            input_ids: vec![1, 2],
            grids: Vec::new(),
            images: None,
            options: Arc::new(GenerateOptions::default()),
            n_top_logprobs: None,
            members: vec![(0, None)],
            updates,
            stopped: [AtomicBool::new(false)].into(),
            place: Waiting::take(&metrics, 1).unwrap(),
        };
        let (updates, mut line) = unbounded_channel();
        worker.submit(job(updates)).unwrap();
        assert!(line.blocking_recv().is_none());
        // The line closes while the thread unwinds; a moment later the reason is there.
        while worker.failure().is_none() {
            std::thread::yield_now();
        }
        assert_eq!(metrics.requests_waiting.get(), 0);
        let (updates, _line) = unbounded_channel();
        let error = worker.submit(job(updates)).unwrap_err();
        assert_eq!(error.status, 500);
        assert_eq!(error.message, "the model's thread ended: the sum of 3 parts");
    }
}
