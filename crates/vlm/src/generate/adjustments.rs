//! What a request may ask of its draws beyond temperature and top-p: scores that depend on what was said so far, and
//! further cuts. All in `f64` on the host, as the rest of sampling.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::sampler::larger_first;
use crate::error::Error;

/// What is asked. The default changes nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Adjustments {
    /// Added to the scores of tokens.
    pub score_bias: Vec<(u32, f64)>,
    /// What is above zero of the scores of tokens that stand in the prompt or the completion is divided by this, what
    /// is below multiplied (Keskar et al., CTRL, arXiv 1909.05858, section 4.1); 1 changes nothing.
    pub repetition_penalty: f64,
    /// Taken off a token's score for every time that it stands in the completion.
    pub frequency_penalty: f64,
    /// Taken off the score of every token that stands in the completion.
    pub presence_penalty: f64,
    /// Only tokens of at least this share of the likeliest one's probability are drawn from; 0 keeps all.
    pub min_p: f64,
    /// Only so many of the likeliest tokens are drawn from; none: all.
    pub top_k: Option<usize>,
    /// So many tokens come before one that ends the completion.
    pub min_new_tokens: usize,
}

impl Default for Adjustments {
    fn default() -> Self {
        Self {
            score_bias: Vec::new(),
            repetition_penalty: 1.0,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            min_p: 0.0,
            top_k: None,
            min_new_tokens: 0,
        }
    }
}

impl Adjustments {
    /// Makes sure that scores stay finite and something is left to draw from.
    ///
    /// Errors: `Input` naming what is out of range.
    pub(super) fn check(&self) -> Result<(), Error> {
        let wrong_bias = self
            .score_bias
            .iter()
            .map(|(_, bias)| *bias)
            .find(|bias| !bias.is_finite());
        let penalty = |name, value: f64| (!value.is_finite(), name, "a finite number", value);
        let faults = [
            (
                wrong_bias.is_some(),
                "score_bias",
                "finite numbers",
                wrong_bias.unwrap_or_default(),
            ),
            penalty("frequency_penalty", self.frequency_penalty),
            penalty("presence_penalty", self.presence_penalty),
            (
                !(self.repetition_penalty.is_finite() && self.repetition_penalty > 0.0),
                "repetition_penalty",
                "a number above 0",
                self.repetition_penalty,
            ),
            (
                !(0.0..=1.0).contains(&self.min_p),
                "min_p",
                "a number from 0 to 1",
                self.min_p,
            ),
            (self.top_k == Some(0), "top_k", "at least 1", 0.0),
        ];
        match faults.iter().find(|(wrong, ..)| *wrong) {
            Some((_, name, expected, got)) => Err(Error::Input(format!(
                "sampling option `{name}`: expected {expected}, got {got}"
            ))),
            None => Ok(()),
        }
    }

    /// Changes scores `[v]` by what stands in the sequence so far.
    pub(super) fn shift(&self, scores: &mut [f64], history: &History) {
        for (token, bias) in &self.score_bias {
            if let Some(score) = scores.get_mut(*token as usize) {
                *score += bias;
            }
        }
        if self.repetition_penalty != 1.0 {
            for token in history.all() {
                if let Some(score) = scores.get_mut(token as usize) {
                    *score = if *score > 0.0 {
                        *score / self.repetition_penalty
                    } else {
                        *score * self.repetition_penalty
                    };
                }
            }
        }
        for (token, count) in &history.drawn {
            if let Some(score) = scores.get_mut(*token as usize) {
                *score -= f64::from(*count) * self.frequency_penalty + self.presence_penalty;
            }
        }
    }

    /// Zeroes the weights of tokens that are not to be drawn; returns what is left of `total`. The likeliest token's
    /// weight is 1.
    pub(super) fn cut(&self, weights: &mut [f64], total: f64) -> f64 {
        if self.min_p == 0.0 && self.top_k.is_none_or(|top_k| top_k >= weights.len()) {
            return total;
        }
        weights
            .iter_mut()
            .filter(|weight| **weight < self.min_p)
            .for_each(|weight| *weight = 0.0);
        if let Some(top_k) = self.top_k.filter(|top_k| *top_k < weights.len()) {
            let mut order: Vec<usize> = (0..weights.len()).collect();
            order.select_nth_unstable_by(top_k, |&a, &b| larger_first(weights, a, b));
            order[top_k..].iter().for_each(|&token| weights[token] = 0.0);
        }
        weights.iter().sum()
    }

    /// What must be known of a prompt: its tokens, where it is of any consequence that they stand there.
    pub(super) fn known_of(&self, prompt: &[u32]) -> Arc<HashSet<u32>> {
        let matters = self.repetition_penalty != 1.0;
        Arc::new(prompt.iter().copied().filter(|_| matters).collect())
    }
}

