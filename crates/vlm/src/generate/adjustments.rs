//! What a request may adjust beyond temperature and top-p: scores by the tokens so far, and further truncation. All in
//! `f64` on the host, as the rest of sampling.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::options::out_of_range;
use super::probabilities::larger_first;
use crate::error::Error;

/// A request's adjustments. The default changes nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Adjustments {
    /// Added to the scores of tokens.
    pub score_bias: Vec<(u32, f64)>,
    /// What is above zero of the scores of tokens that stand in the prompt or the completion is divided by this, what
    /// is below multiplied (Keskar et al., CTRL, arXiv 1909.05858, section 4.1); 1 changes nothing.
    pub repetition_penalty: f64,
    /// Taken off a token's score for every time that it occurs in the completion.
    pub frequency_penalty: f64,
    /// Taken off the score of every token that occurs in the completion.
    pub presence_penalty: f64,
    /// Only tokens of at least this share of the most likely one's probability are sampled from; 0 keeps all.
    pub min_p: f64,
    /// Only so many of the most likely tokens are sampled from; none: all.
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
    /// Makes sure that scores stay finite and something is left to sample from.
    ///
    /// Errors: `Input` naming what is out of range.
    pub(super) fn check(&self) -> Result<(), Error> {
        if let Some((_, bias)) = self.score_bias.iter().find(|(_, bias)| !bias.is_finite()) {
            return out_of_range("score_bias", "finite numbers", bias);
        }
        for (name, penalty) in
            [("frequency_penalty", self.frequency_penalty), ("presence_penalty", self.presence_penalty)]
        {
            if !penalty.is_finite() {
                return out_of_range(name, "a finite number", penalty);
            }
        }
        if !(self.repetition_penalty.is_finite() && self.repetition_penalty > 0.0) {
            return out_of_range("repetition_penalty", "a number above 0", self.repetition_penalty);
        }
        if !(0.0..=1.0).contains(&self.min_p) {
            return out_of_range("min_p", "a number from 0 to 1", self.min_p);
        }
        if self.top_k == Some(0) {
            return out_of_range("top_k", "at least 1", 0);
        }
        Ok(())
    }

    /// Changes scores `[v]` by the tokens of the sequence so far.
    pub(super) fn shift(&self, scores: &mut [f64], history: &History) {
        for (token, bias) in &self.score_bias {
            if let Some(score) = scores.get_mut(*token as usize) {
                *score += bias;
            }
        }
        if self.repetition_penalty != 1.0 {
            for token in history.all() {
                if let Some(score) = scores.get_mut(token as usize) {
                    *score =
                        if *score > 0.0 { *score / self.repetition_penalty } else { *score * self.repetition_penalty };
                }
            }
        }
        for (token, count) in &history.sampled {
            if let Some(score) = scores.get_mut(*token as usize) {
                *score -= f64::from(*count) * self.frequency_penalty + self.presence_penalty;
            }
        }
    }

    /// Zeroes the weights of tokens that are not to be sampled; returns what is left of `total`. The most likely token's
    /// weight is 1.
    pub(super) fn truncate(&self, weights: &mut [f64], total: f64) -> f64 {
        if self.min_p == 0.0 && self.top_k.is_none_or(|top_k| top_k >= weights.len()) {
            return total;
        }
        weights.iter_mut().filter(|weight| **weight < self.min_p).for_each(|weight| *weight = 0.0);
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

/// The tokens of a sequence.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    prompt: Arc<HashSet<u32>>,
    // How often each was sampled; in order, so that sums never depend on the order of a hash map.
    sampled: BTreeMap<u32, u32>,
}

impl History {
    /// Nothing sampled yet after a prompt, of which [`Adjustments::known_of`] gives the tokens.
    pub fn after(prompt: Arc<HashSet<u32>>) -> Self {
        Self { prompt, sampled: BTreeMap::new() }
    }

    /// A token was sampled.
    pub fn push(&mut self, token: u32) {
        *self.sampled.entry(token).or_default() += 1;
    }

    /// Every token once.
    fn all(&self) -> impl Iterator<Item = u32> {
        let only_sampled = self.sampled.keys().filter(|token| !self.prompt.contains(token));
        self.prompt.iter().chain(only_sampled).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shifted(adjustments: &Adjustments, prompt: &[u32], sampled: &[u32]) -> Vec<f64> {
        let mut history = History::after(adjustments.known_of(prompt));
        sampled.iter().for_each(|&token| history.push(token));
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
        assert_eq!((neutral.truncate(&mut weights, 1.5), weights), (1.5, [1.0, 0.5, 0.0]));
        assert!(neutral.check().is_ok());
    }

    #[test]
    fn a_repetition_penalty_knows_prompt_and_completion_and_counts_nothing() {
        let adjustments = Adjustments { repetition_penalty: 2.0, ..Adjustments::default() };
        assert_eq!(shifted(&adjustments, &[0, 1, 1], &[0, 3, 3, 4]), [1.0, -4.0, 4.0, 0.5, BANNED]);
    }

    #[test]
    fn frequency_counts_presence_does_not_and_neither_knows_the_prompt() {
        let adjustments = Adjustments { frequency_penalty: 0.5, presence_penalty: 0.25, ..Adjustments::default() };
        assert_eq!(shifted(&adjustments, &[0, 1], &[2, 2, 3, 99]), [2.0, -2.0, 2.75, 0.25, BANNED]);
    }

    #[test]
    fn a_bias_is_added_and_lifts_no_ban() {
        let adjustments = Adjustments { score_bias: vec![(1, 100.0), (4, 100.0), (99, 1.0)], ..Adjustments::default() };
        assert_eq!(shifted(&adjustments, &[], &[]), [2.0, 98.0, 4.0, 1.0, BANNED]);
    }

    #[test]
    fn truncation_keeps_the_most_likely_of_equals_the_lower_ids() {
        for (top_k, min_p, expected) in [
            (Some(3), 0.0, (2.0, [0.5, 1.0, 0.0, 0.5, 0.0])),
            (None, 0.4, (2.5, [0.5, 1.0, 0.0, 0.5, 0.5])),
            (Some(2), 0.6, (1.0, [0.0, 1.0, 0.0, 0.0, 0.0])),
            (Some(9), 0.0, (2.75, [0.5, 1.0, 0.25, 0.5, 0.5])),
        ] {
            let mut weights = [0.5, 1.0, 0.25, 0.5, 0.5];
            let adjustments = Adjustments { min_p, top_k, ..Adjustments::default() };
            assert_eq!((adjustments.truncate(&mut weights, 2.75), weights), expected);
        }
    }

    #[test]
    fn what_leaves_nothing_or_no_finite_score_is_refused() {
        for (wrong, expected) in [
            (
                Adjustments { top_k: Some(0), ..Adjustments::default() },
                "sampling option `top_k`: expected at least 1, got 0",
            ),
            (
                Adjustments { repetition_penalty: -1.0, ..Adjustments::default() },
                "sampling option `repetition_penalty`: expected a number above 0, got -1",
            ),
            (
                Adjustments { score_bias: vec![(1, 0.0), (2, f64::INFINITY)], ..Adjustments::default() },
                "sampling option `score_bias`: expected finite numbers, got inf",
            ),
        ] {
            assert_eq!(wrong.check().unwrap_err().to_string(), expected);
        }
    }
}
