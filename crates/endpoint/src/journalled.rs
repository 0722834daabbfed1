//! A model on this machine whose answers are kept as an endpoint's are: what took minutes is not sampled twice either.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use align::chat::{ChatAnswer, ChatError, ChatModel, ChatRequest, Unanswered};

use crate::body::WireBody;
use crate::budget::{Outcome, Usage};
use crate::estimate::Estimate;
use crate::journal::{Journal, Record};
use crate::key::{ImageHashes, Key};
use crate::settings::RoleSettings;

/// A model that answers dialogues, and the journal that answers first.
///
/// Failures are not kept: a model that costs nothing is called again.
#[derive(Debug)]
pub struct Journalled<M> {
    role: String,
    weights: String,
    journal: Arc<Journal>,
    model: M,
    batch_size: usize,
    images: RefCell<ImageHashes>,
    /// Bodies only make keys here. The model's name is not in them, since the same weights may be named in many ways.
    settings: RoleSettings,
}

/// Requests that the journal does not know, and those that wait for the answer to each.
#[derive(Default)]
struct Batch {
    requests: Vec<ChatRequest>,
    /// None where an image cannot be read: what is wrong with it the model says.
    keys: Vec<Option<Key>>,
    waiting: Vec<Vec<usize>>,
    places: HashMap<Key, usize>,
    n_dialogues: usize,
}

impl Batch {
    fn push(&mut self, index: usize, key: Option<Key>, request: ChatRequest) {
        if let Some(key) = key {
            if let Some(&place) = self.places.get(&key) {
                self.waiting[place].push(index);
                return;
            }
            self.places.insert(key, self.requests.len());
        }
        self.n_dialogues += usize::from(!self.ends_with_dialogue_of(&request));
        self.keys.push(key);
        self.waiting.push(vec![index]);
        self.requests.push(request);
    }

    fn ends_with_dialogue_of(&self, request: &ChatRequest) -> bool {
        let last = self.requests.last();
        last.is_some_and(|last| last.id == request.id && last.messages == request.messages)
    }
}

impl<M: ChatModel> Journalled<M> {
    /// Puts the journal before a role's model. `weights` tells the model from all others; the answers to `batch_size`
    /// dialogues are written down together.
    pub fn new(role: &str, weights: String, journal: Arc<Journal>, model: M, batch_size: usize) -> Self {
        Self {
            role: role.to_owned(),
            weights,
            journal,
            model,
            batch_size: batch_size.max(1),
            images: RefCell::default(),
            settings: RoleSettings::default(),
        }
    }

    fn key(&self, request: &ChatRequest) -> Option<Key> {
        let body = WireBody::chat(request, &self.settings).ok()?;
        body.key(&self.role, &self.weights, &mut self.images.borrow_mut()).ok()
    }

    /// Has a batch answered, writes the answers down, and hands them over.
    fn settle(
        &self,
        batch: Batch,
        on_answer: &mut dyn FnMut(usize, Result<ChatAnswer, Unanswered>),
    ) -> Result<(), ChatError> {
        let Batch { requests, keys, waiting, .. } = batch;
        if requests.is_empty() {
            return Ok(());
        }
        let ids: Vec<String> = requests.iter().map(|request| request.id.clone()).collect();
        let mut outcomes: Vec<(usize, Outcome)> = Vec::with_capacity(requests.len());
        let ended = self.model.answer(&mut requests.into_iter(), &mut |place, answer| {
            let usage = answer.as_ref().map_or_else(|_| Usage::default(), usage_of);
            outcomes.push((place, Outcome { answer, usage }));
        });
        let mut records = Vec::with_capacity(outcomes.len());
        for (place, outcome) in &outcomes {
            if let (Some(key), Ok(_)) = (keys[*place], &outcome.answer) {
                records.push(Record {
                    key,
                    role: &self.role,
                    model: self.model.name(),
                    id: &ids[*place],
                    outcome,
                    cost: 0.0,
                    attempts: 1,
                    estimate: Estimate::default(),
                });
            }
        }
        self.journal.put(&records).map_err(ChatError::Model)?;
        for (place, outcome) in outcomes {
            for &index in &waiting[place] {
                on_answer(index, outcome.answer.clone());
            }
        }
        ended
    }
}

fn usage_of(answer: &ChatAnswer) -> Usage {
    Usage { prompt_tokens: answer.prompt_tokens, completion_tokens: answer.completion_tokens, ..Usage::default() }
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
        let mut batch = Batch::default();
        for (index, request) in requests.enumerate() {
            let key = self.key(&request);
            if let Some(key) = &key
                && let Some(outcome) = self.journal.get(&self.role, key).map_err(ChatError::Model)?
            {
                on_answer(index, outcome);
                continue;
            }
            let waits = key.is_some_and(|key| batch.places.contains_key(&key));
            if batch.n_dialogues >= self.batch_size && !waits && !batch.ends_with_dialogue_of(&request) {
                self.settle(std::mem::take(&mut batch), on_answer)?;
            }
            batch.push(index, key, request);
        }
        self.settle(batch, on_answer)
    }
}
