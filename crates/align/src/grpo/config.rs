//! The settings of GRPO. Names as in TRL's `GRPOConfig` where it has them.

use serde::{Deserialize, Serialize};

use super::advantages::ScaleRewards;
use crate::engine::AdamW;
use crate::settings::{
    SettingError, check_above_zero, check_at_least_zero, check_count, check_end, check_optimizer, check_setting,
    check_share,
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

/// How to train by reinforcement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GrpoConfig {
    /// Decides the order of prompts, every sample and every minibatch.
    pub seed: u64,
    /// Groups that a step trains on.
    pub prompts_per_step: usize,
    /// Epochs over all prompts, refills not counted.
    pub num_train_epochs: f64,
    /// Steps; 0 goes by `num_train_epochs`.
    pub max_steps: usize,
    /// Inner epochs over a step's samples.
    pub num_iterations: usize,
    /// Members per optimizer step; 0 takes all of the step's.
    pub train_batch_size: usize,
    /// The highest learning rate; 1e-6 suits full weights, 1e-5 LoRA.
    pub learning_rate: f64,
    /// The learning rate after warm-up.
    pub lr_scheduler_type: SchedulerType,
    /// Share of the steps over which the learning rate rises.
    pub warmup_ratio: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Decay of AdamW's first moment.
    pub adam_beta1: f64,
    /// Decay of AdamW's second moment.
    pub adam_beta2: f64,
    /// Added to the root of AdamW's second moment.
    pub adam_epsilon: f64,
    /// Gradients longer than this are scaled down to it; 0 turns clipping off.
    pub max_grad_norm: f64,
    /// Coefficient of the KL term; 0 turns it off and saves the reference's forward pass.
    pub beta: f64,
    /// The ratio is clipped at 1 minus this, where the advantage is negative.
    pub epsilon: f64,
    /// The ratio is clipped at 1 plus this, where the advantage is positive.
    pub epsilon_high: f64,
    /// Dual clip: with a negative advantage the ratio is clipped at this; 0 turns it off.
    pub delta: f64,
    /// What advantages are divided by.
    pub scale_rewards: ScaleRewards,
    /// How corrections are trained.
    pub correction: CorrectionTraining,
    /// The constant of `shaped`'s token weights.
    pub shaping_gamma: f64,
    /// How often a step samples more groups to replace those whose rewards are all equal or that are too often unscored.
    pub max_refills: usize,
    /// A group with a larger share of unscored members than this is not trained.
    pub max_unscored_share: f64,
    /// Whether responses that were truncated at their length limit are left out of training.
    pub mask_truncated_completions: bool,
    /// How far from 1 a ratio may be before any update.
    pub ratio_tolerance: f64,
    /// Steps between checkpoints; 0 saves at the end alone.
    pub save_steps: usize,
    /// Checkpoints kept; 0 keeps all.
    pub save_total_limit: usize,
}

/// The loss's settings; [`GrpoConfig`] describes them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossConfig {
    /// Lower clip.
    pub epsilon: f64,
    /// Upper clip.
    pub epsilon_high: f64,
    /// Dual clip; 0 is off.
    pub delta: f64,
    /// Coefficient of the KL term.
    pub beta: f64,
    /// Constant of the shaped weights.
    pub shaping_gamma: f64,
}

impl Default for GrpoConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            prompts_per_step: 32,
            num_train_epochs: 1.0,
            max_steps: 0,
            num_iterations: 1,
            train_batch_size: 0,
            learning_rate: 1e-6,
            lr_scheduler_type: SchedulerType::Constant,
            warmup_ratio: 0.0,
            weight_decay: 0.01,
            adam_beta1: 0.9,
            adam_beta2: 0.999,
            adam_epsilon: 1e-8,
            max_grad_norm: 1.0,
            beta: 0.01,
            epsilon: 0.2,
            epsilon_high: 0.3,
            delta: 3.0,
            scale_rewards: ScaleRewards::Group,
            correction: CorrectionTraining::Internalize,
            shaping_gamma: 0.1,
            max_refills: 3,
            max_unscored_share: 0.5,
            mask_truncated_completions: false,
            ratio_tolerance: 0.01,
            save_steps: 0,
            save_total_limit: 0,
        }
    }
}

impl GrpoConfig {
    /// Checks that the settings can be used. `table` is where they stand, such as `grpo`.
    ///
    /// Errors: [`SettingError`] naming the first that cannot.
    pub fn validate(&self, table: &str) -> Result<(), SettingError> {
        for (name, count) in [("prompts_per_step", self.prompts_per_step), ("num_iterations", self.num_iterations)] {
            check_count(&format!("{table}.{name}"), count)?;
        }
        check_end(table, self.num_train_epochs, self.max_steps)?;
        check_optimizer(table, &self.optimizer(self.learning_rate))?;
        for (name, value) in [("shaping_gamma", self.shaping_gamma), ("ratio_tolerance", self.ratio_tolerance)] {
            check_above_zero(&format!("{table}.{name}"), value)?;
        }
        for (name, value) in [("beta", self.beta), ("epsilon_high", self.epsilon_high)] {
            check_at_least_zero(&format!("{table}.{name}"), value)?;
        }
        for (name, share) in [
            ("warmup_ratio", self.warmup_ratio),
            ("epsilon", self.epsilon),
            ("max_unscored_share", self.max_unscored_share),
        ] {
            check_share(&format!("{table}.{name}"), share)?;
        }
        let (key, delta) = (format!("{table}.delta"), self.delta);
        let clips = delta == 0.0 || (delta.is_finite() && delta > 1.0 + self.epsilon_high);
        check_setting(clips, &key, "0, or a number above 1 + `epsilon_high`", delta)
    }

    /// The settings of the loss alone.
    pub fn loss(&self) -> LossConfig {
        LossConfig {
            epsilon: self.epsilon,
            epsilon_high: self.epsilon_high,
            delta: self.delta,
            beta: self.beta,
            shaping_gamma: self.shaping_gamma,
        }
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
