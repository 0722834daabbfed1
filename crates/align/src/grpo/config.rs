//! The settings of GRPO. Names as in TRL's `GRPOConfig` where it has them.

use serde::{Deserialize, Serialize};

use super::advantages::ScaleRewards;
use crate::engine::AdamW;
use crate::settings::{
    SettingError, check_above_zero, check_at_least_zero, check_count, check_each, check_end, check_optimizer,
    check_setting, check_share, check_side_by_side, settings_table,
};
use crate::training::{Schedule, SchedulerType};

/// How a correction that replaced a response is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CorrectionTraining {
    /// As a reply to the original prompt, its old log-probabilities recomputed there, so that what took a reflection
    /// becomes the first thought.
    Internalize,
    /// As sampled: reflection and correction as one reply to the dialogue of prompt, response and reflection prompt.
    InContext,
    /// As a reply to the original prompt, off-policy, shaped as in critique-GRPO (arXiv 2506.03106): no ratio, each
    /// token weighted by `p / (p + shaping_gamma)`, and advantages that are rewards less the mean, in all groups.
    Shaped,
}

settings_table! {
    /// How to train by reinforcement.
    pub struct GrpoConfig {
        /// Decides the order of prompts, every sample and every minibatch.
        pub seed: u64 = 0,
        /// Groups that a step trains on.
        pub prompts_per_step: usize = 32,
        /// Epochs over all prompts, refills not counted.
        pub num_train_epochs: f64 = 1.0,
        /// Steps; 0 goes by `num_train_epochs`.
        pub max_steps: usize = 0,
        /// Inner epochs over a step's samples.
        pub num_iterations: usize = 1,
        /// Members per optimizer step; 0 takes all of the step's.
        pub train_batch_size: usize = 0,
        /// The highest learning rate; 1e-6 suits full weights, 1e-5 LoRA.
        pub learning_rate: f64 = 1e-6,
        /// The learning rate after warm-up.
        pub lr_scheduler_type: SchedulerType = SchedulerType::Constant,
        /// Share of the steps over which the learning rate rises.
        pub warmup_ratio: f64 = 0.0,
        /// Decoupled weight decay.
        pub weight_decay: f64 = 0.01,
        /// Decay of AdamW's first moment.
        pub adam_beta1: f64 = 0.9,
        /// Decay of AdamW's second moment.
        pub adam_beta2: f64 = 0.999,
        /// Added to the root of AdamW's second moment.
        pub adam_epsilon: f64 = 1e-8,
        /// Gradients longer than this are scaled down to it; 0 turns clipping off.
        pub max_grad_norm: f64 = 1.0,
        /// Coefficient of the KL term; 0 turns it off and saves the reference's forward pass.
        pub beta: f64 = 0.01,
        /// The ratio is clipped at 1 minus this, where the advantage is negative.
        pub epsilon: f64 = 0.2,
        /// The ratio is clipped at 1 plus this, where the advantage is positive.
        pub epsilon_high: f64 = 0.3,
        /// Dual clip: with a negative advantage the ratio is clipped at this; 0 turns it off.
        pub delta: f64 = 3.0,
        /// What advantages are divided by.
        pub scale_rewards: ScaleRewards = ScaleRewards::Group,
        /// How corrections are trained.
        pub correction: CorrectionTraining = CorrectionTraining::Internalize,
        /// The constant of `shaped`'s token weights.
        pub shaping_gamma: f64 = 0.1,
        /// How often a step samples more groups to replace those whose rewards are all equal or that are too often
        /// unscored.
        pub max_refills: usize = 3,
        /// A group with a larger share of unscored members than this is not trained.
        pub max_unscored_share: f64 = 0.5,
        /// Whether responses that were truncated at their length limit are left out of training.
        pub mask_truncated_completions: bool = false,
        /// How far from 1 a ratio may be before any update.
        pub ratio_tolerance: f64 = 0.01,
        /// Steps between checkpoints; 0 saves at the end alone.
        pub save_steps: usize = 0,
        /// Checkpoints kept; 0 keeps all.
        pub save_total_limit: usize = 0,
    }
}

impl GrpoConfig {
    /// Checks that the settings can be used. `table` is where they stand, such as `grpo`.
    ///
    /// Errors: [`SettingError`] naming the first that cannot.
    pub fn validate(&self, table: &str) -> Result<(), SettingError> {
        check_side_by_side(&format!("{table}.prompts_per_step"), 1, self.prompts_per_step)?;
        check_count(&format!("{table}.num_iterations"), self.num_iterations)?;
        check_end(table, self.num_train_epochs, self.max_steps)?;
        check_optimizer(table, &self.optimizer(self.learning_rate))?;
        check_each!(check_above_zero, table, self, [shaping_gamma, ratio_tolerance])?;
        check_each!(check_at_least_zero, table, self, [beta, epsilon_high])?;
        check_each!(check_share, table, self, [warmup_ratio, epsilon, max_unscored_share])?;
        let (key, delta) = (format!("{table}.delta"), self.delta);
        let clips = delta == 0.0 || (delta.is_finite() && delta > 1.0 + self.epsilon_high);
        check_setting(clips, &key, "0, or a number above 1 + `epsilon_high`", delta)
    }

    pub(super) fn reward_scale(&self) -> ScaleRewards {
        match self.correction {
            CorrectionTraining::Shaped => ScaleRewards::None,
            CorrectionTraining::Internalize | CorrectionTraining::InContext => self.scale_rewards,
        }
    }

    /// How many steps there are in all.
    pub fn total_steps(&self, n_prompts: usize) -> usize {
        if self.max_steps > 0 {
            return self.max_steps;
        }
        (self.num_train_epochs * n_prompts as f64 / self.prompts_per_step as f64).ceil() as usize
    }

    pub(super) fn schedule(&self, total_steps: usize) -> Schedule {
        Schedule::new(self.learning_rate, self.lr_scheduler_type, self.warmup_ratio, total_steps)
    }

    pub(super) fn optimizer(&self, learning_rate: f64) -> AdamW {
        AdamW {
            learning_rate,
            betas: [self.adam_beta1, self.adam_beta2],
            epsilon: self.adam_epsilon,
            weight_decay: self.weight_decay,
            max_grad_norm: self.max_grad_norm,
        }
    }
}
