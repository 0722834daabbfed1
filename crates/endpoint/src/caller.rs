//! Many calls at once, each answered from the journal where it can be.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use align::chat::{ChatAnswer, ChatError, Unanswered};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use crate::body::WireBody;
use crate::body_error::BodyError;
use crate::budget::{Outcome, Shared, Spending, Usage};
use crate::call::{Called, Wire};
use crate::estimate::Estimate;
use crate::journal::{Journal, Record};
use crate::key::{ImageHashes, Key};
use crate::verb::Verb;

/// How often a wait for answers looks whether the user wants to stop.
const TICK: Duration = Duration::from_millis(200);

/// A request to send: what it is for, and how its body is put together.
pub(crate) struct Outgoing<'a> {
    pub id: String,
    /// Most tokens of its answer; 0 where it counts none.
    pub max_tokens: usize,
    pub body: Box<dyn Fn() -> Result<WireBody, BodyError> + 'a>,
}

/// Who calls a role's endpoint.
pub(crate) struct Caller {
    pub role: String,
    pub wire: Wire,
    pub journal: Arc<Journal>,
    pub images: RefCell<ImageHashes>,
    pub spending: Cell<Spending>,
}

/// One run through requests.
struct Run<'a> {
    caller: &'a Caller,
    verb: &'a Verb,
    requests: &'a mut dyn Iterator<Item = Outgoing<'a>>,
    n_taken: usize,
    on_answer: &'a mut dyn FnMut(usize, Result<ChatAnswer, Unanswered>),
    /// A request that waits until a call ends.
    waiting: Option<(usize, Outgoing<'a>)>,
    /// The calls in flight.
    in_flight: HashMap<Key, InFlight>,
    /// The budget over all roles. The others make no calls meanwhile.
    shared: Shared,
    /// Why nothing further is started.
    ending: Option<ChatError>,
}

/// What is known of a call in flight: the indexes of the requests that wait for it, and what it may use.
struct InFlight {
    indexes: Vec<usize>,
    expected: Usage,
}

/// A call to make.
struct Call {
    key: Key,
    id: String,
    body: WireBody,
    expected: Usage,
}

/// A call that ended.
struct Ended {
    key: Key,
    id: String,
    estimate: Estimate,
    called: Called,
}

/// What is known of a request.
enum Prepared {
    Known(Result<ChatAnswer, Unanswered>),
    Unknown(Key, WireBody),
    /// It is not known before a call has ended.
    Later,
}

impl Caller {
    /// Answers requests, from the journal or by calls.
    ///
    /// Errors: [`ChatError`] when it stops early; answers so far are in the journal.
    pub(crate) async fn run<'a>(
        &'a self,
        verb: &'a Verb,
        requests: &'a mut dyn Iterator<Item = Outgoing<'a>>,
        on_answer: &'a mut dyn FnMut(usize, Result<ChatAnswer, Unanswered>),
    ) -> Result<(), ChatError> {
        self.wire.pace.begin();
        let mut run = Run {
            caller: self,
            verb,
            requests,
            n_taken: 0,
            on_answer,
            waiting: None,
            in_flight: HashMap::new(),
            shared: self.journal.shared_budget(&self.role).map_err(ChatError::Model)?,
            ending: None,
        };
        let mut calls = FuturesUnordered::new();
        loop {
            while calls.len() < self.wire.settings.concurrency + self.wire.pace.parked() {
                let Some(call) = run.next()? else { break };
                calls.push(self.make(verb, call));
            }
            // What is sent is paid for, so it is waited for even when nothing more is to be started.
            let ended = tokio::select! {
                ended = calls.next() => ended,
                () = tokio::time::sleep(TICK) => {
                    run.heed_stop();
                    continue;
                }
            };
            match ended {
                Some(ended) => run.end(&ended)?,
                None => return run.ending.map_or(Ok(()), Err),
            }
        }
    }

    async fn make(&self, verb: &Verb, call: Call) -> Ended {
        let Call { key, id, body, expected } = call;
        let estimate = body.estimate();
        let called = self.wire.call(verb, &body, &key, expected).await;
        Ended { key, id, estimate, called }
    }

    fn prepare(&self, outgoing: &Outgoing, is_alone: bool) -> Result<Prepared, ChatError> {
        let unknown = (outgoing.body)().and_then(|body| {
            let key = body.key(&self.role, "", &mut self.images.borrow_mut())?;
            Ok((key, body))
        });
        let (key, body) = match unknown {
            Ok(unknown) => unknown,
            Err(BodyError::TooManyFiles(_)) if !is_alone => return Ok(Prepared::Later),
            Err(error) => {
                let reason = error.into_reason();
                return Ok(Prepared::Known(Err(Unanswered::new(reason))));
            }
        };
        match self.journal.get(&self.role, &key).map_err(ChatError::Model)? {
            Some(outcome) => Ok(Prepared::Known(outcome)),
            None => Ok(Prepared::Unknown(key, body)),
        }
    }

    /// Writes a call down.
    fn record(&self, ended: &Ended, outcome: &Outcome, attempts: usize) -> Result<(), ChatError> {
        let Ended { key, id, estimate, .. } = ended;
        let settings = &self.wire.settings;
        let cost = outcome.usage.cost(settings);
        let record = Record {
            key: *key,
            role: &self.role,
            model: &settings.model,
            id,
            outcome,
            cost,
            attempts,
            estimate: *estimate,
        };
        self.journal.put(&[record]).map_err(ChatError::Model)?;
        let mut spending = self.spending.get();
        spending.add(outcome, cost);
        self.spending.set(spending);
        Ok(())
    }

    fn unusable(&self, reason: &str) -> ChatError {
        let key = &self.wire.settings.api_key_env;
        ChatError::Unusable {
            problem: format!("role {}: {} cannot be used: {reason}", self.role, self.wire.address.shown()),
            hint: format!(
                "check the endpoint, url, model, credit and the key in {key}, then repeat the command to resume: answers \
                 so far are kept, and no request is recorded as failed for it"
            ),
        }
    }
}

