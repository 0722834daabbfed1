//! The interface to models that are trained: six verbs, named as in the Tinker API.
//!
//! Dialogues, token ids, log-probabilities and scalar derivatives pass through it; tensors do not. The engine knows no
//! method: a loss is a function of log-probabilities that the method computes in plain floating point
//! ([`TokenLoss`]), and the engine carries its derivative back through the model. So every loss is tested without a
//! model, and every model trains under every loss.

use std::path::Path;

use diagnostic::{Diagnosis, Diagnostic, Kind};
use serde::{Deserialize, Serialize};

use crate::settings::settings_table;
use crate::types::Message;

settings_table! {
    /// How to sample completions.
    pub struct SamplingParams {
        /// 0 is greedy; log-probabilities are then those of temperature 1.
        pub temperature: f64 = 1.0,
        /// Keep the smallest set of tokens whose probability reaches this; 1 keeps all.
        pub top_p: f64 = 1.0,
        /// At most this many tokens a completion.
        pub max_new_tokens: usize = 128,
        /// Do not stop at the end token.
        pub ignore_eos: bool = false,
    }
}

/// One prompt to complete several times. The prefix is computed once for all its completions.
#[derive(Clone, Debug)]
pub struct SampleRequest {
    /// The item that it is for; errors name it.
    pub id: String,
    /// The dialogue, ending before the assistant's reply.
    pub messages: Vec<Message>,
    /// One completion for each seed. The same request, seed and weights give the same completion, whatever else is in
    /// the batch.
    pub seeds: Vec<u64>,
}

/// Why a completion ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model ended its turn.
    Stop,
    /// The token limit was reached.
    Length,
}

/// One sampled reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Completion {
    /// The tokens sampled, the end token included when the model ended its turn.
    pub token_ids: Vec<u32>,
    /// For each token, its log-probability (nats) under the distribution it was sampled from. At temperature 1 and top-p
    /// 1 that is what [`Engine::logprobs`] gives, but for the share of the tokens that are never sampled (image
    /// placeholders).
    pub logprobs: Vec<f32>,
    /// The tokens as text, special tokens left out.
    pub text: String,
    /// Why it ended.
    pub finish_reason: FinishReason,
}

impl Completion {
    /// Whether the token limit ended it.
    pub fn is_truncated(&self) -> bool {
        self.finish_reason == FinishReason::Length
    }
}

/// The completions of one request.
#[derive(Clone, Debug)]
pub struct Sampled {
    /// The prompt as the model saw it, image tokens expanded.
    pub prompt_ids: Vec<u32>,
    /// One for each seed, in order.
    pub completions: Vec<Completion>,
}

/// The reply whose tokens are scored or trained.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// Words: tokenized, and closed by the end token.
    Text(String),
    /// Tokens as they were sampled; nothing is added.
    Tokens(Vec<u32>),
}

/// A dialogue and the reply to it. Only the reply's tokens are scored and trained.
#[derive(Clone, Debug)]
pub struct Sequence {
    /// The item that it is of; errors name it.
    pub id: String,
    /// The dialogue, ending before the reply. Earlier assistant turns may stand in it; they are context.
    pub messages: Vec<Message>,
    /// The reply.
    pub reply: Reply,
}

/// Per-token scores of a reply.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenScores {
    /// The reply's token ids.
    pub token_ids: Vec<u32>,
    /// Log-probability (nats, temperature 1) of each reply token given all before it.
    pub logprobs: Vec<f32>,
    /// Entropy (nats) of the distribution each reply token was sampled from.
    pub entropies: Vec<f32>,
}

/// Which weights score a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// The weights being trained.
    Current,
    /// The policy that training began with: the model without the adapter where a fresh one is trained, with the
    /// adapter as it was where one is trained further, a frozen copy of the weights otherwise.
    Reference,
}

/// A loss as a function of a reply's log-probabilities.
pub trait TokenLoss: Sync {
    /// The loss of sequence `index` and its derivative by each log-probability.
    ///
    /// Whatever normalizes the loss (tokens of the global batch) is already in it, so the engine may split the batch into
    /// micro-batches of any size and only ever adds.
    fn evaluate(&self, index: usize, scores: &TokenScores) -> LossAndGradient;
}

/// What [`TokenLoss::evaluate`] returns.
#[derive(Clone, Debug, PartialEq)]
pub struct LossAndGradient {
    /// This sequence's part of the batch's loss.
    pub loss: f64,
    /// Its derivative by the log-probability of each reply token.
    pub gradient: Vec<f32>,
}

/// What a forward and backward pass gives.
#[derive(Clone, Debug)]
pub struct ForwardBackward {
    /// The batch's loss: the sum over its sequences.
    pub loss: f64,
    /// The scores of each sequence under the weights that were differentiated.
    pub scores: Vec<TokenScores>,
}

