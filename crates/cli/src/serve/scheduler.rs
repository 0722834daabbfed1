//! What is in the batch and what waits for room in it: requests join as room comes free, long prompts are read piece by
//! piece between the others' steps, and every token goes out as soon as it is drawn.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;

use axum::http::StatusCode;
use tokio::sync::mpsc::UnboundedSender;
use vlm::batch::TokenSequence;
use vlm::error::Error;
use vlm::generate::{ContinuousBatch, Event, Member, Request, Token, held};

use super::error::ApiError;
use super::metrics::Metrics;
use super::worker::{Job, Update};

/// How much is computed at once.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Sequences at once.
    pub max_sequences: usize,
    /// Tokens of prompts, padding included, computed between two steps. Longer prompts are read in pieces of this size,
    /// but for those of at most [`ContinuousBatch::READ_AT_ONCE`] tokens.
    pub max_prompt_tokens: usize,
    /// Tokens whose keys and values are held at once.
    pub max_held_tokens: usize,
}

impl Bounds {
    fn piece(&self) -> usize {
        self.max_prompt_tokens.max(ContinuousBatch::READ_AT_ONCE)
    }
}

/// The model at work.
pub struct Scheduler {
    batch: ContinuousBatch,
    bounds: Bounds,
    metrics: Arc<Metrics>,
    queue: VecDeque<Job>,
    active: HashMap<u64, Active>,
    next_id: u64,
    // Prompts joined in the last turn, so that in this one a long prompt may be read on.
    has_joined: bool,
}

/// A completion in the batch, or on its way there.
struct Active {
    member: usize,
    updates: UnboundedSender<Update>,
    stopped: Arc<[AtomicBool]>,
    // What its request takes up until all of its completions have ended.
    _share: Arc<Share>,
}

/// A request's part of what is counted.
struct Share {
    metrics: Arc<Metrics>,
    n_held: usize,
}

impl Share {
    fn take(metrics: &Arc<Metrics>, n_held: usize) -> Arc<Self> {
        metrics.requests_running.rise();
        metrics.held_tokens.rise_by(n_held as u64);
        Arc::new(Self {
            metrics: metrics.clone(),
            n_held,
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.metrics.requests_running.fall();
        self.metrics.held_tokens.fall_by(self.n_held as u64);
    }
}

impl Scheduler {
    /// Nothing to do yet.
    pub fn new(batch: ContinuousBatch, bounds: Bounds, metrics: Arc<Metrics>) -> Self {
        metrics.held_tokens_limit.set(bounds.max_held_tokens as u64);
        Self {
            batch,
            bounds,
            metrics,
            queue: VecDeque::new(),
            active: HashMap::new(),
            next_id: 0,
            has_joined: false,
        }
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
            self.turn()?;
        }
    }

    /// Prompts, or a piece of one; then a step of all that are read.
    fn turn(&mut self) -> Result<(), Error> {
        self.let_go();
        // A long prompt and those that wait behind it take turns.
        let may_join = !(self.has_joined && self.batch.is_reading());
        self.has_joined = may_join && self.let_in();
        if !self.has_joined {
            self.batch.read_on(self.bounds.piece());
        }
        self.metrics.sequences_running.set(self.active.len() as u64);
        for Event { id, token } in self.batch.step()? {
            self.hand_out(id, token);
        }
        self.metrics.sequences_running.set(self.active.len() as u64);
        Ok(())
    }

    /// Drops what nobody waits for any more.
    fn let_go(&mut self) {
        self.queue.retain(|job| !job.updates.is_closed());
        self.active.retain(|&id, sequence| {
            let stopped = sequence.stopped[sequence.member].load(Ordering::Relaxed);
            let wanted = !stopped && !sequence.updates.is_closed();
            if !wanted {
                self.batch.leave(id);
            }
            wanted
        });
    }

    /// Lets in those at the head of the queue for whom there is room; tells whether any prompt was computed.
    fn let_in(&mut self) -> bool {
        let mut group = Group::default();
        let mut n_sequences = self.active.len();
        while let Some(job) = self.queue.front() {
            n_sequences += job.members.len();
            let n_free = self
                .bounds
                .max_held_tokens
                .saturating_sub(self.metrics.held_tokens.get() as usize);
            let is_long = job.input_ids.len() > self.bounds.piece();
            let fits = if is_long {
                group.n_held() + job.n_held(job.input_ids.len()) <= n_free
            } else {
                group.may_take(job, self.bounds.max_prompt_tokens, n_free)
            };
            if !fits || n_sequences > self.bounds.max_sequences {
                break;
            }
            match self.queue.pop_front() {
                Some(job) if is_long => self.begin(job),
                Some(job) => group.take(job),
                None => break,
            }
        }
        self.join(group)
    }

    /// Begins to read a long prompt.
    fn begin(&mut self, job: Job) {
        let (request, sequences) = self.request(&job, job.input_ids.len());
        match self.batch.begin(request) {
            Ok(()) => self.active.extend(sequences),
            Err(error) => job.fail(&error),
        }
        drop(job.place);
    }

    /// Computes the prompts of a group; tells whether there are any.
    fn join(&mut self, group: Group) -> bool {
        let requests = group.jobs.iter().map(|job| self.request(job, group.longest));
        let (requests, sequences): (Vec<Request>, Vec<_>) = requests.unzip();
        let any = !requests.is_empty();
        match self.batch.join(requests) {
            Ok(()) => self.active.extend(sequences.into_iter().flatten()),
            Err(error) => group.jobs.iter().for_each(|job| job.fail(&error)),
        }
        group.jobs.into_iter().for_each(|job| drop(job.place));
        any
    }

    /// What a job asks of the batch, and its completions, called by fresh names. `padded` is the length to which its
    /// prompt is padded.
    fn request<'a>(&mut self, job: &'a Job, padded: usize) -> (Request<'a>, Vec<(u64, Active)>) {
        let n_tokens = job.input_ids.len() as u64;
        self.metrics.prompt_tokens.fetch_add(n_tokens, Ordering::Relaxed);
        let share = Share::take(&self.metrics, job.n_held(padded));
        let (mut members, mut sequences) = (Vec::new(), Vec::new());
        for (member, (seed, grammar)) in job.members.iter().enumerate() {
            let id = self.next_id;
            self.next_id += 1;
            let constraint = grammar.as_ref().map(|grammar| Box::new(grammar.copy()) as Box<_>);
            members.push(Member {
                id,
                seed: *seed,
                constraint,
            });
            let sequence = Active {
                member,
                updates: job.updates.clone(),
                stopped: job.stopped.clone(),
                _share: share.clone(),
            };
            sequences.push((id, sequence));
        }
        let request = Request {
            sequence: TokenSequence {
                ids: &job.input_ids,
                grids: &job.grids,
            },
            images: job.pictures.rows.clone(),
            members,
            options: job.options.clone(),
            adjustments: job.adjustments.clone(),
            n_top_logprobs: job.n_top_logprobs,
        };
        (request, sequences)
    }

