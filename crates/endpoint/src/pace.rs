//! When calls may start: so many a minute, so many tokens a minute, and not before an endpoint that asked for a pause
//! wants more.

use std::cell::RefCell;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::settings::RoleSettings;

/// The pace of one endpoint's calls.
#[derive(Debug)]
pub(crate) struct Pace {
    // Seconds that a request and a token take up; zero without a limit.
    per_request: f64,
    per_token: f64,
    state: RefCell<State>,
}

#[derive(Debug)]
struct State {
    next_request: Instant,
    next_tokens: Instant,
    paused_until: Instant,
}

impl Pace {
    pub fn new(settings: &RoleSettings) -> Self {
        let seconds = |limit: usize| if limit == 0 { 0.0 } else { 60.0 / limit as f64 };
        let now = Instant::now();
        Self {
            per_request: seconds(settings.requests_per_minute),
            per_token: seconds(settings.tokens_per_minute),
            state: RefCell::new(State {
                next_request: now,
                next_tokens: now,
                paused_until: now,
            }),
        }
    }

    /// Waits until a call of about so many tokens may start.
    pub async fn admit(&self, tokens: f64) {
        let start = {
            let mut state = self.state.borrow_mut();
            let start = Instant::now().max(state.next_request).max(state.next_tokens);
            state.next_request = start + Duration::from_secs_f64(self.per_request);
            state.next_tokens = start + Duration::from_secs_f64(self.per_token * tokens);
            start
        };
        sleep_until(start).await;
        loop {
            let paused_until = self.state.borrow().paused_until;
            if paused_until <= Instant::now() {
                return;
            }
            sleep_until(paused_until).await;
        }
    }

    /// Takes note of how many tokens a call took that was expected to take others.
    pub fn correct(&self, expected: f64, taken: f64) {
        let more = Duration::from_secs_f64(self.per_token * (taken - expected).max(0.0));
        let less = Duration::from_secs_f64(self.per_token * (expected - taken).max(0.0));
        let mut state = self.state.borrow_mut();
        let next = state.next_tokens + more;
        state.next_tokens = next.checked_sub(less).unwrap_or(next);
    }

    /// Starts nothing for a while.
    pub fn pause(&self, time: Duration) {
        let mut state = self.state.borrow_mut();
        state.paused_until = state.paused_until.max(Instant::now() + time);
    }
}
