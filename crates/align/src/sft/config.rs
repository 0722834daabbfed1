//! The settings of fine-tuning. Names as in Hugging Face's `TrainingArguments` where it has them.

use crate::engine::AdamW;
use crate::settings::{
    SettingError, check_below_one, check_count, check_each, check_end, check_optimizer, check_setting, check_share,
    settings_table,
};
use crate::training::{Schedule, SchedulerType};

settings_table! {
    /// How to fine-tune.
    pub struct SftConfig {
        /// Decides the order of the data and which general items are mixed in.
        pub seed: u64 = 0,
        /// Share of general items among all that are trained on, 0..1 (MIS: 500 of 4,500).
        pub general_ratio: f64 = 500.0 / 4500.0,
        /// Epochs over all items; a fraction stops within one.
        pub num_train_epochs: f64 = 3.0,
        /// Optimizer steps; 0 goes by `num_train_epochs`.
        pub max_steps: usize = 0,
        /// Items per optimizer step.
        pub train_batch_size: usize = 128,
        /// How many parts a batch is split into; the result is the same, the memory is not.
        pub gradient_accumulation_steps: usize = 1,
        /// Longest sample, in tokens, image tokens included; longer ones are refused, never truncated. Name as in TRL.
        pub max_length: usize = 8192,
        /// Put samples end to end in rows of up to `max_length` tokens instead of padding them to one length; each
        /// still attends to itself alone. Name as in TRL.
        pub packing: bool = false,
        /// Train on the last turn of a dialogue alone, not on every turn of the assistant's (LLaMA-Factory's name).
        pub mask_history: bool = false,
        /// The highest learning rate (MIS: 2e-6 for Qwen2-VL-7B, 5e-6 for InternVL2.5-8B).
        pub learning_rate: f64 = 2e-6,
        /// The learning rate after warm-up.
        pub lr_scheduler_type: SchedulerType = SchedulerType::Cosine,
        /// Share of the steps over which the learning rate rises (MIS: 0.03).
        pub warmup_ratio: f64 = 0.03,
        /// Decoupled weight decay.
        pub weight_decay: f64 = 0.05,
        /// Decay of AdamW's first moment.
        pub adam_beta1: f64 = 0.9,
        /// Decay of AdamW's second moment.
        pub adam_beta2: f64 = 0.999,
        /// Added to the root of AdamW's second moment.
        pub adam_epsilon: f64 = 1e-8,
        /// Gradients longer than this are scaled down to it; 0 turns clipping off.
        pub max_grad_norm: f64 = 1.0,
        /// Steps between checkpoints; 0 saves at the end alone.
        pub save_steps: usize = 0,
        /// Checkpoints kept; 0 keeps all.
        pub save_total_limit: usize = 0,
    }
}

impl SftConfig {
    /// Checks that the settings can be used. `table` is where they stand, such as `sft`.
    ///
    /// Errors: [`SettingError`] naming the first that cannot.
    pub fn validate(&self, table: &str) -> Result<(), SettingError> {
        check_below_one(&format!("{table}.general_ratio"), self.general_ratio)?;
        check_end(table, self.num_train_epochs, self.max_steps)?;
        check_each!(check_count, table, self, [train_batch_size, gradient_accumulation_steps, max_length])?;
        check_share(&format!("{table}.warmup_ratio"), self.warmup_ratio)?;
        check_optimizer(table, &self.optimizer(self.learning_rate))
    }

    /// Checks that there are general items where some are to be mixed with so many others. `table` is where the
    /// settings stand.
    ///
    /// Errors: [`SettingError`] naming the share.
    pub fn check_general(&self, table: &str, n_items: usize, n_general: usize) -> Result<(), SettingError> {
        check_setting(
            n_general > 0 || self.general_items(n_items) == 0,
            &format!("{table}.general_ratio"),
            "0 where no general items are given",
            self.general_ratio,
        )
    }

    /// How many general items are mixed with so many others.
    pub(super) fn general_items(&self, n_items: usize) -> usize {
        (n_items as f64 * self.general_ratio / (1.0 - self.general_ratio)).round() as usize
    }

    /// How many optimizer steps there are in all.
    pub fn total_steps(&self, steps_per_epoch: usize) -> usize {
        if self.max_steps > 0 {
            return self.max_steps;
        }
        (self.num_train_epochs * steps_per_epoch as f64).ceil() as usize
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedule_and_optimizer_follow_the_settings() {
        let config = SftConfig {
            lr_scheduler_type: SchedulerType::Linear,
            warmup_ratio: 0.5,
            learning_rate: 0.3,
            num_train_epochs: 30.0,
            ..SftConfig::default()
        };
        let schedule = config.schedule(4);
        assert_eq!([schedule.at(1), schedule.at(2), schedule.at(3)], [0.15, 0.3, 0.3]);
        assert_eq!(config.optimizer(0.15).learning_rate, 0.15);
        assert_eq!(config.total_steps(7), 210);
    }
}
