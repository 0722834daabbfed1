//! The settings of rollouts.

use crate::engine::SamplingParams;
use crate::reward::RewardConfig;
use crate::settings::{
    SettingError, check_above_zero, check_count, check_each, check_setting, check_share, check_side_by_side,
    check_some_share, settings_table,
};
use crate::verdict::Judge;

/// The reflection prompt of this version of the program.
pub const DEFAULT_REFLECTION_PROMPT: &str = include_str!("prompts/reflection.v1.md");

settings_table! {
    /// How groups are sampled. Names as TRL has them where it does.
    pub struct RolloutConfig {
        /// Responses per prompt, G; at least 2.
        pub num_generations: usize = 5,
        /// Temperature of responses and corrections.
        pub temperature: f64 = 1.0,
        /// Top-p of responses and corrections.
        pub top_p: f64 = 1.0,
        /// Most tokens of a response.
        pub max_completion_length: usize = 2048,
        /// Whether unsafe responses reflect and correct themselves.
        pub reflect: bool = true,
        /// Most tokens of a reflection and the correction after it.
        pub max_reflection_length: usize = 2048,
        /// The message that follows an unsafe response; its `{risk}` and `{evidence}` are filled in from the verdict.
        pub reflection_prompt: String = DEFAULT_REFLECTION_PROMPT.trim_end().to_owned(),
        /// Most corrected members of a group, as a share of G, rounded down.
        pub max_corrected_share: f64 = 0.5,
        /// At least this many unsafe responses stay in their group, as negatives.
        pub min_unsafe_kept: usize = 1,
        /// Most responses of a group that reflect, the worst first; 0 sets no limit.
        pub max_reflections: usize = 0,
        /// Prompts sampled at once, and judged while the next are sampled; 0 samples all of a step at once. Changes no
        /// response.
        pub batch_size: usize = 0,
    }
}

impl RolloutConfig {
    /// Checks that the settings can be used. `table` is where they stand, such as `rollout`.
    ///
    /// Errors: [`SettingError`] naming the first that cannot.
    pub fn validate(&self, table: &str) -> Result<(), SettingError> {
        check_side_by_side(&format!("{table}.num_generations"), 2, self.num_generations)?;
        check_above_zero(&format!("{table}.temperature"), self.temperature)?;
        check_some_share(&format!("{table}.top_p"), self.top_p)?;
        check_each!(check_count, table, self, [max_completion_length, max_reflection_length])?;
        check_share(&format!("{table}.max_corrected_share"), self.max_corrected_share)?;
        let (key, prompt) = (format!("{table}.reflection_prompt"), &self.reflection_prompt);
        check_setting(!prompt.trim().is_empty(), &key, "some words", format!("`{prompt}`"))
    }

    pub(super) fn sampling(&self, max_new_tokens: usize) -> SamplingParams {
        SamplingParams { temperature: self.temperature, top_p: self.top_p, max_new_tokens, ignore_eos: false }
    }
}

/// What decides about responses: how they are sampled, who judges, what verdicts are worth.
#[derive(Clone, Copy)]
pub struct Rollout<'a> {
    /// How groups are sampled.
    pub config: &'a RolloutConfig,
    /// What a verdict is worth.
    pub reward: &'a RewardConfig,
    /// The source of verdicts.
    pub judge: &'a dyn Judge,
}
