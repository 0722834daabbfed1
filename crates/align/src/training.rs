//! What fine-tuning and reinforcement learning share: errors, learning-rate schedules, the loop over steps.

mod schedule;
mod steps;

use diagnostic::{Diagnosis, Diagnostic, Kind};

use crate::chat::ChatError;
use crate::engine::EngineError;
use crate::run_dir::RunError;
use crate::settings::SettingError;

pub use schedule::{Schedule, SchedulerType};
pub use steps::{Metrics, Outcome, Steps};

/// Why training could not go on. What was written before is kept.
#[derive(Debug, thiserror::Error)]
pub enum TrainingError {
    /// A setting cannot be used.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// There is nothing to train on.
    #[error("no items to train on: expected at least one, got an empty list")]
    NoItems,
    /// An item to be learned has no label.
    #[error("item `{item}`: expected the last message to be the assistant's, got none to learn")]
    NoLabel {
        /// The item.
        item: String,
    },
    /// The judge scored none of a step's responses, so that there is nothing to learn from; something is likely broken.
    #[error("step {step}: none of {responses} responses could be scored; the first one: {reason}")]
    NothingScored {
        /// The step.
        step: usize,
        /// How many responses were sampled.
        responses: usize,
        /// Why the first has no score.
        reason: String,
    },
    /// The engine trains another distribution than it samples from.
    #[error(
        "step {step}, item `{item}`, token {token}: the policy's probability is {ratio} times the one it was sampled \
         with before any update: expected 1 within {tolerance}; sampling and training disagree"
    )]
    RatioNotOne {
        /// The step.
        step: usize,
        /// The item that was answered.
        item: String,
        /// The token's position in the reply, counted from zero.
        token: usize,
        /// Probability in training over probability in sampling.
        ratio: f64,
        /// The setting `grpo.ratio_tolerance`.
        tolerance: f64,
    },
    /// The engine failed.
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
            Self::NoItems | Self::NoLabel { .. } => Kind::Data.into(),
            Self::NothingScored { .. } => Kind::Model.hint(
                "responses that are cut short are not scored: where that is the reason, raise \
                 `rollout.max_completion_length`",
            ),
            Self::RatioNotOne { .. } => Kind::Engine.into(),
        }
    }
}
