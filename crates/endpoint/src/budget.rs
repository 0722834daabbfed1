//! What calls cost, and how much they may.

use align::chat::{ChatAnswer, Unanswered};
use serde::Serialize;

use crate::settings::RoleSettings;

/// How many tokens a price is for.
const TOKENS_PRICED: f64 = 1e6;
/// Bytes of text a token, on the safe side: English has about four, other languages fewer.
const BYTES_PER_TOKEN: usize = 3;

/// About how many tokens a text is.
pub(crate) fn tokens_of_text(text: &str) -> u64 {
    text.len().div_ceil(BYTES_PER_TOKEN) as u64
}

/// What a call used, or may use.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Usage {
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    /// Whether tokens are estimated, since the endpoint does not say.
    pub is_estimated: bool,
    /// Images painted.
    pub images: u64,
}

impl Usage {
    pub fn tokens(&self) -> u64 {
        self.prompt_tokens + self.completion_tokens
    }

    pub fn cost(&self, settings: &RoleSettings) -> f64 {
        let read = self.prompt_tokens as f64 * settings.price_input;
        let written = self.completion_tokens as f64 * settings.price_output;
        (read + written) / TOKENS_PRICED + self.images as f64 * settings.price_image
    }
}

/// How a call ended and what it used: some answers are paid for and cannot be used.
pub(crate) struct Outcome {
    pub answer: Result<ChatAnswer, Unanswered>,
    pub usage: Usage,
}

impl Outcome {
    /// A call without an answer that cost nothing.
    pub fn failed(reason: String) -> Self {
        Self::of(Unanswered::new(reason))
    }

    /// As [`Self::failed`], for this reason.
    pub fn of(unanswered: Unanswered) -> Self {
        Self { answer: Err(unanswered), usage: Usage::default() }
    }
}

/// A budget over all roles of a journal, as one of them has it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shared {
    /// What they may cost together; 0 for no limit.
    pub max_cost: f64,
    /// What the others have cost.
    pub by_others: f64,
}

/// What a role has used, by the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spending {
    /// Calls that ended.
    pub calls: u64,
    /// Those of them that gave no answer.
    pub failed: u64,
    /// Those whose tokens are estimated from the length of their texts, since the endpoint did not say.
    pub estimated: u64,
    /// Tokens read.
    pub prompt_tokens: u64,
    /// Tokens written.
    pub completion_tokens: u64,
    /// Money, in the currency of the prices.
    pub cost: f64,
}

impl Spending {
    /// Counts a call's end.
    pub(crate) fn add(&mut self, outcome: &Outcome, cost: f64) {
        self.calls += 1;
        self.failed += u64::from(outcome.answer.is_err());
        self.estimated += u64::from(outcome.usage.is_estimated);
        self.prompt_tokens += outcome.usage.prompt_tokens;
        self.completion_tokens += outcome.usage.completion_tokens;
        self.cost += cost;
    }

    fn total_tokens(&self) -> u64 {
        self.prompt_tokens + self.completion_tokens
    }

    /// What a further call is likely to use: as much as those so far did on average, or the most it can where there are
    /// none.
    pub(crate) fn expected(&self, most: Usage) -> Usage {
        let answered = self.calls - self.failed;
        if answered == 0 || self.total_tokens() == 0 {
            return most;
        }
        Usage {
            prompt_tokens: self.prompt_tokens.div_ceil(answered),
            completion_tokens: self.completion_tokens.div_ceil(answered),
            ..most
        }
    }

    /// Why no further call may be made; none while one may.
    pub(crate) fn exhausted(&self, settings: &RoleSettings, shared: Shared) -> Option<String> {
        if settings.max_cost > 0.0 && self.cost >= settings.max_cost {
            return Some(format!("max_cost of {} is spent: {:.4} so far", settings.max_cost, self.cost));
        }
        let all = self.cost + shared.by_others;
        if shared.max_cost > 0.0 && settings.is_priced() && all >= shared.max_cost {
            return Some(format!("max_cost of {} is spent by all roles together: {all:.4} so far", shared.max_cost));
        }
        let (tokens, limit) = (self.total_tokens(), settings.max_total_tokens);
        (limit > 0 && tokens >= limit).then(|| format!("max_total_tokens of {limit} are spent: {tokens} so far"))
    }

    /// Whether the budget lasts for calls that are expected to use so much together.
    pub(crate) fn suffices_for(
        &self,
        settings: &RoleSettings,
        shared: Shared,
        calls: impl Iterator<Item = Usage>,
    ) -> bool {
        let (mut cost, mut tokens) = (self.cost, self.total_tokens());
        for call in calls {
            cost += call.cost(settings);
            tokens += call.tokens();
        }
        let (max_cost, max_tokens) = (settings.max_cost, settings.max_total_tokens);
        let suffices_shared = shared.max_cost == 0.0 || cost + shared.by_others <= shared.max_cost;
        suffices_shared && (max_cost == 0.0 || cost <= max_cost) && (max_tokens == 0 || tokens <= max_tokens)
    }
}
