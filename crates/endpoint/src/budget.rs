//! What calls cost, and how much they may.

use align::chat::ChatAnswer;
use serde::Serialize;

use crate::settings::RoleSettings;

/// What a role has used, by the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spending {
    /// Calls that ended.
    pub calls: u64,
    /// Those of them that gave no answer.
    pub failed: u64,
    /// Tokens read.
    pub prompt_tokens: u64,
    /// Tokens written.
    pub completion_tokens: u64,
    /// Money, in the currency of the prices.
    pub cost: f64,
}

impl Spending {
    /// Counts a call's end.
    pub(crate) fn add(&mut self, answer: Option<&ChatAnswer>, cost: f64) {
        self.calls += 1;
        match answer {
            Some(answer) => {
                self.prompt_tokens += answer.prompt_tokens;
                self.completion_tokens += answer.completion_tokens;
                self.cost += cost;
            }
            None => self.failed += 1,
        }
    }

    fn total_tokens(&self) -> u64 {
        self.prompt_tokens + self.completion_tokens
    }

    /// Tokens that a further call is likely to take.
    pub(crate) fn tokens_per_call(&self) -> f64 {
        self.total_tokens() as f64 / (self.calls - self.failed).max(1) as f64
    }

    /// Why no further call may be made beside so many in flight, each of which may cost as much as the calls so far did;
    /// none while it may.
    pub(crate) fn exhausted(&self, settings: &RoleSettings, in_flight: usize) -> Option<String> {
        let ahead = in_flight as f64 / (self.calls - self.failed).max(1) as f64;
        if settings.max_cost > 0.0 && self.cost * (1.0 + ahead) >= settings.max_cost {
            return Some(format!(
                "max_cost of {} is spent: {:.4} so far",
                settings.max_cost, self.cost
            ));
        }
        let (tokens, limit) = (self.total_tokens(), settings.max_total_tokens);
        if limit > 0 && tokens as f64 * (1.0 + ahead) >= limit as f64 {
            return Some(format!("max_total_tokens of {limit} are spent: {tokens} so far"));
        }
        None
    }
}

/// What an answer's tokens cost.
pub(crate) fn cost(answer: &ChatAnswer, settings: &RoleSettings) -> f64 {
    const TOKENS_PRICED: f64 = 1e6;
    (answer.prompt_tokens as f64 * settings.price_input + answer.completion_tokens as f64 * settings.price_output)
        / TOKENS_PRICED
}