/// Which tokens stand in a sequence.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    prompt: Arc<HashSet<u32>>,
    // How often each was drawn; in order, so that sums never depend on chance.
    drawn: BTreeMap<u32, u32>,
}

impl History {
    /// Nothing drawn yet after a prompt, as [`Adjustments::known_of`] tells of it.
    pub fn after(prompt: Arc<HashSet<u32>>) -> Self {
        Self {
            prompt,
            drawn: BTreeMap::new(),
        }
    }

    /// A token was drawn.
    pub fn push(&mut self, token: u32) {
        *self.drawn.entry(token).or_default() += 1;
    }

    /// Every token once.
    fn all(&self) -> impl Iterator<Item = u32> {
        let only_drawn = self.drawn.keys().filter(|token| !self.prompt.contains(token));
        self.prompt.iter().chain(only_drawn).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shifted(adjustments: &Adjustments, prompt: &[u32], drawn: &[u32]) -> Vec<f64> {
        let mut history = History::after(adjustments.known_of(prompt));
        drawn.iter().for_each(|&token| history.push(token));
        let mut scores = vec![2.0, -2.0, 4.0, 1.0, f64::NEG_INFINITY];
        adjustments.shift(&mut scores, &history);
        scores
    }

    const BANNED: f64 = f64::NEG_INFINITY;

    #[test]
    fn the_default_changes_nothing() {
        let neutral = Adjustments::default();
        assert_eq!(shifted(&neutral, &[0, 1], &[2, 2, 4]), [2.0, -2.0, 4.0, 1.0, BANNED]);
        let mut weights = [1.0, 0.5, 0.0];
        assert_eq!((neutral.cut(&mut weights, 1.5), weights), (1.5, [1.0, 0.5, 0.0]));
        assert!(neutral.check().is_ok());
    }

    #[test]
    fn a_repetition_penalty_knows_prompt_and_completion_and_counts_nothing() {
        let adjustments = Adjustments {
            repetition_penalty: 2.0,
            ..Adjustments::default()
        };
        assert_eq!(
            shifted(&adjustments, &[0, 1, 1], &[0, 3, 3, 4]),
            [1.0, -4.0, 4.0, 0.5, BANNED]
        );
    }

    #[test]
    fn frequency_counts_presence_does_not_and_neither_knows_the_prompt() {
        let adjustments = Adjustments {
            frequency_penalty: 0.5,
            presence_penalty: 0.25,
            ..Adjustments::default()
        };
        assert_eq!(
            shifted(&adjustments, &[0, 1], &[2, 2, 3, 99]),
            [2.0, -2.0, 2.75, 0.25, BANNED]
        );
    }

    #[test]
    fn a_bias_is_added_and_lifts_no_ban() {
        let adjustments = Adjustments {
            score_bias: vec![(1, 100.0), (4, 100.0), (99, 1.0)],
            ..Adjustments::default()
        };
        assert_eq!(shifted(&adjustments, &[], &[]), [2.0, 98.0, 4.0, 1.0, BANNED]);
    }

    #[test]
    fn cuts_keep_the_likeliest_of_equals_the_lower_ids() {
        let cut = |top_k, min_p| {
            let mut weights = [0.5, 1.0, 0.25, 0.5, 0.5];
            let adjustments = Adjustments {
                min_p,
                top_k,
                ..Adjustments::default()
            };
            (adjustments.cut(&mut weights, 2.75), weights)
        };
        assert_eq!(cut(Some(3), 0.0), (2.0, [0.5, 1.0, 0.0, 0.5, 0.0]));
        assert_eq!(cut(None, 0.4), (2.5, [0.5, 1.0, 0.0, 0.5, 0.5]));
        assert_eq!(cut(Some(2), 0.6), (1.0, [0.0, 1.0, 0.0, 0.0, 0.0]));
        assert_eq!(cut(Some(9), 0.0), (2.75, [0.5, 1.0, 0.25, 0.5, 0.5]));
    }

    #[test]
    fn what_leaves_nothing_or_no_finite_score_is_refused() {
        let message = |wrong: Adjustments| wrong.check().unwrap_err().to_string();
        assert_eq!(
            message(Adjustments {
                top_k: Some(0),
                ..Adjustments::default()
            }),
            "sampling option `top_k`: expected at least 1, got 0"
        );
        assert_eq!(
            message(Adjustments {
                repetition_penalty: -1.0,
                ..Adjustments::default()
            }),
            "sampling option `repetition_penalty`: expected a number above 0, got -1"
        );
        assert_eq!(
            message(Adjustments {
                score_bias: vec![(1, 0.0), (2, f64::INFINITY)],
                ..Adjustments::default()
            }),
            "sampling option `score_bias`: expected finite numbers, got inf"
        );
    }
}
