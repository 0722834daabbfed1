//! Many calls at once, each answered from the journal where it can be.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use align::chat::{ChatAnswer, ChatError, ChatModel, ChatRequest, Unanswered};
use align::paint::{PaintModel, PaintRequest, Painting, Unpainted};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};

use crate::body::{Key, PictureHashes, WireBody};
use crate::budget::{Spending, cost};
use crate::call::{Called, call};
use crate::journal::{Journal, Record};
use crate::pace::Pace;
use crate::pictures;
use crate::settings::RoleSettings;
use crate::verb::Verb;

/// How often a wait for answers looks whether the user wants to stop.
const TICK: Duration = Duration::from_millis(200);

/// A role's model behind an endpoint.
///
/// Calls share the thread that asks for answers: waiting is what they mostly do.
#[derive(Debug)]
pub struct Endpoint {
    role: String,
    settings: RoleSettings,
    journal: Arc<Journal>,
    http: reqwest::Client,
    runtime: tokio::runtime::Runtime,
    pace: Pace,
    pictures: RefCell<PictureHashes>,
    spending: Cell<Spending>,
    wants_stop: fn() -> bool,
}

/// A call that ended, and the indexes of the requests that wait for it.
struct Ended {
    key: Key,
    id: String,
    called: Called,
}

impl Endpoint {
    /// Gets ready to call a role's model. `wants_stop` tells whether the user asked to stop.
    ///
    /// Errors: a message, when the key cannot stand in a header or the system gives no network.
    pub fn new(
        role: &str,
        settings: RoleSettings,
        journal: Arc<Journal>,
        wants_stop: fn() -> bool,
    ) -> Result<Self, String> {
        let mut headers = HeaderMap::new();
        if let Ok(key) = std::env::var(&settings.api_key_env) {
            let mut value = HeaderValue::from_str(&format!("Bearer {key}"))
                .map_err(|_| format!("{}: expected a key of printable letters", settings.api_key_env))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        // Another part of the program may have chosen already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .default_headers(headers)
            .timeout(Duration::from_secs_f64(settings.timeout))
            .build()
            .map_err(|error| format!("role {role}: {error}"))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| format!("role {role}: {error}"))?;
        let spending = journal.spent(role)?;
        // Timers need the runtime that is to drive them.
        let pace = {
            let _entered = runtime.enter();
            Pace::new(&settings)
        };
        Ok(Self {
            role: role.to_owned(),
            settings,
            journal,
            http,
            runtime,
            pace,
            pictures: RefCell::default(),
            spending: Cell::new(spending),
            wants_stop,
        })
    }

    /// What the role has cost, earlier runs on the same journal included.
    pub fn spending(&self) -> Spending {
        self.spending.get()
    }

    async fn run(
        &self,
        verb: &Verb,
        requests: &mut dyn Iterator<Item = Outgoing>,
        on_answer: &mut dyn FnMut(usize, Result<ChatAnswer, Unanswered>),
    ) -> Result<(), ChatError> {
        let mut requests = requests.enumerate();
        let mut in_flight = FuturesUnordered::new();
        let mut waiting: HashMap<Key, Vec<usize>> = HashMap::new();
        let mut reason_to_end = None;
        loop {
            while reason_to_end.is_none() && in_flight.len() < self.settings.concurrency {
                reason_to_end = self.reason_to_end();
                // Where the calls in flight may take the rest of the budget, they are waited for.
                if reason_to_end.is_some() || self.exhausted(in_flight.len()).is_some() {
                    break;
                }
                let Some((index, request)) = requests.next() else { break };
                match self.prepare(request.body)? {
                    Prepared::Known(outcome) => on_answer(index, outcome),
                    Prepared::Unknown(key, body) => {
                        let waiting = waiting.entry(key).or_default();
                        waiting.push(index);
                        if waiting.len() == 1 {
                            in_flight.push(self.call(key, request.id, verb, body));
                        }
                    }
                }
            }
            // What is in flight is paid for, so it is waited for even when nothing more is to be started.
            let ended = tokio::select! {
                ended = in_flight.next() => ended,
                () = tokio::time::sleep(TICK) => continue,
            };
            let Some(ended) = ended else {
                return reason_to_end.map_or(Ok(()), Err);
            };
            let indexes = waiting.remove(&ended.key).unwrap_or_default();
            match ended.called {
                Called::Ended(outcome, attempts) => {
                    self.record(verb, ended.key, &ended.id, &outcome, attempts)?;
                    indexes.into_iter().for_each(|index| on_answer(index, outcome.clone()));
                }
                Called::Unusable(reason) => reason_to_end = Some(self.unusable(&reason)),
            }
        }
    }

