//! The settings of the commands for which models only answer: `curate`, `eval`, `forge`, `generate`, `judge`, `score`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use align::chat::ChatParams;
use align::curate::CurateConfig;
use align::decontamination::DecontaminationConfig;
use align::eval::EvalConfig;
use align::forge::{ForgeConfig, LabelConfig};
use align::judge::{self, JudgeConfig};
use align::reward::RewardConfig;
use align::settings::{SettingError, check_at_least_zero, check_count, check_setting, check_side_by_side};
use endpoint::RoleSettings;
use serde::{Deserialize, Serialize};

use super::{ModelTable, RoleTables};

/// Where prompts come from; the table `[data]` of `curate` and `generate`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PromptData {
    /// The prompts; for `curate` with what the judge needs to know of each in `truth`.
    pub prompts: Option<PathBuf>,
}

/// What is judged; the table `[data]` of `judge`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JudgeData {
    /// The responses.
    pub responses: Option<PathBuf>,
    /// A benchmark with responses that people have labeled, in place of responses: `msts` or `xstest`.
    pub labeled: Option<String>,
    /// The benchmark's folder, or the folder above.
    pub path: Option<PathBuf>,
    /// The summary of the same judges on a labeled set.
    pub validation: Option<PathBuf>,
}

/// Settings of `scruple judge`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JudgeSettings {
    /// What is judged.
    pub data: JudgeData,
    /// By what it is judged.
    pub rubric: judge::Rubric,
    /// How judges are called.
    pub judge: JudgeConfig,
    /// The judges: every role is one.
    pub role: RoleTables,
}

/// Settings of `scruple curate`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CurateSettings {
    /// The model that answers.
    pub model: ModelTable,
    /// The pool of prompts.
    pub data: PromptData,
    /// How answers are scored.
    pub reward: RewardConfig,
    /// How prompts are chosen.
    pub curate: CurateConfig,
    /// What they are compared with, to drop those that stand in an evaluation set.
    pub decontamination: DecontaminationConfig,
    /// How judges are called, where there are any.
    pub judge: JudgeConfig,
    /// Further policies (`policy`, `policy-2` …), and judges: every other role. Where there are none, the exact judge
    /// of the miniature world judges.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub role: RoleTables,
}

/// What items are forged from; the table `[data]` of `forge`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ForgeData {
    /// The kinds of harm: `mis`, `mini` or a file.
    pub taxonomy: String,
    /// Seeds as JSON lines, in place of the taxonomy's.
    pub seeds: Option<PathBuf>,
    /// A folder of images to plan items from, beside the seeds.
    pub seed_images: Option<PathBuf>,
    /// A folder of images to illustrate items with, in the painter's place.
    pub image_pool: Option<PathBuf>,
    /// A folder of photographs for the split `real`.
    pub photographs: Option<PathBuf>,
    /// What `scruple review` wrote: items that people rejected are left out, with their twins.
    pub decisions: Option<PathBuf>,
}

impl Default for ForgeData {
    fn default() -> Self {
        Self {
            taxonomy: "mis".to_owned(),
            seeds: None,
            seed_images: None,
            image_pool: None,
            photographs: None,
            decisions: None,
        }
    }
}

/// Settings of `scruple forge`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ForgeSettings {
    /// What items are made from.
    pub data: ForgeData,
    /// How they are made.
    pub forge: ForgeConfig,
    /// How they are labeled.
    pub labels: LabelConfig,
    /// What they are compared with, to reject those that stand in an evaluation set.
    pub decontamination: DecontaminationConfig,
    /// Who makes them: `writer`, `painter`, `judge`, and perhaps `annotator` and `policy`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub role: RoleTables,
}

/// What a model is evaluated on; the table `[data]` of `eval`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvalData {
    /// A file of items, the folder of a world, or a benchmark's folder.
    pub path: Option<PathBuf>,
    /// The benchmark's name, where it is one.
    pub suite: Option<String>,
    /// Responses to the benchmark that were made elsewhere, which are scored in the place of a model's.
    pub responses: Option<PathBuf>,
}

