//! Continuous batching: sequences begin and end between tokens, each token handed out as it is sampled.

use std::collections::VecDeque;

use burn::tensor::Tensor;

use super::decoder::{ChunkedPrefill, Decoder, prompt_batch};
use super::options::GenerateOptions;
use super::request::{Event, Request};
use super::sequence::Running;
use crate::attention::BLOCKWISE_FROM;
use crate::batch::TokenSequence;
use crate::error::Error;
use crate::model::Vlm;

/// Sequences that have ended stay in the batch, idle, until they are one in this many, or hold one in so many of the
/// cached tokens: taking rows out moves all that remain.
const ROWS_PER_IDLE_ROW: usize = 8;

/// The sequences under way.
pub struct ContinuousBatch {
    decoder: Decoder,
    // In the order of the decoder's rows.
    running: Vec<Running>,
    // In the order in which they began.
    prefilling: VecDeque<Prefilling>,
}

/// A prompt that is prefilled chunk by chunk, and the completions that wait for it.
struct Prefilling {
    prompt: ChunkedPrefill,
    sequences: Vec<Running>,
}

impl ContinuousBatch {
    /// Prompts of at most so many tokens are better prefilled whole: in chunks they come out equal up to rounding only,
    /// and up to this length bits are promised (see the [module](super)'s words on batches).
    pub const MAX_WHOLE_PREFILL: usize = BLOCKWISE_FROM;

    /// An empty batch. It holds the decoder's weights once more, adapters merged, in the layout that is fastest for few
    /// rows.
    pub fn new(model: &Vlm) -> Self {
        Self::over(model.for_sampling())
    }

    /// The same over a model that already is one for sampling.
    pub(super) fn over(model: Vlm) -> Self {
        Self { decoder: Decoder::new(model), running: Vec::new(), prefilling: VecDeque::new() }
    }

    /// The model, its decoder laid out for sampling; its vision tower is the original's.
    pub fn model(&self) -> &Vlm {
        &self.decoder.model
    }

    /// Sequences that take part in steps and have not ended.
    pub fn n_running(&self) -> usize {
        self.running.iter().filter(|sequence| !sequence.has_ended).count()
    }

    /// Whether any prompt is being prefilled chunk by chunk.
    pub fn is_prefilling(&self) -> bool {
        !self.prefilling.is_empty()
    }

    /// Makes sure that a prompt of `n_tokens` can be completed.
    ///
    /// Errors: `Input` when an option is out of range or the prompt is too short or, with its completion, too long.
    pub fn check(model: &Vlm, n_tokens: usize, options: &GenerateOptions) -> Result<(), Error> {
        options.check()?;
        let max_positions = model.config().text.max_position_embeddings;
        options.check_length(n_tokens, max_positions).map_err(Error::Input)
    }

    fn check_request(&self, request: &Request) -> Result<(), Error> {
        request.adjustments.check()?;
        Self::check(self.model(), request.sequence.ids.len(), &request.options)
    }

    /// Prefills the prompts, each once for all its members, which take part from the next step on. Prompts are computed
    /// side by side, so that few at a time keep the others waiting less.
    ///
    /// Errors: as [`Self::check`] and [`crate::batch::Batch::new`], and `Input` when image tokens and rows disagree;
    /// none of the requests has begun then.
    pub fn prefill(&mut self, requests: Vec<Request>) -> Result<(), Error> {
        for request in &requests {
            self.check_request(request)?;
        }
        // Long prompts attend in another way than short ones, whichever are computed beside them. A prompt's last token
        // is no part of its prefill.
        let (long, short): (Vec<Request>, Vec<Request>) =
            requests.into_iter().partition(|request| request.sequence.ids.len() > BLOCKWISE_FROM);
        let members = short.iter().flat_map(|request| &request.members);
        let begun: Vec<u64> = members.map(|member| member.id).collect();
        self.prefill_together(short)?;
        self.prefill_together(long).inspect_err(|_| begun.into_iter().for_each(|id| self.abort(id)))
    }