settings_table! {
    /// One step of AdamW (Loshchilov and Hutter, arXiv 1711.05101: decay apart from the gradient).
    pub struct AdamW {
        /// The step's learning rate, schedule applied.
        pub learning_rate: f64 = 1e-6,
        /// Decay of the first and second moment.
        pub betas: [f64; 2] = [0.9, 0.999],
        /// Added to the root of the second moment.
        pub epsilon: f64 = 1e-8,
        /// Decoupled weight decay.
        pub weight_decay: f64 = 0.01,
        /// Gradients whose L2 norm over all trained parameters exceeds this are scaled down to it; 0 turns clipping
        /// off.
        pub max_grad_norm: f64 = 1.0,
    }
}

/// What an optimizer step reports.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OptimStep {
    /// L2 norm of the gradients over all trained parameters, before clipping.
    pub grad_norm: f64,
}

/// What [`Engine::save`] writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaveKind {
    /// What others load: a Hugging Face folder, or a PEFT adapter where LoRA is on.
    Weights,
    /// The same, and what [`Engine::load`] needs to resume as if never interrupted: optimizer moments and step count.
    Checkpoint,
}

/// Why an engine failed.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The data cannot be used: a missing image, too long a prompt, an image placeholder in the text.
    #[error("{0}")]
    Data(String),
    /// The data of one item cannot be used.
    #[error("item `{id}`: {problem}")]
    Item {
        /// The item.
        id: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The model cannot be used: a corrupt file, a missing key, a wrong shape.
    #[error("{0}")]
    Model(String),
    /// The numbers left the finite: a score, a loss or a gradient that is none.
    #[error("{0}")]
    Numerics(String),
    /// A file could not be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl Diagnostic for EngineError {
    fn diagnosis(&self) -> Diagnosis {
        match self {
            Self::Data(_) => Kind::Data.into(),
            Self::Item { id, .. } => Kind::Data.item(id),
            Self::Model(_) => Kind::Model.into(),
            Self::Numerics(_) => Kind::Engine.into(),
            Self::Io(error) => error.diagnosis(),
        }
    }
}

impl EngineError {
    /// Whether the data cannot be used: the other requests can be answered without them.
    pub fn is_data_error(&self) -> bool {
        matches!(self, Self::Data(_) | Self::Item { .. })
    }
}

/// A model that samples, scores, learns, and can be saved and loaded.
pub trait Engine {
    /// Samples completions for each request.
    fn sample(&mut self, requests: &[SampleRequest], params: &SamplingParams) -> Result<Vec<Sampled>, EngineError>;

    /// Scores each sequence's reply.
    fn logprobs(&mut self, sequences: &[Sequence], weights: Weights) -> Result<Vec<TokenScores>, EngineError>;

    /// How many tokens each sequence's reply has, so that a loss can be normalized before it is computed.
    ///
    /// This default scores the sequences; an engine that can count without a forward pass should.
    fn reply_lengths(&mut self, sequences: &[Sequence]) -> Result<Vec<usize>, EngineError> {
        let scores = self.logprobs(sequences, Weights::Current)?;
        Ok(scores.iter().map(|scores| scores.token_ids.len()).collect())
    }

    /// Adds the gradients of the loss over these sequences to those accumulated so far.
    fn forward_backward(
        &mut self,
        sequences: &[Sequence],
        loss: &dyn TokenLoss,
    ) -> Result<ForwardBackward, EngineError>;

    /// Applies the accumulated gradients, and clears them.
    fn optim_step(&mut self, optimizer: &AdamW) -> Result<OptimStep, EngineError>;

    /// Writes the weights to a folder, which appears whole or not at all.
    fn save(&mut self, folder: &Path, kind: SaveKind) -> Result<(), EngineError>;

    /// Goes back to a checkpoint that [`Engine::save`] wrote.
    fn load(&mut self, folder: &Path) -> Result<(), EngineError>;
}

/// Samples for every request that can be used; for one that cannot, gives the error. Batches are halved until a request
/// that cannot be used is alone: an engine refuses before it samples, and samples do not depend on the rest of a batch.
///
/// Errors: the engine's, but for `Data` and `Item`.
pub fn sample_usable(
    engine: &mut dyn Engine,
    requests: &[SampleRequest],
    params: &SamplingParams,
) -> Result<Vec<Result<Sampled, EngineError>>, EngineError> {
    match engine.sample(requests, params) {
        Ok(sampled) => Ok(sampled.into_iter().map(Ok).collect()),
        Err(error) if error.is_data_error() && requests.len() > 1 => {
            let (first, second) = requests.split_at(requests.len() / 2);
            let mut sampled = sample_usable(engine, first, params)?;
            sampled.extend(sample_usable(engine, second, params)?);
            Ok(sampled)
        }
        Err(error) if error.is_data_error() => Ok(vec![Err(error)]),
        Err(error) => Err(error),
    }
}
