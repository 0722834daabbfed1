//! A model on this machine behind the interface of chat models.

use std::cell::RefCell;
use std::iter::Peekable;

use super::{ChatAnswer, ChatError, ChatModel, ChatParams, ChatRequest, Unanswered};
use crate::engine::{Completion, Engine, EngineError, SampleRequest, SamplingParams, sample_usable};

/// An [`Engine`] that answers dialogues. Consecutive requests for the same dialogue are sampled as one, with a seed
/// each, so that its prompt is computed once. A JSON schema is not enforced: the prompt alone describes it, and answers
/// that do not fit are repaired as any other's. The same request gets the same answer again.
#[derive(Debug)]
pub struct EngineModel<E> {
    name: String,
    engine: RefCell<E>,
    batch_size: usize,
    is_strict: bool,
    wants_stop: fn() -> bool,
}

impl<E: Engine> EngineModel<E> {
    /// Wraps an engine under the model's name. `batch_size` dialogues are answered at once; `wants_stop` says whether
    /// the user wants to stop, and is called between batches. A request that cannot be used fails alone.
    pub fn new(name: impl Into<String>, engine: E, batch_size: usize, wants_stop: fn() -> bool) -> Self {
        Self {
            name: name.into(),
            engine: RefCell::new(engine),
            batch_size: batch_size.max(1),
            is_strict: false,
            wants_stop,
        }
    }

    /// The same, but a request that cannot be used ends the work: it is the user's data that should be mended.
    #[must_use]
    pub fn strict(self) -> Self {
        Self { is_strict: true, ..self }
    }

    fn answer_batch(&self, batch: &Batch) -> Result<Vec<Result<ChatAnswer, Unanswered>>, ChatError> {
        let params = SamplingParams {
            temperature: batch.params.temperature,
            top_p: batch.params.top_p,
            max_new_tokens: batch.params.max_tokens,
            ignore_eos: batch.params.ignore_eos,
        };
        let mut engine = self.engine.borrow_mut();
        let sampled = if self.is_strict {
            engine.sample(&batch.dialogues, &params)?.into_iter().map(Ok).collect()
        } else {
            sample_usable(&mut *engine, &batch.dialogues, &params)?
        };
        let mut answers = Vec::new();
        for (dialogue, sampled) in batch.dialogues.iter().zip(sampled) {
            let n_wanted = dialogue.seeds.len();
            match sampled {
                Ok(sampled) => {
                    let prompt_ids = sampled.prompt_ids;
                    let completions = sampled.completions.into_iter();
                    answers.extend(completions.map(|completion| Ok(answer(&prompt_ids, completion, &batch.params))));
                }
                Err(error) => answers.extend(std::iter::repeat_n(Err(unanswered(&error)), n_wanted)),
            }
        }
        Ok(answers)
    }
}

fn answer(prompt_ids: &[u32], completion: Completion, params: &ChatParams) -> ChatAnswer {
    let (prompt_tokens, completion_tokens) = (prompt_ids.len() as u64, completion.token_ids.len() as u64);
    let (prompt_ids, output_ids) =
        if params.token_ids { (prompt_ids.to_vec(), completion.token_ids) } else { (Vec::new(), Vec::new()) };
    ChatAnswer {
        text: completion.text,
        thinking: String::new(),
        finish_reason: completion.finish_reason,
        prompt_tokens,
        completion_tokens,
        prompt_ids,
        output_ids,
    }
}

fn unanswered(error: &EngineError) -> Unanswered {
    Unanswered::new(error.to_string())
}

/// Dialogues that are sampled together.
struct Batch {
    params: ChatParams,
    dialogues: Vec<SampleRequest>,
}

impl Batch {
    /// As many of the next requests as can be sampled in one batch; none where there are no more.
    fn next(requests: &mut Peekable<&mut dyn Iterator<Item = ChatRequest>>, size: usize) -> Option<Self> {
        let mut batch = Self { params: requests.peek()?.params.clone(), dialogues: Vec::new() };
        while let Some(request) = requests.next_if(|request| batch.takes(request, size)) {
            match batch.dialogues.last_mut().filter(|last| is_of(last, &request)) {
                Some(dialogue) => dialogue.seeds.push(request.params.seed),
                None => batch.dialogues.push(SampleRequest {
                    id: request.id,
                    messages: request.messages,
                    seeds: vec![request.params.seed],
                }),
            }
        }
        Some(batch)
    }

    fn takes(&self, request: &ChatRequest, size: usize) -> bool {
        let (ours, theirs) = (&self.params, &request.params);
        let are_alike = ours.temperature == theirs.temperature
            && ours.top_p == theirs.top_p
            && ours.max_tokens == theirs.max_tokens
            && ours.ignore_eos == theirs.ignore_eos
            && ours.token_ids == theirs.token_ids;
        are_alike && (self.dialogues.len() < size || self.dialogues.last().is_some_and(|last| is_of(last, request)))
    }
}

/// Whether a request wants another sample of a dialogue.
fn is_of(dialogue: &SampleRequest, request: &ChatRequest) -> bool {
    dialogue.id == request.id && dialogue.messages == request.messages
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
        let mut n_answered = 0;
        while let Some(batch) = Batch::next(&mut requests, self.batch_size) {
            if (self.wants_stop)() {
                return Err(ChatError::Interrupted);
            }
            for answer in self.answer_batch(&batch)? {
                on_answer(n_answered, answer);
                n_answered += 1;
            }
        }
        Ok(())
    }
}