    fn prefill_together(&mut self, requests: Vec<Request>) -> Result<(), Error> {
        let mut prompt_of_row = Vec::new();
        for (prompt, request) in requests.iter().enumerate() {
            prompt_of_row.extend(std::iter::repeat_n(prompt, request.members.len()));
        }
        if prompt_of_row.is_empty() {
            return Ok(());
        }
        let sequences: Vec<TokenSequence> = requests.iter().map(|request| request.sequence).collect();
        let batch = prompt_batch(&sequences, self.decoder.model.config())?;
        let images: Vec<Tensor<2>> = requests.iter().filter_map(|request| request.images.clone()).collect();
        let images = (!images.is_empty()).then(|| Tensor::cat(images, 0));
        self.decoder.prefill(&batch, images, &prompt_of_row)?;
        for (request, &position) in requests.into_iter().zip(&batch.next_positions) {
            self.running.extend(Running::of(request, position));
        }
        Ok(())
    }

    /// Begins to prefill a prompt chunk by chunk, so that steps may come between: [`Self::prefill_chunk`] computes. Its
    /// completions take part once all of it is computed.
    ///
    /// Errors: as [`Self::prefill`].
    pub fn begin_prefill(&mut self, request: Request) -> Result<(), Error> {
        self.check_request(&request)?;
        let prompt = ChunkedPrefill::new(self.model(), request.sequence, request.images.clone())?;
        let sequences = Running::of(request, prompt.batch.next_positions[0]).collect();
        self.prefilling.push_back(Prefilling { prompt, sequences });
        Ok(())
    }

    /// Prefills at most `n_tokens` further tokens of the prompt that began first; returns how many. What comes of a
    /// prompt depends, up to rounding, on the sizes of its chunks, but not on what else is computed between them.
    pub fn prefill_chunk(&mut self, n_tokens: usize) -> usize {
        let Some(Prefilling { prompt, .. }) = self.prefilling.front_mut() else {
            return 0;
        };
        let n_computed = prompt.compute(&self.decoder.model, n_tokens);
        if prompt.is_complete()
            && let Some(Prefilling { prompt, mut sequences }) = self.prefilling.pop_front()
        {
            sequences.retain(|sequence| !sequence.has_ended);
            self.decoder.add_prefilled(prompt, sequences.len());
            self.running.extend(sequences);
        }
        n_computed
    }

    /// Ends a completion before its time; it has no further events.
    pub fn abort(&mut self, id: u64) {
        let waiting = self.prefilling.iter_mut().flat_map(|prompt| &mut prompt.sequences);
        for sequence in self.running.iter_mut().chain(waiting) {
            if sequence.id == id {
                sequence.has_ended = true;
            }
        }
        self.prefilling.retain(|prompt| !prompt.sequences.iter().all(|sequence| sequence.has_ended));
    }

    /// Samples the next token of every sequence. An error in place of a token ends that sequence alone.
    ///
    /// Errors: `Input` when scores cannot be read back; nothing is known of any sequence then.
    pub fn step(&mut self) -> Result<Vec<Event>, Error> {
        self.drop_ended();
        if self.running.is_empty() {
            return Ok(Vec::new());
        }
        let (tokens, positions): (Vec<u32>, Vec<u32>) =
            self.running.iter().map(|sequence| (sequence.last_token, sequence.position)).unzip();
        let scores = self.decoder.step(&tokens, &positions)?;
        let n_scores = self.decoder.model.config().text.vocab_size;
        let mut events = Vec::with_capacity(self.running.len());
        for (sequence, scores) in self.running.iter_mut().zip(scores.chunks_exact(n_scores)) {
            if !sequence.has_ended {
                events.push(Event { id: sequence.id, token: sequence.sample(scores) });
            }
        }
        Ok(events)
    }

    fn drop_ended(&mut self) {
        let live: Vec<bool> = self.running.iter().map(|sequence| !sequence.has_ended).collect();
        let cached = self.decoder.cached_by_rows();
        let (mut n_idle, mut n_cached_idle) = (0, 0);
        for (live, cached) in live.iter().zip(&cached) {
            if !live {
                n_idle += 1;
                n_cached_idle += cached;
            }
        }
        if is_worth_dropping(n_idle, live.len()) || is_worth_dropping(n_cached_idle, cached.iter().sum()) {
            self.decoder.keep(&live);
            self.running.retain(|sequence| !sequence.has_ended);
        }
    }
}

fn is_worth_dropping(n_idle: usize, total: usize) -> bool {
    n_idle > 0 && n_idle * ROWS_PER_IDLE_ROW >= total
}
