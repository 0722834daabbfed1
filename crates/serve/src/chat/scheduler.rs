//! What is in the batch and what waits for it: requests are admitted as the KV cache comes free, long prompts are
//! prefilled chunk by chunk between the others' steps, and every token goes out as soon as it is sampled.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;

use axum::http::StatusCode;
use tokio::sync::mpsc::UnboundedSender;
use vlm::batch::TokenSequence;
use vlm::error::Error;
use vlm::generate::{ContinuousBatch, Event, Member, Request, Token};

use super::api_error::ApiError;
use super::kv_budget::KvCacheSettings;
use super::metrics::Metrics;
use super::prefill_group::PrefillGroup;
use super::worker::{Job, Update};

/// How much is computed at once.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    /// Sequences in the batch.
    pub max_sequences: usize,
    /// Tokens of prompts, padding included, computed between two decoding steps. Longer prompts are prefilled in chunks
    /// of this size, except those of at most [`ContinuousBatch::MAX_WHOLE_PREFILL`] tokens.
    pub max_prompt_tokens: usize,
    /// The KV cache.
    pub kv_cache: KvCacheSettings,
}

impl Capacity {
    fn chunk(&self) -> usize {
        self.max_prompt_tokens.max(ContinuousBatch::MAX_WHOLE_PREFILL)
    }
}

/// The model at work.
pub struct Scheduler {
    batch: ContinuousBatch,
    capacity: Capacity,
    max_kv_tokens: usize,
    metrics: Arc<Metrics>,
    queue: VecDeque<Job>,
    active: HashMap<u64, Active>,
    next_id: u64,
    // Prompts were computed in the last iteration, so that in this one a long prompt may go first.
    has_admitted: bool,
}

/// A completion in the batch, or on its way there.
struct Active {
    member: usize,
    updates: UnboundedSender<Update>,
    stopped: Arc<[AtomicBool]>,
    // Released when all of its request's completions have ended.
    _reservation: Arc<Reservation>,
}

/// A request's part of what is counted.
struct Reservation {
    metrics: Arc<Metrics>,
    kv_tokens: i64,
}

impl Reservation {
    fn new(metrics: &Arc<Metrics>, kv_tokens: usize) -> Arc<Self> {
        let kv_tokens = kv_tokens as i64;
        metrics.requests_running.inc();
        metrics.kv_cache_tokens.inc_by(kv_tokens);
        Arc::new(Self { metrics: metrics.clone(), kv_tokens })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.metrics.requests_running.dec();
        self.metrics.kv_cache_tokens.dec_by(self.kv_tokens);
    }
}

impl Scheduler {
    /// Nothing to do yet; the KV cache holds `max_kv_tokens`.
    pub fn new(batch: ContinuousBatch, capacity: Capacity, max_kv_tokens: usize, metrics: Arc<Metrics>) -> Self {
        metrics.kv_cache_tokens_limit.set(max_kv_tokens as i64);
        let (queue, active) = (VecDeque::new(), HashMap::new());
        Self { batch, capacity, max_kv_tokens, metrics, queue, active, next_id: 0, has_admitted: false }
    }

    /// Works until no more jobs can come.
    ///
    /// Errors: when the model's scores cannot be read.
    pub fn run(mut self, jobs: &Receiver<Job>) -> Result<(), Error> {
        loop {
            if self.queue.is_empty() && self.active.is_empty() {
                let Ok(job) = jobs.recv() else { return Ok(()) };
                self.queue.push_back(job);
            }
            self.queue.extend(jobs.try_iter());
            self.iterate()?;
        }
    }

    /// Prefills prompts, or a chunk of one; then decodes a token of every sequence.
    fn iterate(&mut self) -> Result<(), Error> {
        self.drop_abandoned();
        // A long prompt and those that wait behind it take turns.
        let may_admit = !(self.has_admitted && self.batch.is_prefilling());
        self.has_admitted = may_admit && self.admit();
        if !self.has_admitted {
            self.batch.prefill_chunk(self.capacity.chunk());
        }
        self.metrics.sequences_running.set(self.active.len() as i64);
        for Event { id, token } in self.batch.step()? {
            self.deliver(id, token);
        }
        self.metrics.sequences_running.set(self.active.len() as i64);
        Ok(())
    }

    /// Drops what nobody waits for any more.
    fn drop_abandoned(&mut self) {
        self.queue.retain(|job| !job.updates.is_closed());
        self.active.retain(|&id, sequence| {
            let stopped = sequence.stopped[sequence.member].load(Ordering::Relaxed);
            let wanted = !stopped && !sequence.updates.is_closed();
            if !wanted {
                self.batch.abort(id);
            }
            wanted
        });
    }