    fn reason_to_end(&self) -> Option<ChatError> {
        if (self.wants_stop)() {
            return Some(ChatError::Interrupted);
        }
        let spent = self.exhausted(0)?;
        Some(ChatError::Budget(format!("role {}: {spent}", self.role)))
    }

    fn exhausted(&self, in_flight: usize) -> Option<String> {
        self.spending.get().exhausted(&self.settings, in_flight)
    }

    fn prepare(&self, body: Result<WireBody, String>) -> Result<Prepared, ChatError> {
        let unknown = body.and_then(|body| {
            let key = body.key(&self.settings.url, &mut self.pictures.borrow_mut())?;
            Ok((key, body))
        });
        let (key, body) = match unknown {
            Ok(unknown) => unknown,
            Err(reason) => return Ok(Prepared::Known(Err(Unanswered { reason }))),
        };
        match self.journal.get(&self.role, &key).map_err(ChatError::Model)? {
            Some(outcome) => Ok(Prepared::Known(outcome)),
            None => Ok(Prepared::Unknown(key, body)),
        }
    }

    async fn call(&self, key: Key, id: String, verb: &Verb, body: WireBody) -> Ended {
        let expected = self.spending.get().tokens_per_call();
        let called = call(&self.http, &self.settings, &self.pace, (verb, &body), &key, expected).await;
        Ended { key, id, called }
    }

    /// Writes a call down.
    fn record(
        &self,
        verb: &Verb,
        key: Key,
        id: &str,
        outcome: &Result<ChatAnswer, Unanswered>,
        attempts: usize,
    ) -> Result<(), ChatError> {
        let cost = outcome
            .as_ref()
            .map_or(0.0, |answer| cost(answer, &self.settings) + verb.price(&self.settings));
        let record = Record {
            key,
            role: &self.role,
            model: &self.settings.model,
            id,
            outcome,
            cost,
            attempts,
        };
        self.journal.put(&record).map_err(ChatError::Model)?;
        let mut spending = self.spending.get();
        spending.add(outcome.as_ref().ok(), cost);
        self.spending.set(spending);
        Ok(())
    }

    fn unusable(&self, reason: &str) -> ChatError {
        let Self { role, settings, .. } = self;
        ChatError::Model(format!(
            "role {role}: {} cannot be used: {reason}\n  hint: look at url, model and the key in {}",
            settings.url, settings.api_key_env
        ))
    }
}

/// A request on its way out: what it is for, and its body or why there is none.
struct Outgoing {
    id: String,
    body: Result<WireBody, String>,
}

/// What is known of a request.
enum Prepared {
    Known(Result<ChatAnswer, Unanswered>),
    Unknown(Key, WireBody),
}

impl ChatModel for Endpoint {
    fn name(&self) -> &str {
        &self.settings.model
    }

    fn answer(
        &self,
        requests: &mut dyn Iterator<Item = ChatRequest>,
        on_answer: &mut dyn FnMut(usize, Result<ChatAnswer, Unanswered>),
    ) -> Result<(), ChatError> {
        let mut outgoing = requests.map(|request| Outgoing {
            body: WireBody::chat(&request, &self.settings),
            id: request.id,
        });
        self.runtime.block_on(self.run(&Verb::Chat, &mut outgoing, on_answer))
    }
}

impl PaintModel for Endpoint {
    fn name(&self) -> &str {
        &self.settings.model
    }

    fn paint(
        &self,
        requests: &mut dyn Iterator<Item = PaintRequest>,
        on_painted: &mut dyn FnMut(usize, Result<Painting, Unpainted>),
    ) -> Result<(), ChatError> {
        let folder = self.journal.pictures();
        let verb = Verb::Paint { folder: folder.clone() };
        let mut outgoing = requests.map(|request| Outgoing {
            body: Ok(WireBody::paint(&request, &self.settings)),
            id: request.id,
        });
        let mut lost = None;
        let mut on_answer = |index: usize, answer: Result<ChatAnswer, Unanswered>| {
            let painted = match answer {
                Err(Unanswered { reason }) => Err(Unpainted { reason }),
                Ok(answer) => match pictures::read(&folder, &answer.text) {
                    Ok(painting) => Ok(painting),
                    Err(problem) => {
                        lost.get_or_insert(problem);
                        return;
                    }
                },
            };
            on_painted(index, painted);
        };
        self.runtime.block_on(self.run(&verb, &mut outgoing, &mut on_answer))?;
        let named = |problem| {
            ChatError::Model(format!(
                "a picture that was paid for is lost: {problem}\n  hint: put it back, or remove the journal beside it to pay again"
            ))
        };
        lost.map_or(Ok(()), |problem| Err(named(problem)))
    }
}
