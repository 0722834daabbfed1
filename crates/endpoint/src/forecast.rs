//! What a run would take, before anything is paid: models that make no calls, and count those that they would make.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use align::chat::{ChatAnswer, ChatError, ChatModel, ChatRequest, Unanswered};
use align::engine::EngineError;
use serde::Serialize;

use crate::body::WireBody;
use crate::budget::Usage;
use crate::journal::{Journal, Past};
use crate::key::{ImageHashes, Key};
use crate::settings::RoleSettings;

/// What calls would take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Forecast {
    /// Calls to make; identical requests share one.
    pub calls: u64,
    /// Requests that the journal answers already.
    pub answered_from_journal: u64,
    /// Images sent with the calls.
    pub images: u64,
    /// Tokens to read.
    pub prompt_tokens: u64,
    /// Tokens to write, as [`Forecaster::assumes`] says.
    pub completion_tokens: u64,
    /// Money, in the currency of the prices.
    pub cost: f64,
}

impl Forecast {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            calls: self.calls + other.calls,
            answered_from_journal: self.answered_from_journal + other.answered_from_journal,
            images: self.images + other.images,
            prompt_tokens: self.prompt_tokens + other.prompt_tokens,
            completion_tokens: self.completion_tokens + other.completion_tokens,
            cost: self.cost + other.cost,
        }
    }
}

/// Counts a prompt's tokens as the model itself does.
pub type Measure = Box<dyn Fn(&ChatRequest) -> Result<u64, EngineError> + Send>;

/// A role's model that makes no calls. What the journal knows it answers, and nothing else.
pub struct Forecaster {
    role: String,
    settings: RoleSettings,
    journal: Arc<Journal>,
    past: Past,
    /// Of a model on this machine, what tells its weights from others, and its own count of tokens.
    local: Option<(String, Measure)>,
    makes_up: bool,
    images: RefCell<ImageHashes>,
    /// The requests so far, numbered.
    seen: RefCell<HashMap<Key, usize>>,
    counted: Arc<Mutex<Forecast>>,
}

impl Forecaster {
    /// A role's model behind an endpoint, or on this machine where `local` says how that counts; `model` is its name in
    /// the journal.
    ///
    /// Errors: a message naming the journal.
    pub fn new(
        role: &str,
        settings: RoleSettings,
        model: &str,
        local: Option<(String, Measure)>,
        journal: Arc<Journal>,
    ) -> Result<Self, String> {
        let past = journal.past(role, model)?;
        Ok(Self {
            role: role.to_owned(),
            settings,
            journal,
            past,
            local,
            makes_up: false,
            images: RefCell::default(),
            seen: RefCell::default(),
            counted: Arc::default(),
        })
    }

    /// The same of a policy's model: it makes up what the journal does not know, so that judges are asked about it.
    #[must_use]
    pub fn making_up(self) -> Self {
        Self { makes_up: true, ..self }
    }

    /// Where what it counts is found.
    pub fn counted(&self) -> Arc<Mutex<Forecast>> {
        self.counted.clone()
    }

    /// What is assumed of tokens, in words.
    pub fn assumes(&self) -> String {
        let Past { measured, answered, .. } = self.past;
        let prompts = match (&self.local, measured) {
            (Some(_), _) => "prompts by the model's own processor".to_owned(),
            (None, 0) => "prompts by the lengths of texts and the sizes of images".to_owned(),
            (None, calls) => format!("prompts by texts and images, and by {calls} calls in the journal"),
        };
        match answered {
            0 => format!("{prompts}; each answer as long as it may be"),
            calls => format!("{prompts}; answers as long as {calls} in the journal on average"),
        }
    }

    fn count(&self, request: &ChatRequest, body: &WireBody) -> Result<Usage, ChatError> {
        let prompt_tokens = match &self.local {
            Some((_, measure)) => measure(request)?,
            None => self.past.correction.tokens(body.estimate()),
        };
        let most = request.params.max_tokens as u64;
        let completion_tokens = self.past.written.map_or(most, |mean| most.min(mean.round() as u64));
        Ok(Usage { prompt_tokens, completion_tokens, is_estimated: true, images: 0 })
    }

    fn forecast(&self, request: &ChatRequest) -> Result<Result<ChatAnswer, Unanswered>, ChatError> {
        let body = match WireBody::chat(request, &self.settings) {
            Ok(body) => body,
            Err(error) => return Ok(Err(Unanswered::new(error.into_reason()))),
        };
        let weights = self.local.as_ref().map_or("", |(weights, _)| weights);
        let key = match body.key(&self.role, weights, &mut self.images.borrow_mut()) {
            Ok(key) => key,
            Err(error) => return Ok(Err(Unanswered::new(error.into_reason()))),
        };
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = self.journal.get(&self.role, &key).map_err(ChatError::Model)? {
            counted.answered_from_journal += 1;
            let joins = self.settings.joins_thinking(&self.role);
            return Ok(if joins { known.map(ChatAnswer::with_thinking_joined) } else { known });
        }
        let usage = self.count(request, &body)?;
        let mut seen = self.seen.borrow_mut();
        let next = seen.len();
        let number = *seen.entry(key).or_insert(next);
        if number == next {
            counted.calls += 1;
            counted.images += body.n_images() as u64;
            counted.prompt_tokens += usage.prompt_tokens;
            counted.completion_tokens += usage.completion_tokens;
            counted.cost += usage.cost(&self.settings);
        }
        if !self.makes_up {
            return Ok(Err(Unanswered::new("nobody is asked")));
        }
        // Each its own, several to one item too, since judges that see nothing else are asked once about equal ones.
        let filler = " word".repeat(usage.completion_tokens.saturating_sub(2) as usize);
        Ok(Ok(ChatAnswer::of(format!("{} {number}{filler}", request.id))))
    }
}

impl ChatModel for Forecaster {
    fn name(&self) -> &str {
        &self.settings.model
    }

    fn answer(
        &self,
        requests: &mut dyn Iterator<Item = ChatRequest>,
        on_answer: &mut dyn FnMut(usize, Result<ChatAnswer, Unanswered>),
    ) -> Result<(), ChatError> {
        for (index, request) in requests.enumerate() {
            on_answer(index, self.forecast(&request)?);
        }
        Ok(())
    }
}
