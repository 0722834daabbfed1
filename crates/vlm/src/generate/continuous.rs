//! Sequences that join and leave between tokens, each token handed out as it is drawn.

use std::collections::VecDeque;
use std::sync::Arc;

use burn::tensor::Tensor;

use super::adjustments::Adjustments;
use super::decoder::{Decoder, LongPrompt, prompt_batch};
use super::sequence::Running;
use super::{FinishReason, GenerateOptions, ModelLogprobs, check_length, check_options};
use crate::attention::BLOCKWISE_FROM;
use crate::batch::TokenSequence;
use crate::error::Error;
use crate::model::Vlm;

/// Sequences that have ended stay in the batch, idle, until they are one in this many, or hold one in so many of the
/// keys and values: taking rows out moves all that remain.
const ROWS_PER_IDLE_ROW: usize = 8;

/// What a sequence may say, told token by token: a grammar, for one. Nothing of it is known here.
pub trait Constraint: Send {
    /// Calls `ban` with every token that may not come next.
    ///
    /// Errors: whatever keeps it from telling, in words; it ends the sequence.
    fn ban(&mut self, ban: &mut dyn FnMut(u32)) -> Result<(), String>;

    /// Takes note of the token that came.
    ///
    /// Errors: as [`Self::ban`].
    fn accept(&mut self, token: u32) -> Result<(), String>;
}

/// A prompt whose completions join the batch together.
pub struct Request<'a> {
    /// Token ids, image placeholders expanded, and the pictures' grids.
    pub sequence: TokenSequence<'a>,
    /// Its pictures' rows `[m, d]` as [`Vlm::encode_images`] gives them; none for a prompt without pictures.
    pub images: Option<Tensor<2>>,
    /// One completion for each.
    pub members: Vec<Member>,
    /// How to sample; `batch_size` and `workers` have no part in it.
    pub options: Arc<GenerateOptions>,
    /// What is asked of its draws beyond that.
    pub adjustments: Arc<Adjustments>,
    /// Tell of each token what the model itself thinks of it and of so many of the likeliest; none computes nothing.
    pub n_top_logprobs: Option<usize>,
}

/// One completion to come.
pub struct Member {
    /// The caller's name for it.
    pub id: u64,
    /// What it is drawn by.
    pub seed: u64,
    /// What it may say, if not everything.
    pub constraint: Option<Box<dyn Constraint>>,
}

/// A token of one completion.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// The token's id.
    pub id: u32,
    /// Its log-probability (nats) under the distribution it was drawn from, as in [`super::Generated`].
    pub logprob: f32,
    /// What the model itself thinks, if asked for.
    pub model_logprobs: Option<ModelLogprobs>,
    /// Why it is the last, if it is.
    pub finish_reason: Option<FinishReason>,
}

/// What a step made of one completion.
#[derive(Debug)]
pub struct Event {
    /// The completion's name.
    pub id: u64,
    /// Its token. An error is the last that is heard of the completion.
    pub token: Result<Token, Error>,
}

/// The sequences under way.
pub struct ContinuousBatch {
    decoder: Decoder,
    // As the decoder's rows stand.
    running: Vec<Running>,
    // In the order in which they began; the first is read on.
    reading: VecDeque<Reading>,
}

/// A prompt that is read piece by piece, and the completions that wait for it.
struct Reading {
    prompt: LongPrompt,
    sequences: Vec<Running>,
}

impl ContinuousBatch {
    /// Prompts of at most so many tokens are better read at once: in pieces they come out equal up to rounding only,
    /// and up to this length bits are promised (see the [module](super)'s words on company).
    pub const MAX_WHOLE_PREFILL: usize = BLOCKWISE_FROM;

    /// An empty batch. It holds the decoder's weights once more, adapters merged, in the layout that is fastest for few
    /// rows.
    pub fn new(model: &Vlm) -> Self {
        Self::over(model.for_sampling())
    }

    /// The same over a model that already is one for sampling.
    pub(super) fn over(model: Vlm) -> Self {
        Self {
            decoder: Decoder::new(model),
            running: Vec::new(),
            reading: VecDeque::new(),
        }
    }

    /// The model, its decoder laid out for sampling; its vision tower is the original's.
    pub fn model(&self) -> &Vlm {
        self.decoder.model()
    }

    /// Sequences that take part in steps and have not ended.
    pub fn n_running(&self) -> usize {
        self.running.iter().filter(|sequence| !sequence.has_ended()).count()
    }

    /// Whether any prompt is being read piece by piece.
    pub fn is_prefilling(&self) -> bool {
        !self.reading.is_empty()
    }

    /// Makes sure that a prompt of `n_tokens` can be completed.
    ///
    /// Errors: `Input` when an option is out of range or the prompt is too short or, with its completion, too long.
    pub fn check(model: &Vlm, n_tokens: usize, options: &GenerateOptions) -> Result<(), Error> {
        check_options(options)?;
        check_length(model, n_tokens, options).map_err(Error::Input)
    }

    fn check_request(&self, request: &Request) -> Result<(), Error> {
        request.adjustments.check()?;
        Self::check(self.model(), request.sequence.ids.len(), &request.options)
    }

