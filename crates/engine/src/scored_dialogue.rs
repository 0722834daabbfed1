//! A dialogue scored token by token, prompt and reply.

use align::engine::{EngineError, Sequence, Weights};

use crate::errors::item_error;
use crate::local::LocalEngine;
use crate::prepared::Prepared;

/// A dialogue scored token by token; see [`LocalEngine::score`].
#[derive(Clone, Debug)]
pub struct ScoredDialogue {
    /// All tokens, the reply and its end token included.
    pub input_ids: Vec<u32>,
    /// Where the reply begins.
    pub prompt_length: usize,
    /// Entry t is the log-probability (nats) of token t given those before it; none for the first.
    pub logprobs: Vec<Option<f32>>,
}

impl LocalEngine {
    /// Scores every token of a dialogue whose last message is the assistant's.
    ///
    /// Errors: `Item` when an image or a message cannot be used; `Numerics` when a log-probability is no finite
    /// number.
    pub fn score(&mut self, sequence: &Sequence) -> Result<ScoredDialogue, EngineError> {
        let mut prepared = Prepared::sequence(&self.processor, sequence)?;
        let prompt_length = std::mem::replace(&mut prepared.prompt_length, 1);
        let scores = self.score_all(&[prepared.clone()], Weights::Current);
        let scores = scores.map_err(|error| item_error(&sequence.id, error))?.remove(0);
        if let Some(token) = scores.logprobs.iter().position(|logprob| !logprob.is_finite()) {
            return Err(EngineError::Numerics(format!(
                "item `{}`: the log-probability of token {}: expected a finite number, got {}",
                sequence.id,
                token + 1,
                scores.logprobs[token]
            )));
        }
        let logprobs = std::iter::once(None).chain(scores.logprobs.into_iter().map(Some)).collect();
        Ok(ScoredDialogue { input_ids: prepared.ids, prompt_length, logprobs })
    }
}
