//! One chunk of sequences, from their prompts to their last tokens.

use std::sync::Arc;

use super::continuous::{ContinuousBatch, Event, Member, Request, Token};
use super::{FinishReason, GenerateOptions, Generated, OnFinished, Prompt};
use crate::error::Error;
use crate::model::Vlm;

/// A sequence: one completion of one prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The prompt's index.
    pub prompt: usize,
    /// The index of its seed among the prompt's seeds.
    pub seed: usize,
}

/// A chunk to compute.
pub(super) struct Task<'a> {
    /// One [`Vlm::for_sampling`].
    pub model: &'a Vlm,
    pub prompts: &'a [Prompt<'a>],
    /// The chunk's sequences; those of one prompt stand together.
    pub places: &'a [Place],
    pub options: &'a Arc<GenerateOptions>,
    pub on_finished: Option<OnFinished<'a>>,
}

impl Task<'_> {
    /// Computes the prompts but for their last token, then token after token, from that one on, until every sequence
    /// has ended. Results stand as `places` do.
    pub fn run(&self) -> Result<Vec<Generated>, Error> {
        let mut batch = ContinuousBatch::over(self.model.clone());
        batch.prefill(self.requests())?;
        let nothing = Generated {
            token_ids: Vec::new(),
            logprobs: Vec::new(),
            finish_reason: FinishReason::Length,
        };
        let mut results = vec![nothing; self.places.len()];
        while batch.n_running() > 0 {
            for Event { id, token } in batch.step()? {
                let place = self.places[id as usize];
                let token = token.map_err(|error| of_prompt(place.prompt, error))?;
                self.append(place, &token, &mut results[id as usize]);
            }
        }
        Ok(results)
    }

    fn append(&self, place: Place, token: &Token, generated: &mut Generated) {
        generated.token_ids.push(token.id);
        generated.logprobs.push(token.logprob);
        if let Some(finish_reason) = token.finish_reason {
            generated.finish_reason = finish_reason;
            if let Some(on_finished) = self.on_finished {
                on_finished(place.prompt, generated);
            }
        }
    }

    /// The chunk's prompts with their sequences, which are called by their index.
    fn requests(&self) -> Vec<Request<'_>> {
        let mut id = 0;
        let neutral = Arc::default();
        let groups = self.places.chunk_by(|left, right| left.prompt == right.prompt);
        let request = |places: &[Place]| {
            let prompt = &self.prompts[places[0].prompt];
            let member = |place: &Place| {
                id += 1;
                Member {
                    id: id - 1,
                    seed: prompt.seeds[place.seed],
                    constraint: None,
                }
            };
            Request {
                sequence: prompt.sequence,
                images: prompt.images.clone(),
                members: places.iter().map(member).collect(),
                options: self.options.clone(),
                adjustments: Arc::clone(&neutral),
                n_top_logprobs: None,
            }
        };
        groups.map(request).collect()
    }
}

/// A prompt's error with its index.
fn of_prompt(index: usize, error: Error) -> Error {
    match error {
        Error::Numerics(problem) => Error::Numerics(format!("prompt {index}: {problem}")),
        other => Error::Prompt {
            index,
            problem: other.to_string(),
        },
    }
}
