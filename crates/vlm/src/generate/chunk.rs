//! One chunk of sequences, from their prompts to their last tokens.

use std::sync::Arc;

use burn::tensor::Tensor;

use super::completion::{FinishReason, Generated};
use super::continuous::ContinuousBatch;
use super::options::GenerateOptions;
use super::request::{Event, Member, Request};
use crate::batch::TokenSequence;
use crate::error::Error;
use crate::model::Vlm;

/// One prompt, and the seed of each of its completions.
#[derive(Clone, Debug)]
pub struct Prompt<'a> {
    /// Token ids, image placeholders expanded, and the images' grids.
    pub sequence: TokenSequence<'a>,
    /// Its images' rows `[m, d]` as [`Vlm::encode_images`] gives them; none for a prompt without images.
    pub images: Option<Tensor<2>>,
    /// One completion for each.
    pub seeds: &'a [u64],
}

/// Which completion of which prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CompletionIndex {
    /// The prompt's index.
    pub prompt: usize,
    /// The index of its seed among the prompt's seeds.
    pub seed: usize,
}

/// A chunk to compute.
pub(super) struct ChunkTask<'a> {
    /// One [`Vlm::for_sampling`].
    pub model: &'a Vlm,
    pub prompts: &'a [Prompt<'a>],
    /// The chunk's completions; those of one prompt are neighbors.
    pub completions: &'a [CompletionIndex],
    pub options: &'a Arc<GenerateOptions>,
}

impl ChunkTask<'_> {
    /// Computes the prompts but for their last token, then token after token, from that one on, until every sequence
    /// has ended. Results are in the order of `completions`.
    pub fn run(&self) -> Result<Vec<Generated>, Error> {
        let mut batch = ContinuousBatch::over(self.model.clone());
        batch.prefill(self.requests())?;
        let nothing = Generated { token_ids: Vec::new(), logprobs: Vec::new(), finish_reason: FinishReason::Length };
        let mut results = vec![nothing; self.completions.len()];
        while batch.n_running() > 0 {
            for Event { id, token } in batch.step()? {
                let index = self.completions[id as usize];
                let token = token.map_err(|error| of_prompt(index.prompt, error))?;
                let generated = &mut results[id as usize];
                generated.token_ids.push(token.id);
                generated.logprobs.push(token.logprob);
                generated.finish_reason = token.finish_reason.unwrap_or(generated.finish_reason);
            }
        }
        Ok(results)
    }

    /// The chunk's prompts with their completions, whose ids are their indices in the chunk.
    fn requests(&self) -> Vec<Request<'_>> {
        let (mut requests, mut next_id) = (Vec::new(), 0);
        let neutral = Arc::default();
        for group in self.completions.chunk_by(|left, right| left.prompt == right.prompt) {
            let prompt = &self.prompts[group[0].prompt];
            let members = (next_id..).zip(group).map(|(id, index)| Member {
                id,
                seed: prompt.seeds[index.seed],
                constraint: None,
            });
            requests.push(Request {
                sequence: prompt.sequence,
                images: prompt.images.clone(),
                members: members.collect(),
                options: self.options.clone(),
                adjustments: Arc::clone(&neutral),
                n_top_logprobs: None,
            });
            next_id += group.len() as u64;
        }
        requests
    }
}

/// A prompt's error with its index.
fn of_prompt(index: usize, error: Error) -> Error {
    match error {
        Error::Numerics(problem) => Error::Numerics(format!("prompt {index}: {problem}")),
        other => Error::Prompt { index, problem: other.to_string() },
    }
}
