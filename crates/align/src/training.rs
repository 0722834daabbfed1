//! What the training rooms share: settings' errors, seeds without state, learning-rate schedules, checkpoints.

mod schedule;
mod steps;

use diagnostic::{Diagnosis, Diagnostic, Kind};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use crate::chat::ChatError;
use crate::engine::{AdamW, EngineError};
use crate::run_dir::RunError;

pub use schedule::{Schedule, SchedulerType};
pub use steps::{Metrics, Steps};

/// A setting whose value cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("`{key}`: expected {expected}, got {got}")]
pub struct SettingError {
    /// The setting with its table, dotted.
    pub key: String,
    /// What would do.
    pub expected: String,
    /// What stands there.
    pub got: String,
}

impl Diagnostic for SettingError {
    fn diagnosis(&self) -> Diagnosis {
        Kind::Settings.into()
    }
}

/// Passes where `holds`; otherwise names the setting, what was expected and what was found.
///
/// Errors: [`SettingError`].
pub fn check_setting(holds: bool, key: &str, expected: &str, got: impl std::fmt::Display) -> Result<(), SettingError> {
    if holds {
        return Ok(());
    }
    Err(SettingError {
        key: key.to_owned(),
        expected: expected.to_owned(),
        got: got.to_string(),
    })
}

/// Checks the optimizer's settings, which stand flat in the table of whatever trains.
///
/// Errors: [`SettingError`] naming the first that cannot be used.
pub fn check_optimizer(table: &str, optimizer: &AdamW) -> Result<(), SettingError> {
    let key = |name: &str| format!("{table}.{name}");
    let rate = optimizer.learning_rate;
    let holds = rate.is_finite() && rate > 0.0;
    check_setting(holds, &key("learning_rate"), "a number above 0", rate)?;
    for (name, value) in [
        ("weight_decay", optimizer.weight_decay),
        ("adam_epsilon", optimizer.epsilon),
        ("max_grad_norm", optimizer.max_grad_norm),
    ] {
        check_at_least_zero(&key(name), value)?;
    }
    for (name, beta) in ["adam_beta1", "adam_beta2"].into_iter().zip(optimizer.betas) {
        let holds = (0.0..1.0).contains(&beta);
        check_setting(holds, &key(name), "a number from 0 to below 1", beta)?;
    }
    Ok(())
}

/// Checks that training comes to an end: after so many epochs, or steps where these are given.
///
/// Errors: [`SettingError`].
pub fn check_end(table: &str, num_train_epochs: f64, max_steps: usize) -> Result<(), SettingError> {
    let holds = num_train_epochs.is_finite() && (num_train_epochs > 0.0 || max_steps > 0);
    let key = format!("{table}.num_train_epochs");
    check_setting(holds, &key, "a number above 0", num_train_epochs)
}

/// Passes where there is at least one of something.
///
/// Errors: [`SettingError`].
pub fn check_count(key: &str, count: usize) -> Result<(), SettingError> {
    check_setting(count > 0, key, "a whole number of at least 1", count)
}

/// Passes where the value is a share.
///
/// Errors: [`SettingError`].
pub fn check_share(key: &str, share: f64) -> Result<(), SettingError> {
    check_setting((0.0..=1.0).contains(&share), key, "a number from 0 to 1", share)
}

/// Passes where the value is finite and not negative.
///
/// Errors: [`SettingError`].
pub fn check_at_least_zero(key: &str, value: f64) -> Result<(), SettingError> {
    check_setting(value.is_finite() && value >= 0.0, key, "a number of at least 0", value)
}

/// Why training could not go on. What was written before is kept.
#[derive(Debug, thiserror::Error)]
pub enum TrainingError {
    /// A setting cannot be used.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// There is nothing to train on.
    #[error("no items to train on: expected at least one, got an empty list")]
    NoItems,
    /// An item to be learnt has no label.
    #[error("item `{item}`: expected the last message to be the assistant's, got none to learn")]
    NoLabel {
        /// The item.
        item: String,
    },
    /// The judge scored none of a step's responses, so that there is nothing to learn from and likely a fault.
    #[error("step {step}: none of {responses} responses could be scored; the first one: {reason}")]
    NothingScored {
        /// The step.
        step: usize,
        /// How many responses were drawn.
        responses: usize,
        /// Why the first has no score.
        reason: String,
    },
    /// The engine trains another distribution than it samples from.
    #[error(
        "step {step}, item `{item}`, token {token}: the policy's probability is {ratio} times the one it was drawn \
         with before any update: expected 1 within {tolerance}; sampling and training disagree"
    )]
    RatioNotOne {
        /// The step.
        step: usize,
        /// The item that was answered.
        item: String,
        /// The token's place in the reply, counted from zero.
        token: usize,
        /// Probability in training over probability in sampling.
        ratio: f64,
        /// The setting `grpo.ratio_tolerance`.
        tolerance: f64,
    },
    /// The model could not do as asked.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The judge had to stop.
    #[error(transparent)]
    Judge(#[from] ChatError),
    /// The run's directory could not be used.
    #[error(transparent)]
    Run(#[from] RunError),
}

impl Diagnostic for TrainingError {
    fn diagnosis(&self) -> Diagnosis {
        match self {
            Self::Setting(error) => error.diagnosis(),
            Self::Engine(error) => error.diagnosis(),
            Self::Judge(error) => error.diagnosis(),
            Self::Run(error) => error.diagnosis(),
            Self::NoItems | Self::NoLabel { .. } | Self::NothingScored { .. } => Kind::Data.into(),
            Self::RatioNotOne { .. } => Kind::Engine.into(),
        }
    }
}

/// How a training run came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All steps are done; the last checkpoint is the result.
    Finished {
        /// How many steps there were.
        steps: usize,
    },
    /// The user asked to stop; the checkpoint of this step is the place to go on from.
    Interrupted {
        /// The last step that was done.
        step: usize,
    },
}

/// A seed for one purpose, derived by hashing (SHA-256), so that no generator's state need be kept between steps.
pub fn derive_seed(seed: u64, purpose: &str, numbers: &[u64]) -> u64 {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(purpose.as_bytes());
    for number in numbers {
        hash.update(number.to_le_bytes());
    }
    number_of(&hash.finalize())
}

/// The number that a hash begins with.
pub(crate) fn number_of(digest: &[u8]) -> u64 {
    let first = digest.iter().take(8);
    first.fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The numbers from zero to `n` (left out) in an order that the seed decides.
pub fn shuffled(n: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_depend_on_every_part() {
        let seeds = [
            derive_seed(1, "member", &[2, 3]),
            derive_seed(0, "member", &[2, 3]),
            derive_seed(1, "order", &[2, 3]),
            derive_seed(1, "member", &[3, 2]),
        ];
        let distinct: std::collections::BTreeSet<_> = seeds.iter().collect();
        assert_eq!(distinct.len(), seeds.len());
        assert_eq!(derive_seed(1, "member", &[2, 3]), seeds[0]);
    }

    #[test]
    fn a_shuffled_order_holds_every_number_once() {
        let order = shuffled(50, 7);
        assert_eq!(order, shuffled(50, 7));
        assert_ne!(order, shuffled(50, 8));
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..50).collect::<Vec<_>>());
    }
}
