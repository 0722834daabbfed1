//! A model on this machine behind the door of models that answer in words.

use std::cell::RefCell;

use super::{ChatAnswer, ChatError, ChatModel, ChatRequest, Unanswered};
use crate::engine::{Engine, EngineError, SampleRequest, Sampled, SamplingParams, sample_usable};

/// An [`Engine`] that answers dialogues. A JSON schema is not enforced: the prompt alone asks for it, and answers that
/// do not fit are mended as any other's. The same request draws the same answer again.
#[derive(Debug)]
pub struct EngineModel<E> {
    name: String,
    engine: RefCell<E>,
    batch_size: usize,
    wants_stop: fn() -> bool,
}

impl<E: Engine> EngineModel<E> {
    /// Wraps an engine under the model's name. `batch_size` requests are answered at once; `wants_stop` tells whether
    /// the user asked to stop, and is asked between batches.
    pub fn new(name: impl Into<String>, engine: E, batch_size: usize, wants_stop: fn() -> bool) -> Self {
        Self {
            name: name.into(),
            engine: RefCell::new(engine),
            batch_size: batch_size.max(1),
            wants_stop,
        }
    }

    /// Answers requests of one kind in one go; one that cannot be used fails alone.
    fn answer_batch(&self, batch: &[ChatRequest]) -> Result<Vec<Result<ChatAnswer, Unanswered>>, ChatError> {
        let Some(first) = batch.first() else {
            return Ok(Vec::new());
        };
        let params = SamplingParams {
            temperature: first.params.temperature,
            max_new_tokens: first.params.max_tokens,
            ..SamplingParams::default()
        };
        let request = |request: &ChatRequest| SampleRequest {
            id: request.id.clone(),
            messages: request.messages.clone(),
            seeds: vec![request.params.seed],
        };
        let requests: Vec<SampleRequest> = batch.iter().map(request).collect();
        let sampled = sample_usable(&mut *self.engine.borrow_mut(), &requests, &params)
            .map_err(|error| ChatError::Model(error.to_string()))?;
        Ok(sampled.into_iter().map(answer).collect())
    }
}

fn answer(sampled: Result<Sampled, EngineError>) -> Result<ChatAnswer, Unanswered> {
    let sampled = sampled.map_err(|error| Unanswered {
        reason: error.to_string(),
    })?;
    let prompt_tokens = sampled.prompt_ids.len() as u64;
    let completion = sampled.completions.into_iter().next();
    let completion = completion.ok_or_else(|| Unanswered {
        reason: "the model drew no answer".to_owned(),
    })?;
    Ok(ChatAnswer {
        is_cut_off: completion.is_truncated(),
        prompt_tokens,
        completion_tokens: completion.token_ids.len() as u64,
        text: completion.text,
    })
}

/// Whether two requests can be drawn in one batch.
fn alike(one: &ChatRequest, other: &ChatRequest) -> bool {
    one.params.temperature == other.params.temperature && one.params.max_tokens == other.params.max_tokens
}

impl<E: Engine> ChatModel for EngineModel<E> {
    fn name(&self) -> &str {
        &self.name
    }

    fn answer(
        &self,
        requests: &mut dyn Iterator<Item = ChatRequest>,
        on_answer: &mut dyn FnMut(usize, Result<ChatAnswer, Unanswered>),
    ) -> Result<(), ChatError> {
        let mut requests = requests.peekable();
        let mut answered = 0;
        while let Some(first) = requests.next() {
            if (self.wants_stop)() {
                return Err(ChatError::Interrupted);
            }
            let mut batch = vec![first];
            while batch.len() < self.batch_size
                && let Some(next) = requests.next_if(|next| alike(&batch[0], next))
            {
                batch.push(next);
            }
            for answer in self.answer_batch(&batch)? {
                on_answer(answered, answer);
                answered += 1;
            }
        }
        Ok(())
    }
}
