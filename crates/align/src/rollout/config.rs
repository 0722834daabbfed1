//! The settings of rollouts.

use serde::{Deserialize, Serialize};

use crate::engine::SamplingParams;
use crate::reward::RewardConfig;
use crate::settings::{SettingError, check_above_zero, check_count, check_setting, check_share};
use crate::verdict::Judge;

/// The reflection prompt of this version of the program.
pub const DEFAULT_REFLECTION_PROMPT: &str = include_str!("prompts/reflection.v1.md");

/// How groups are sampled. Names as TRL has them where it does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RolloutConfig {
    /// Responses per prompt, G; at least 2.
    pub num_generations: usize,
    /// Temperature of responses and corrections.
    pub temperature: f64,
    /// Top-p of responses and corrections.
    pub top_p: f64,
    /// Most tokens of a response.
    pub max_completion_length: usize,
    /// Whether unsafe responses reflect and correct themselves.
    pub reflect: bool,
    /// Most tokens of a reflection and the correction after it.
    pub max_reflection_length: usize,
    /// The message that follows an unsafe response; its `{risk}` and `{evidence}` are filled in from the verdict.
    pub reflection_prompt: String,
    /// Most corrected members of a group, as a share of G, rounded down.
    pub max_corrected_share: f64,
    /// At least this many unsafe responses stay in their group, as negatives.
    pub min_unsafe_kept: usize,
    /// Most responses of a group that reflect, the worst first; 0 sets no limit.
    pub max_reflections: usize,
    /// Prompts sampled at once, and judged while the next are sampled; 0 samples all of a step at once. Changes no
    /// response.
    pub batch_size: usize,
}

impl Default for RolloutConfig {
    fn default() -> Self {
        Self {
            num_generations: 5,
            temperature: 1.0,
            top_p: 1.0,
            max_completion_length: 2048,
            reflect: true,
            max_reflection_length: 2048,
            reflection_prompt: DEFAULT_REFLECTION_PROMPT.trim_end().to_owned(),
            max_corrected_share: 0.5,
            min_unsafe_kept: 1,
            max_reflections: 0,
            batch_size: 0,
        }
    }
}

impl RolloutConfig {
    /// Checks that the settings can be used. `table` is where they stand, such as `rollout`.
    ///
    /// Errors: [`SettingError`] naming the first that cannot.
    pub fn validate(&self, table: &str) -> Result<(), SettingError> {
        let (key, generations) = (format!("{table}.num_generations"), self.num_generations);
        check_setting(generations >= 2, &key, "a whole number of at least 2", generations)?;
        check_above_zero(&format!("{table}.temperature"), self.temperature)?;
        let (key, top_p) = (format!("{table}.top_p"), self.top_p);
        check_setting(top_p > 0.0 && top_p <= 1.0, &key, "a number above 0 and at most 1", top_p)?;
        check_count(&format!("{table}.max_completion_length"), self.max_completion_length)?;
        check_count(&format!("{table}.max_reflection_length"), self.max_reflection_length)?;
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
