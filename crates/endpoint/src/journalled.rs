//! A model on this machine whose answers are kept as an endpoint's are: what took minutes is not drawn twice either.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use align::chat::{ChatAnswer, ChatError, ChatModel, ChatRequest, Unanswered};

use crate::body::{BodyError, Key, WireBody};
use crate::budget::{Outcome, Usage};
use crate::journal::{Journal, Record};
use crate::picture_hashes::PictureHashes;
use crate::settings::RoleSettings;

/// A model that answers dialogues, and the journal that answers first.
///
/// Failures are not kept: a model that costs nothing is asked again.
#[derive(Debug)]
pub struct Journalled<M> {
    role: String,
    settings: RoleSettings,
    origin: String,
    journal: Arc<Journal>,
    model: M,
    pictures: RefCell<PictureHashes>,
}

/// A request that the journal does not know.
struct Pending {
    index: usize,
    key: Key,
    id: String,
}

impl<M: ChatModel> Journalled<M> {
    /// Puts the journal before a role's model. `origin` tells its weights from all others, as an endpoint's address
    /// does.
    pub fn new(role: &str, settings: RoleSettings, origin: String, journal: Arc<Journal>, model: M) -> Self {
        Self {
            role: role.to_owned(),
            settings,
            origin,
            journal,
            model,
            pictures: RefCell::default(),
        }
    }

    fn key(&self, request: &ChatRequest) -> Result<Key, String> {
        let body = WireBody::chat(request, &self.settings);
        let key = body.and_then(|body| body.key(&self.origin, &mut self.pictures.borrow_mut()));
        key.map_err(BodyError::into_reason)
    }

    fn record(&self, pending: &Pending, answer: &Result<ChatAnswer, Unanswered>) -> Result<(), String> {
        let Ok(said) = answer else { return Ok(()) };
        let usage = Usage {
            prompt_tokens: said.prompt_tokens,
            completion_tokens: said.completion_tokens,
            ..Usage::default()
        };
        self.journal.put(&Record {
            key: pending.key,
            role: &self.role,
            model: &self.settings.model,
            id: &pending.id,
            outcome: &Outcome {
                answer: answer.clone(),
                usage,
            },
            cost: 0.0,
            attempts: 1,
        })
    }
}

impl<M: ChatModel> ChatModel for Journalled<M> {
    fn name(&self) -> &str {
        self.model.name()
    }

    fn answer(
        &self,
        requests: &mut dyn Iterator<Item = ChatRequest>,
        on_answer: &mut dyn FnMut(usize, Result<ChatAnswer, Unanswered>),
    ) -> Result<(), ChatError> {
        // The model draws from the iterator between its answers, so both hand answers over, one at a time.
        let on_answer = RefCell::new(on_answer);
        let pending: RefCell<Vec<Pending>> = RefCell::default();
        let problem: Cell<Option<String>> = Cell::default();
        let mut requests = requests.enumerate();
        let mut unknown = std::iter::from_fn(|| {
            loop {
                let (index, request) = requests.next()?;
                let known = self.key(&request).map(|key| (key, self.journal.get(&self.role, &key)));
                match known {
                    Err(reason) => on_answer.borrow_mut()(index, Err(Unanswered { reason })),
                    Ok((_, Ok(Some(outcome)))) => on_answer.borrow_mut()(index, outcome),
                    Ok((key, Ok(None))) => {
                        let id = request.id.clone();
                        pending.borrow_mut().push(Pending { index, key, id });
                        return Some(request);
                    }
                    Ok((_, Err(error))) => {
                        problem.set(Some(error));
                        return None;
                    }
                }
            }
        });
        let answered = self.model.answer(&mut unknown, &mut |place, outcome| {
            let pending = &pending.borrow()[place];
            match self.record(pending, &outcome) {
                Ok(()) => on_answer.borrow_mut()(pending.index, outcome),
                Err(error) => problem.set(Some(error)),
            }
        });
        match problem.take() {
            Some(problem) => Err(ChatError::Model(problem)),
            None => answered,
        }
    }
}