    /// Sends a token on its way. A closed line is noticed before the next step.
    fn hand_out(&mut self, id: u64, token: Result<Token, Error>) {
        let Some(sequence) = self.active.get(&id) else { return };
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
            self.active.remove(&id);
        }
    }
}

impl Job {
    /// Tokens held for it at most, its prompt padded to so many.
    fn n_held(&self, padded: usize) -> usize {
        held::tokens(padded, self.members.len(), self.options.max_new_tokens)
    }

    fn fail(&self, error: &Error) {
        let _ = self.updates.send(Update::Failed(api_error(error)));
    }
}

/// Jobs whose prompts are computed side by side, padded to the longest of them.
#[derive(Default)]
struct Group {
    jobs: Vec<Job>,
    longest: usize,
}

impl Group {
    /// Whether a job may be one of them where so many tokens are computed in a turn, and so many more may be held. One
    /// alone may always be computed.
    fn may_take(&self, job: &Job, max_prompt_tokens: usize, n_free: usize) -> bool {
        let padded = self.longest.max(job.input_ids.len());
        let fits_turn = self.jobs.is_empty() || padded * (self.jobs.len() + 1) <= max_prompt_tokens;
        fits_turn && self.held_at(padded) + job.n_held(padded) <= n_free
    }

    fn take(&mut self, job: Job) {
        self.longest = self.longest.max(job.input_ids.len());
        self.jobs.push(job);
    }

    fn n_held(&self) -> usize {
        self.held_at(self.longest)
    }