    /// Admits jobs at the head of the queue as far as the KV cache allows; returns whether any prompt was computed.
    fn admit(&mut self) -> bool {
        let mut group = PrefillGroup::default();
        let mut n_sequences = self.active.len();
        while let Some(job) = self.queue.front() {
            n_sequences += job.members.len();
            let n_reserved = self.metrics.kv_cache_tokens.get() as usize;
            let n_free = self.max_kv_tokens.saturating_sub(n_reserved);
            let is_long = job.input_ids.len() > self.capacity.chunk();
            let fits = if is_long {
                group.kv_tokens() + job.kv_tokens(job.input_ids.len()) <= n_free
            } else {
                group.fits(job, self.capacity.max_prompt_tokens, n_free)
            };
            if !fits || n_sequences > self.capacity.max_sequences {
                break;
            }
            match self.queue.pop_front() {
                Some(job) if is_long => self.begin(job),
                Some(job) => group.push(job),
                None => break,
            }
        }
        self.prefill(&group)
    }

    /// Begins the prefill of a long prompt.
    fn begin(&mut self, job: Job) {
        let (request, sequences) = self.request(&job, job.input_ids.len());
        match self.batch.begin_prefill(request) {
            Ok(()) => self.active.extend(sequences),
            Err(error) => fail(&job, &error),
        }
        drop(job.waiting);
    }

    /// Computes the prompts of a group; returns whether there are any.
    fn prefill(&mut self, group: &PrefillGroup) -> bool {
        let requests = group.jobs.iter().map(|job| self.request(job, group.longest));
        let (requests, sequences): (Vec<Request>, Vec<_>) = requests.unzip();
        let any = !requests.is_empty();
        match self.batch.prefill(requests) {
            Ok(()) => self.active.extend(sequences.into_iter().flatten()),
            Err(error) => group.jobs.iter().for_each(|job| fail(job, &error)),
        }
        any
    }

    /// What a job requests of the batch, and its completions under fresh ids. `padded` is the length to which its
    /// prompt is padded.
    fn request<'a>(&mut self, job: &'a Job, padded: usize) -> (Request<'a>, Vec<(u64, Active)>) {
        self.metrics.prompt_tokens.inc_by(job.input_ids.len() as u64);
        let reservation = Reservation::new(&self.metrics, job.kv_tokens(padded));
        let (mut members, mut sequences) = (Vec::new(), Vec::new());
        for (member, (seed, grammar)) in job.members.iter().enumerate() {
            let id = self.next_id;
            self.next_id += 1;
            let constraint = grammar.as_ref().map(|grammar| Box::new(grammar.copy()) as Box<_>);
            members.push(Member { id, seed: *seed, constraint });
            let sequence = Active {
                member,
                updates: job.updates.clone(),
                stopped: job.stopped.clone(),
                _reservation: reservation.clone(),
            };
            sequences.push((id, sequence));
        }
        let request = Request {
            sequence: TokenSequence { ids: &job.input_ids, grids: &job.grids },
            images: job.images.rows.clone(),
            members,
            options: job.options.clone(),
            adjustments: job.adjustments.clone(),
            n_top_logprobs: job.n_top_logprobs,
        };
        (request, sequences)
    }

    /// Sends a token on its way. A closed channel is noticed before the next step.
    fn deliver(&mut self, id: u64, token: Result<Token, Error>) {
        let Some(sequence) = self.active.get(&id) else { return };
        let (update, is_last) = match token {
            Ok(token) => {
                self.metrics.generation_tokens.inc();
                let is_last = token.finish_reason.is_some();
                let member = sequence.member;
                (Update::Token { member, token }, is_last)
            }
            Err(error) => (Update::Failed(api_error(&error)), true),
        };
        let _ = sequence.updates.send(update);
        if is_last {
            self.active.remove(&id);
        }
    }
}

fn fail(job: &Job, error: &Error) {
    let _ = job.updates.send(Update::Failed(api_error(error)));
}

