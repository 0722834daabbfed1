//! The policy loss as a function of log-probabilities: clipped or shaped, with a KL term, averaged over the tokens of
//! the whole batch.
//!
//! Everything here is plain `f64`; each term comes with its derivative by the token's log-probability.

use super::config::GrpoConfig;
use super::samples::TrainingSample;
use crate::engine::{LossAndGradient, TokenLoss, TokenScores};

/// Log-ratios are clamped to this on both sides before they are exponentiated.
const LOG_RATIO_LIMIT: f64 = 20.0;

/// KL terms are clamped to this on both sides.
const KL_LIMIT: f64 = 10.0;

/// One token's part of a loss, and its derivative by the token's log-probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Term {
    /// The loss.
    pub loss: f64,
    /// Its derivative.
    pub gradient: f64,
}

/// The clipped surrogate: `max(-A r, -A clip(r, 1 - epsilon, 1 + epsilon_high))` with the ratio
/// `r = exp(logprob - old)`, and for `A < 0` at most `-A delta`.
///
/// Sources: PPO (arXiv 1707.06347, eqn. 7), clip-higher (DAPO, 2503.14476), dual clip (1912.09729, eqn. 5).
pub fn clipped_term(logprob: f64, old: f64, advantage: f64, config: &GrpoConfig) -> Term {
    let log_ratio = logprob - old;
    let ratio = log_ratio.clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT).exp();
    let clipped_ratio = ratio.clamp(1.0 - config.epsilon, 1.0 + config.epsilon_high);
    let (plain, clipped) = (-advantage * ratio, -advantage * clipped_ratio);
    if plain < clipped {
        return Term { loss: clipped, gradient: 0.0 };
    }
    if advantage < 0.0 && config.delta > 0.0 && ratio > config.delta {
        return Term { loss: -advantage * config.delta, gradient: 0.0 };
    }
    let moves = log_ratio.abs() < LOG_RATIO_LIMIT;
    Term { loss: plain, gradient: if moves { plain } else { 0.0 } }
}

/// Critique-GRPO's shaped term for tokens that were sampled in another context: `-A p / (p + gamma)` with the policy's
/// probability `p`, which pulls most at tokens the policy finds unlikely.
///
/// Source: arXiv 2506.03106, policy shaping. Differs: divided by the batch's tokens, as every term here, not by the
/// number of responses alone.
pub fn shaped_term(logprob: f64, advantage: f64, gamma: f64) -> Term {
    let probability = logprob.exp();
    Term {
        loss: -advantage * probability / (probability + gamma),
        gradient: -advantage * gamma * probability / (probability + gamma).powi(2),
    }
}

/// The k3 estimate of the divergence from the reference, `exp(d) - d - 1` with `d = reference - logprob`, with `d`
/// clamped to ±20 and the estimate to ±10.
///
/// Source: Schulman, "Approximating KL Divergence" (2020).
pub fn kl_term(logprob: f64, reference: f64) -> Term {
    let difference = reference - logprob;
    let clamped = difference.clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT);
    let estimate = clamped.exp() - clamped - 1.0;
    let moves = difference.abs() < LOG_RATIO_LIMIT && estimate.abs() < KL_LIMIT;
    Term { loss: estimate.clamp(-KL_LIMIT, KL_LIMIT), gradient: if moves { 1.0 - clamped.exp() } else { 0.0 } }
}

/// The loss of one optimizer step's batch.
#[derive(Clone, Debug)]
pub struct PolicyLoss<'a> {
    /// The batch.
    pub samples: Vec<&'a TrainingSample>,
    /// The loss's settings, among those of training.
    pub config: &'a GrpoConfig,
    n_tokens: usize,
}

impl<'a> PolicyLoss<'a> {
    /// The loss of a batch whose sequences go to the engine in this order.
    pub fn new(samples: Vec<&'a TrainingSample>, config: &'a GrpoConfig) -> Self {
        let n_tokens = samples.iter().map(|sample| sample.old_logprobs.len()).sum();
        Self { samples, config, n_tokens }
    }

    fn token(&self, sample: &TrainingSample, position: usize, logprob: f64) -> Term {
        let mut term = if sample.is_shaped {
            shaped_term(logprob, sample.advantage, self.config.shaping_gamma)
        } else {
            let old = f64::from(sample.old_logprobs[position]);
            clipped_term(logprob, old, sample.advantage, self.config)
        };
        if let Some(reference) = sample.reference_logprobs.get(position) {
            let divergence = kl_term(logprob, f64::from(*reference));
            term.loss += self.config.beta * divergence.loss;
            term.gradient += self.config.beta * divergence.gradient;
        }
        term
    }
}

impl TokenLoss for PolicyLoss<'_> {
    fn evaluate(&self, index: usize, scores: &TokenScores) -> LossAndGradient {
        let weight = 1.0 / self.n_tokens.max(1) as f64;
        let sample = self.samples[index];
        let mut result = LossAndGradient { loss: 0.0, gradient: Vec::with_capacity(scores.logprobs.len()) };
        for (position, logprob) in scores.logprobs.iter().enumerate() {
            let term = self.token(sample, position, f64::from(*logprob));
            result.loss += term.loss * weight;
            result.gradient.push((term.gradient * weight) as f32);
        }
        result
    }
}

/// Where a ratio lies in the clip range, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClipRegion {
    /// The clip does not bind.
    Free,
    /// Below the range with a negative advantage.
    Low,
    /// Above the range with a positive advantage.
    High,
}

/// Where the clip binds for a token.
pub fn clip_region(logprob: f64, old: f64, advantage: f64, config: &GrpoConfig) -> ClipRegion {
    let ratio = (logprob - old).exp();
    if ratio < 1.0 - config.epsilon && advantage < 0.0 {
        ClipRegion::Low
    } else if ratio > 1.0 + config.epsilon_high && advantage > 0.0 {
        ClipRegion::High
    } else {
        ClipRegion::Free
    }
}

#[cfg(test)]
mod tests;