    fn held_at(&self, padded: usize) -> usize {
        self.jobs.iter().map(|job| job.n_held(padded)).sum()
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
    use std::path::Path;

    use burn::tensor::Device;
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
    use vlm::generate::GenerateOptions;
    use vlm::model::Vlm;

    use super::*;
    use crate::serve::prepare::Encoded;
    use crate::serve::worker::Waiting;

    fn scheduler(max_held_tokens: usize) -> Scheduler {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/base");
        let model = Vlm::load(&folder, &Device::flex()).unwrap();
        let bounds = Bounds {
            max_sequences: 8,
            max_prompt_tokens: 64,
            max_held_tokens,
        };
        Scheduler::new(ContinuousBatch::new(&model), bounds, Arc::default())
    }

    /// Puts a job with a prompt and completions of these lengths into the queue.
    fn ask(scheduler: &mut Scheduler, n_prompt: usize, n: usize, max_new_tokens: usize) -> UnboundedReceiver<Update> {
        let (updates, line) = unbounded_channel();
        let options = GenerateOptions {
            max_new_tokens,
            ..GenerateOptions::default()
        };
        scheduler.queue.push_back(Job {
            input_ids: (0..n_prompt as u32).map(|index| 1 + index % 700).collect(),
            grids: Vec::new(),
            pictures: Encoded::default(),
            options: Arc::new(options),
            adjustments: Arc::default(),
            n_top_logprobs: None,
            members: (0..n as u64).map(|seed| (seed, None)).collect(),
            updates,
            stopped: (0..n).map(|_| AtomicBool::new(false)).collect(),
            place: Waiting::take(&scheduler.metrics, 99).unwrap(),
        });
        line
    }

    fn n_tokens(line: &mut UnboundedReceiver<Update>) -> usize {
        let mut count = 0;
        while let Ok(Update::Token { .. }) = line.try_recv() {
            count += 1;
        }
        count
    }

    #[test]
    fn a_long_prompt_keeps_nobody_waiting() {
        let mut scheduler = scheduler(100_000);
        let mut first = ask(&mut scheduler, 20, 1, 90);
        scheduler.turn().unwrap();
        // Four pieces of 512 tokens.
        let mut long = ask(&mut scheduler, 2000, 1, 5);
        let mut behind = ask(&mut scheduler, 30, 1, 90);
        assert_eq!(n_tokens(&mut first), 1);
        for turn in 1..=4 {
            scheduler.turn().unwrap();
            assert_eq!(n_tokens(&mut first), 1, "a token in turn {turn}");
            assert_eq!(n_tokens(&mut behind), 1, "who came later is let in beside it");
            assert_eq!(n_tokens(&mut long), 0);
        }
        scheduler.turn().unwrap();
        assert_eq!(n_tokens(&mut long), 1);
        assert_eq!(scheduler.metrics.prompt_tokens.load(Ordering::Relaxed), 2050);
    }

    #[test]
    fn a_long_prompt_is_read_on_however_many_others_come() {
        let mut scheduler = scheduler(100_000);
        let mut long = ask(&mut scheduler, 2000, 1, 5);
        let lines: Vec<_> = (0..7).map(|_| ask(&mut scheduler, 60, 1, 200)).collect();
        let n_turns = (1..100).find(|_| {
            scheduler.turn().unwrap();
            n_tokens(&mut long) > 0
        });
        assert_eq!(
            n_turns,
            Some(8),
            "one prompt a turn of 64 tokens, and every other turn a piece of four"
        );
        drop(lines);
    }

    #[test]
    fn who_finds_no_memory_waits_for_those_before_and_holds_up_those_behind() {
        let mut scheduler = scheduler(512);
        // 24 for the prompt, padding included, and 160 for each completion of up to 160.
        let mut first = ask(&mut scheduler, 10, 2, 160);
        let mut second = ask(&mut scheduler, 10, 2, 160);
        let mut third = ask(&mut scheduler, 10, 1, 2);
        scheduler.turn().unwrap();
        assert_eq!(
            (n_tokens(&mut first), n_tokens(&mut second), n_tokens(&mut third)),
            (2, 0, 0)
        );
        assert_eq!(scheduler.metrics.held_tokens.get(), 344);
        assert_eq!(scheduler.metrics.requests_waiting.get(), 2);
        drop(first);
        scheduler.turn().unwrap();
        assert_eq!((n_tokens(&mut second), n_tokens(&mut third)), (2, 1));
        assert_eq!(scheduler.metrics.held_tokens.get(), 344 + 56);
        assert_eq!(scheduler.metrics.requests_waiting.get(), 0);
        drop(second);
        for _ in 0..2 {
            scheduler.turn().unwrap();
        }
        assert_eq!(scheduler.metrics.held_tokens.get(), 0);
        assert_eq!(scheduler.metrics.requests_running.get(), 0);
    }
}
