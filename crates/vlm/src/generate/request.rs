//! What a batch takes and gives: prompts to be completed, and one event for each token.

use std::sync::Arc;

use burn::tensor::Tensor;

use super::adjustments::Adjustments;
use super::completion::Token;
use super::options::GenerateOptions;
use crate::batch::TokenSequence;
use crate::error::Error;

/// What a sequence may say, token by token: a grammar, for one. Nothing of it is known here.
pub trait Constraint: Send {
    /// Calls `ban` with every token that may not come next.
    ///
    /// Errors: whatever keeps it from knowing, in words; it ends the sequence.
    fn ban(&mut self, ban: &mut dyn FnMut(u32)) -> Result<(), String>;

    /// Takes note of the token that came.
    ///
    /// Errors: as [`Self::ban`].
    fn accept(&mut self, token: u32) -> Result<(), String>;
}

/// A prompt whose completions begin together.
pub struct Request<'a> {
    /// Token ids, image placeholders expanded, and the images' grids.
    pub sequence: TokenSequence<'a>,
    /// Its images' rows `[m, d]` as [`Vlm::encode_images`](crate::model::Vlm::encode_images) gives them; none for a prompt without images.
    pub images: Option<Tensor<2>>,
    /// One completion for each.
    pub members: Vec<Member>,
    /// How to sample; `batch_size` and `workers` have no part in it.
    pub options: Arc<GenerateOptions>,
    /// What sampling does beyond that.
    pub adjustments: Arc<Adjustments>,
    /// Report the model's own log-probabilities of each token and of so many of the most likely; none computes nothing.
    pub n_top_logprobs: Option<usize>,
}

/// One completion to come.
pub struct Member {
    /// The caller's id of it.
    pub id: u64,
    /// The seed of its generator.
    pub seed: u64,
    /// What it may say, if not everything.
    pub constraint: Option<Box<dyn Constraint>>,
}

/// What a step made of one completion.
#[derive(Debug)]
pub struct Event {
    /// The completion's id.
    pub id: u64,
    /// Its token. An error is the completion's last event.
    pub token: Result<Token, Error>,
}