/// What a run may cost; the table `[budget]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// Most money that all roles together may cost, in the currency of their prices; 0 for no limit.
    pub max_cost: f64,
}

impl Budget {
    /// Checks that the budget can be spent.
    ///
    /// Errors: [`SettingError`] naming the setting.
    pub fn validate(self, roles: &RoleTables) -> Result<(), SettingError> {
        check_at_least_zero("budget.max_cost", self.max_cost)?;
        check_setting(
            self.max_cost == 0.0 || roles.values().any(RoleSettings::is_priced),
            "budget.max_cost",
            "a price in price_input, price_output or price_image of a role, without which no budget is ever spent",
            format!("max_cost = {} and no price", self.max_cost),
        )
    }
}

/// Settings of `scruple eval`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvalSettings {
    /// The model that is evaluated, where it is on this machine.
    pub model: ModelTable,
    /// What it is evaluated on.
    pub data: EvalData,
    /// How responses are sampled and which rates are given.
    pub eval: EvalConfig,
    /// How judges are called, where there are any.
    pub judge: JudgeConfig,
    /// What it may cost.
    pub budget: Budget,
    /// The model that is evaluated, where it is behind an endpoint (`policy`), and the judges: every other role. Where
    /// there are none, the items decide who judges.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub role: RoleTables,
}

/// How completions are sampled; the table `[sampling]` of `generate`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SamplingTable {
    /// 0 is greedy; 1 samples from the model's own distribution.
    pub temperature: f64,
    /// Only the smallest set of tokens whose probability reaches this is sampled from.
    pub top_p: f64,
    /// Most tokens of a completion.
    pub max_new_tokens: usize,
    /// Do not stop at the end token.
    pub ignore_eos: bool,
    /// The seed of the first sample of each dialogue; sample i takes this plus i.
    pub seed: u64,
    /// Completions of each dialogue.
    pub num_samples: usize,
    /// Dialogues completed together; the results do not depend on it.
    pub batch_size: usize,
}

impl Default for SamplingTable {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_p: 1.0,
            max_new_tokens: 128,
            ignore_eos: false,
            seed: 0,
            num_samples: 1,
            batch_size: 16,
        }
    }
}

impl SamplingTable {
    /// How a dialogue's sample is drawn, counted from zero.
    pub fn params(&self, sample: usize) -> ChatParams {
        ChatParams {
            temperature: self.temperature,
            top_p: self.top_p,
            max_tokens: self.max_new_tokens,
            ignore_eos: self.ignore_eos,
            seed: self.seed.wrapping_add(sample as u64),
            schema: None,
            token_ids: true,
        }
    }

    /// Checks that the numbers can be used. `table` is where they stand in the settings.
    ///
    /// Errors: [`SettingError`] naming the first that cannot.
    pub fn validate(&self, table: &str) -> Result<(), SettingError> {
        check_at_least_zero(&format!("{table}.temperature"), self.temperature)?;
        check_setting(
            self.top_p > 0.0 && self.top_p <= 1.0,
            &format!("{table}.top_p"),
            "a number above 0, at most 1",
            self.top_p,
        )?;
        check_count(&format!("{table}.max_new_tokens"), self.max_new_tokens)?;
        check_side_by_side(&format!("{table}.num_samples"), 1, self.num_samples)?;
        check_count(&format!("{table}.batch_size"), self.batch_size)
    }
}

/// Settings of `scruple generate`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GenerateSettings {
    /// The model that completes them, where it is on this machine.
    pub model: ModelTable,
    /// The dialogues to complete.
    pub data: PromptData,
    /// How they are completed.
    pub sampling: SamplingTable,
    /// The model that completes them, where it is behind an endpoint: `policy`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub role: RoleTables,
}

/// What is scored; the table `[data]` of `score`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScoreData {
    /// The dialogues, the last message of each the assistant's.
    pub dialogues: Option<PathBuf>,
}

/// Settings of `scruple score`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScoreSettings {
    /// The model.
    pub model: ModelTable,
    /// The dialogues to score.
    pub data: ScoreData,
}

/// Settings of `scruple merge` and `scruple inspect`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelSettings {
    /// The model.
    pub model: ModelTable,
}