    /// Computes the prompts, each once for all its members, which take part from the next step on. A prompt is computed
    /// beside those it joins with, so that few at a time keep the others waiting less.
    ///
    /// Errors: as [`Self::check`] and [`crate::batch::Batch::new`], and `Input` when image tokens and rows disagree;
    /// none of the requests has joined then.
    pub fn prefill(&mut self, requests: Vec<Request>) -> Result<(), Error> {
        requests.iter().try_for_each(|request| self.check_request(request))?;
        // Long prompts attend in another way than short ones, whoever they join with. Its last token is no part of what
        // is read of a prompt.
        let is_long = |request: &Request| request.sequence.ids.len() > BLOCKWISE_FROM;
        let (long, short): (Vec<Request>, Vec<Request>) = requests.into_iter().partition(is_long);
        let members = short.iter().flat_map(|request| &request.members);
        let joined: Vec<u64> = members.map(|member| member.id).collect();
        self.join_alike(short)?;
        self.join_alike(long)
            .inspect_err(|_| joined.into_iter().for_each(|id| self.abort(id)))
    }

    fn join_alike(&mut self, requests: Vec<Request>) -> Result<(), Error> {
        let members_of = |(prompt, request): (usize, &Request)| std::iter::repeat_n(prompt, request.members.len());
        let prompt_of_row: Vec<usize> = requests.iter().enumerate().flat_map(members_of).collect();
        if prompt_of_row.is_empty() {
            return Ok(());
        }
        let sequences: Vec<TokenSequence> = requests.iter().map(|request| request.sequence).collect();
        let batch = prompt_batch(&sequences, self.decoder.model().config())?;
        let images: Vec<Tensor<2>> = requests.iter().filter_map(|request| request.images.clone()).collect();
        let images = (!images.is_empty()).then(|| Tensor::cat(images, 0));
        self.decoder.join(&batch, images, &prompt_of_row)?;
        for (request, &position) in requests.into_iter().zip(batch.next_positions()) {
            self.running.extend(Running::of(request, position));
        }
        Ok(())
    }

    /// Begins to read a prompt piece by piece, so that steps may come between: [`Self::prefill_chunk`] reads. Its completions
    /// take part once all of it is read.
    ///
    /// Errors: as [`Self::prefill`].
    pub fn begin_prefill(&mut self, request: Request) -> Result<(), Error> {
        self.check_request(&request)?;
        let prompt = LongPrompt::new(self.model(), request.sequence, request.images.clone())?;
        let position = prompt.next_position();
        let sequences = Running::of(request, position).collect();
        self.reading.push_back(Reading { prompt, sequences });
        Ok(())
    }

    /// Reads at most `n_tokens` further tokens of the prompt that began first; tells how many. What comes of a prompt
    /// depends, up to rounding, on the sizes of its pieces, but not on what else is computed between them.
    pub fn prefill_chunk(&mut self, n_tokens: usize) -> usize {
        let Some(Reading { prompt, .. }) = self.reading.front_mut() else {
            return 0;
        };
        let n_read = prompt.read(self.decoder.model(), n_tokens);
        if prompt.is_read()
            && let Some(Reading { prompt, mut sequences }) = self.reading.pop_front()
        {
            sequences.retain(|sequence| !sequence.has_ended());
            self.decoder.join_read(prompt, sequences.len());
            self.running.extend(sequences);
        }
        n_read
    }

    /// Ends a completion before its time; nothing more is heard of it.
    pub fn abort(&mut self, id: u64) {
        let reading = self.reading.iter_mut().flat_map(|reading| &mut reading.sequences);
        self.running
            .iter_mut()
            .chain(reading)
            .filter(|sequence| sequence.id() == id)
            .for_each(Running::end);
        self.reading
            .retain(|reading| !reading.sequences.iter().all(Running::has_ended));
    }

    /// Draws the next token of every sequence. An error in place of a token ends that sequence alone.
    ///
    /// Errors: `Input` when scores cannot be read back; nothing can be said of any sequence then.
    pub fn step(&mut self) -> Result<Vec<Event>, Error> {
        self.drop_ended();
        if self.running.is_empty() {
            return Ok(Vec::new());
        }
        let (tokens, positions): (Vec<u32>, Vec<u32>) = self.running.iter().map(Running::input).unzip();
        let scores = self.decoder.step(&tokens, &positions)?;
        let n_scores = self.decoder.model().config().text.vocab_size;
        let rows = self.running.iter_mut().zip(scores.chunks_exact(n_scores));
        let live = rows.filter(|(sequence, _)| !sequence.has_ended());
        let event = |(sequence, scores): (&mut Running, &[f32])| Event {
            id: sequence.id(),
            token: sequence.draw(scores),
        };
        Ok(live.map(event).collect())
    }

    fn drop_ended(&mut self) {
        let live: Vec<bool> = self.running.iter().map(|sequence| !sequence.has_ended()).collect();
        let idle = live.iter().filter(|live| !**live).count();
        let held = self.decoder.held_by_rows();
        let held_idle: usize = held
            .iter()
            .zip(&live)
            .map(|(held, live)| if *live { 0 } else { *held })
            .sum();
        let is_share = |part: usize, all: usize| part > 0 && part * ROWS_PER_IDLE_ROW >= all;
        if is_share(idle, live.len()) || is_share(held_idle, held.iter().sum()) {
            self.decoder.keep(&live);
            self.running.retain(|sequence| !sequence.has_ended());
        }
    }
}