/// A grammar that goes beyond the library's bounds is the client's; anything else that fails here is not.
fn api_error(error: &Error) -> ApiError {
    match error {
        Error::Constraint(problem) => {
            ApiError::request(StatusCode::BAD_REQUEST, "unsupported_format", format!("the answer's format: {problem}"))
        }
        other => ApiError::internal(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use burn::tensor::Device;
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
    use vlm::generate::GenerateOptions;
    use vlm::model::Vlm;

    use super::*;
    use crate::chat::prepare::Encoded;
    use crate::chat::worker::Waiting;

    fn scheduler(max_kv_tokens: usize) -> Scheduler {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cli/assets/base");
        let model = Vlm::load(&folder, &Device::flex()).unwrap();
        let capacity = Capacity { max_sequences: 8, max_prompt_tokens: 64, kv_cache: KvCacheSettings::default() };
        Scheduler::new(ContinuousBatch::new(&model), capacity, max_kv_tokens, Arc::default())
    }

    /// Puts a job with a prompt and completions of these lengths into the queue.
    fn submit(
        scheduler: &mut Scheduler,
        n_prompt: usize,
        n: usize,
        max_new_tokens: usize,
    ) -> UnboundedReceiver<Update> {
        let (updates, receiver) = unbounded_channel();
        let options = GenerateOptions { max_new_tokens, ..GenerateOptions::default() };
        scheduler.queue.push_back(Job {
            input_ids: (0..n_prompt as u32).map(|index| 1 + index % 700).collect(),
            grids: Vec::new(),
            images: Encoded::default(),
            options: Arc::new(options),
            adjustments: Arc::default(),
            n_top_logprobs: None,
            members: (0..n as u64).map(|seed| (seed, None)).collect(),
            updates,
            stopped: (0..n).map(|_| AtomicBool::new(false)).collect(),
            waiting: Waiting::admit(&scheduler.metrics, 99).unwrap(),
        });
        receiver
    }

    fn n_tokens(receiver: &mut UnboundedReceiver<Update>) -> usize {
        let mut count = 0;
        while let Ok(Update::Token { .. }) = receiver.try_recv() {
            count += 1;
        }
        count
    }

    #[test]
    fn a_long_prompt_keeps_nobody_waiting() {
        let mut scheduler = scheduler(100_000);
        let mut first = submit(&mut scheduler, 20, 1, 90);
        scheduler.iterate().unwrap();
        // Four chunks of 512 tokens.
        let mut long = submit(&mut scheduler, 2000, 1, 5);
        let mut behind = submit(&mut scheduler, 30, 1, 90);
        assert_eq!(n_tokens(&mut first), 1);
        for iteration in 1..=4 {
            scheduler.iterate().unwrap();
            assert_eq!(n_tokens(&mut first), 1, "a token in iteration {iteration}");
            assert_eq!(n_tokens(&mut behind), 1, "who came later is admitted beside it");
            assert_eq!(n_tokens(&mut long), 0);
        }
        scheduler.iterate().unwrap();
        assert_eq!(n_tokens(&mut long), 1);
        assert_eq!(scheduler.metrics.prompt_tokens.get(), 2050);
    }

    #[test]
    fn a_long_prompt_is_prefilled_however_many_others_come() {
        let mut scheduler = scheduler(100_000);
        let mut long = submit(&mut scheduler, 2000, 1, 5);
        let receivers: Vec<_> = (0..7).map(|_| submit(&mut scheduler, 60, 1, 200)).collect();
        let n_iterations = (1..100).find(|_| {
            scheduler.iterate().unwrap();
            n_tokens(&mut long) > 0
        });
        assert_eq!(
            n_iterations,
            Some(8),
            "one prompt an iteration of 64 tokens, and every other iteration a chunk of four"
        );
        drop(receivers);
    }

    #[test]
    fn a_job_without_memory_waits_for_those_before_and_holds_up_those_behind() {
        let mut scheduler = scheduler(512);
        // 24 for the prompt, padding included, and 160 for each completion of up to 160.
        let mut first = submit(&mut scheduler, 10, 2, 160);
        let mut second = submit(&mut scheduler, 10, 2, 160);
        let mut third = submit(&mut scheduler, 10, 1, 2);
        scheduler.iterate().unwrap();
        assert_eq!((n_tokens(&mut first), n_tokens(&mut second), n_tokens(&mut third)), (2, 0, 0));
        assert_eq!(scheduler.metrics.kv_cache_tokens.get(), 344);
        assert_eq!(scheduler.metrics.requests_waiting.get(), 2);
        drop(first);
        scheduler.iterate().unwrap();
        assert_eq!((n_tokens(&mut second), n_tokens(&mut third)), (2, 1));
        assert_eq!(scheduler.metrics.kv_cache_tokens.get(), 344 + 56);
        assert_eq!(scheduler.metrics.requests_waiting.get(), 0);
        drop(second);
        for _ in 0..2 {
            scheduler.iterate().unwrap();
        }
        assert_eq!(scheduler.metrics.kv_cache_tokens.get(), 0);
        assert_eq!(scheduler.metrics.requests_running.get(), 0);
    }
}
