//! What sampling gives: completions and their tokens.

/// Why a completion ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// A stop token was sampled.
    Stop,
    /// The token limit was reached.
    Length,
}

/// One completion.
#[derive(Clone, Debug, PartialEq)]
pub struct Generated {
    /// The tokens sampled, the stop token included.
    pub token_ids: Vec<u32>,
    /// For each token, its log-probability (nats) under the distribution it was sampled from: after the ban, temperature
    /// and `top_p`.
    pub logprobs: Vec<f32>,
    /// Why it ended.
    pub finish_reason: FinishReason,
}

/// The model's own log-probabilities (nats) of a token and of the most likely ones: at temperature 1 with nothing banned
/// or truncated, as a scorer gives them.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelLogprobs {
    /// The sampled token's.
    pub sampled: f32,
    /// The most likely tokens and theirs, the most likely first.
    pub top: Vec<(u32, f32)>,
}

/// A token of one completion.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// The token's id.
    pub id: u32,
    /// Its log-probability (nats) under the distribution it was sampled from, as in [`Generated`].
    pub logprob: f32,
    /// The model's own log-probabilities, if requested.
    pub model_logprobs: Option<ModelLogprobs>,
    /// Why it is the last, if it is.
    pub finish_reason: Option<FinishReason>,
}