impl<'a> Run<'a> {
    /// The next call to make. None where there is none, or none before one in flight has ended.
    fn next(&mut self) -> Result<Option<Call>, ChatError> {
        loop {
            self.heed_stop();
            if self.ending.is_some() {
                return Ok(None);
            }
            let Some((index, outgoing)) = self.waiting.take().or_else(|| self.take()) else {
                return Ok(None);
            };
            match self.caller.prepare(&outgoing, self.in_flight.is_empty())? {
                Prepared::Known(outcome) => self.hand_over(index, outcome),
                Prepared::Later => {
                    self.waiting = Some((index, outgoing));
                    return Ok(None);
                }
                Prepared::Unknown(key, body) => {
                    if let Some(call) = self.in_flight.get_mut(&key) {
                        call.indexes.push(index);
                        continue;
                    }
                    return Ok(self.afford(index, outgoing, key, body));
                }
            }
        }
    }

    fn take(&mut self) -> Option<(usize, Outgoing<'a>)> {
        let Some(outgoing) = self.requests.next() else {
            self.caller.wire.pace.exhaust();
            return None;
        };
        self.n_taken += 1;
        Some((self.n_taken - 1, outgoing))
    }

    fn heed_stop(&mut self) {
        if (self.caller.wire.wants_stop)() {
            self.stop(ChatError::Interrupted);
        }
    }

    /// The call that a request needs, where the budget allows it beside those in flight. One call alone may go beyond
    /// what is left, since what it will cost is not known.
    fn afford(&mut self, index: usize, outgoing: Outgoing<'a>, key: Key, body: WireBody) -> Option<Call> {
        let settings = &self.caller.wire.settings;
        let spending = self.caller.spending.get();
        if let Some(spent) = spending.exhausted(settings, self.shared) {
            let role = &self.caller.role;
            self.ending = Some(ChatError::Budget(format!("role {role}: {spent}")));
            return None;
        }
        let expected = spending.expected(self.verb.most(&body, outgoing.max_tokens));
        let others = self.in_flight.values().map(|call| call.expected);
        let suffices = spending.suffices_for(settings, self.shared, others.chain([expected]));
        if !suffices && !self.in_flight.is_empty() {
            self.waiting = Some((index, outgoing));
            return None;
        }
        let indexes = vec![index];
        self.in_flight.insert(key, InFlight { indexes, expected });
        Some(Call { key, id: outgoing.id, body, expected })
    }

    fn end(&mut self, ended: &Ended) -> Result<(), ChatError> {
        let call = self.in_flight.remove(&ended.key);
        match &ended.called {
            Called::Ended(outcome, attempts) => {
                self.caller.record(ended, outcome, *attempts)?;
                for index in call.into_iter().flat_map(|call| call.indexes) {
                    self.hand_over(index, outcome.answer.clone());
                }
            }
            Called::Unusable(reason) => self.stop(self.caller.unusable(reason)),
            Called::Stopped => self.stop(ChatError::Interrupted),
        }
        Ok(())
    }

    /// Hands an answer over as the role's settings want it; in the journal, thinking stands apart.
    fn hand_over(&mut self, index: usize, answer: Result<ChatAnswer, Unanswered>) {
        let joins = self.caller.wire.settings.joins_thinking(&self.caller.role);
        (self.on_answer)(index, if joins { answer.map(ChatAnswer::with_thinking_joined) } else { answer });
    }

    /// Starts nothing further, no second try either. The first reason is the one that is reported.
    fn stop(&mut self, reason: ChatError) {
        self.ending.get_or_insert(reason);
        self.caller.wire.pace.end();
    }
}
