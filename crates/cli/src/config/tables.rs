//! The tables of each command's settings: a library's own struct each, and those that only the command line knows.

use std::collections::BTreeMap;
use std::path::PathBuf;

use align::curate::CurateConfig;
use align::decontamination::DecontaminationConfig;
use align::eval::EvalConfig;
use align::forge::{ForgeConfig, LabelConfig};
use align::grpo::GrpoConfig;
use align::judge::{self, JudgeConfig};
use align::reward::Rubric;
use align::rollout::RolloutConfig;
use align::sft::SftConfig;
use align::training::{SettingError, check_at_least_zero, check_count, check_setting};
use endpoint::RoleSettings;
use engine::Trainable;
use engine::newborn::ModelSize;
use mini::base::BaseConfig;
use mini::splits::MiniConfig;
use report::ReportConfig;
use serde::{Deserialize, Serialize};
use vlm::weights::WeightType;

/// The tables `[role.NAME]`, by name.
pub type RoleTables = BTreeMap<String, RoleSettings>;

/// A few bad samples among thousands are no reason not to train.
const DEFAULT_MAX_REJECTED: f64 = 0.05;

/// A picture of 1,000 tokens at a width of 3,584 is 14 MB: some 7,000 such pictures.
const DEFAULT_FEATURE_CACHE_GB: f64 = 100.0;

/// The model to begin with; the table `[model]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelTable {
    /// The model's folder, or its name on the Hugging Face hub.
    pub path: Option<PathBuf>,
    /// The folder of a LoRA adapter to put on top, in PEFT layout, or its name on the hub.
    pub adapter: Option<PathBuf>,
    /// The type that weights are held and saved in.
    pub dtype: WeightType,
    /// Pictures with fewer pixels are enlarged (Qwen2-VL, Qwen2.5-VL); the folder's own limit where none is given.
    pub min_pixels: Option<usize>,
    /// Pictures with more pixels are shrunk (the same).
    pub max_pixels: Option<usize>,
    /// Most tiles of a picture, its thumbnail left out (InternVL); the folder's own limit where none is given.
    pub max_dynamic_patch: Option<usize>,
}

/// Where training data come from; the table `[data]` of `sft`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SftData {
    /// The labelled samples.
    pub train: Option<PathBuf>,
    /// Labelled general questions, mixed in as `sft.general_ratio` says.
    pub general: Option<PathBuf>,
    /// The largest share of samples that may be left out because they cannot be trained; more end the run.
    pub max_rejected: f64,
    /// A folder for the features of a frozen vision tower's pictures, which later runs find there.
    pub image_feature_cache: Option<PathBuf>,
    /// The most that folder may hold, in gigabytes.
    pub image_feature_cache_gb: f64,
}

impl Default for SftData {
    fn default() -> Self {
        Self {
            train: None,
            general: None,
            max_rejected: DEFAULT_MAX_REJECTED,
            image_feature_cache: None,
            image_feature_cache_gb: DEFAULT_FEATURE_CACHE_GB,
        }
    }
}

/// Where prompts come from; the table `[data]` of `rl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RlData {
    /// The prompts, with what the judge needs to know of each in `truth`.
    pub prompts: Option<PathBuf>,
    /// Longest prompt, in tokens, those of pictures included; longer ones are refused, never cut. Name as in EasyR1.
    pub max_prompt_length: usize,
    /// As for fine-tuning.
    pub max_rejected: f64,
    /// As for fine-tuning.
    pub image_feature_cache: Option<PathBuf>,
    /// As for fine-tuning.
    pub image_feature_cache_gb: f64,
}

impl Default for RlData {
    fn default() -> Self {
        Self {
            prompts: None,
            max_prompt_length: 4096,
            max_rejected: DEFAULT_MAX_REJECTED,
            image_feature_cache: None,
            image_feature_cache_gb: DEFAULT_FEATURE_CACHE_GB,
        }
    }
}

/// Where prompts come from; the table `[data]` of `curate`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PromptData {
    /// The prompts, with what the judge needs to know of each in `truth`.
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
    /// How judges are asked.
    pub judge: JudgeConfig,
    /// The judges: every role is one.
    pub role: RoleTables,
}

/// Settings of `scruple sft`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SftSettings {
    /// The model to begin with.
    pub model: ModelTable,
    /// The samples.
    pub data: SftData,
    /// What is trained: the weights by group, or an adapter.
    pub train: Trainable,
    /// The method.
    pub sft: SftConfig,
}

/// Settings of `scruple rl`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RlSettings {
    /// The model to begin with.
    pub model: ModelTable,
    /// The prompts.
    pub data: RlData,
    /// What is trained: the weights by group, or an adapter.
    pub train: Trainable,
    /// How responses are drawn and corrected.
    pub rollout: RolloutConfig,
    /// How they are rewarded.
    pub reward: Rubric,
    /// How judges are asked, where there are any.
    pub judge: JudgeConfig,
    /// The judges: every role is one. Where there are none, the exact judge of the miniature world judges.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub role: RoleTables,
    /// How the policy is changed.
    pub grpo: GrpoConfig,
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
    pub reward: Rubric,
    /// How prompts are chosen.
    pub curate: CurateConfig,
    /// What they are compared with, to drop those that stand in an evaluation set.
    pub decontamination: DecontaminationConfig,
    /// How judges are asked, where there are any.
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
}

/// Settings of `scruple eval`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvalSettings {
    /// The model that is evaluated.
    pub model: ModelTable,
    /// What it is evaluated on.
    pub data: EvalData,
    /// How responses are drawn and which rates are given.
    pub eval: EvalConfig,
    /// How judges are asked, where there are any.
    pub judge: JudgeConfig,
    /// The judges: every role is one. Where there are none, the items decide who judges.
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
        check_count(&format!("{table}.num_samples"), self.num_samples)?;
        check_count(&format!("{table}.batch_size"), self.batch_size)
    }
}

/// Settings of `scruple generate`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GenerateSettings {
    /// The model.
    pub model: ModelTable,
    /// The dialogues to complete.
    pub data: PromptData,
    /// How they are completed.
    pub sampling: SamplingTable,
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

/// Settings of `scruple report`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReportSettings {
    /// What the page shows.
    pub report: ReportConfig,
}

/// Settings of `scruple mini`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MiniSettings {
    /// How much of the world is written.
    pub mini: MiniConfig,
}

/// Settings of `scruple base`. The defaults are those of the base model that comes with `scruple demo`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BaseSettings {
    /// What it learns from.
    pub base: BaseConfig,
    /// How large it is.
    pub size: ModelSize,
    /// How it is trained on captions.
    pub captioning: SftConfig,
    /// How it is trained on dialogues, after that.
    pub sft: SftConfig,
}

impl Default for BaseSettings {
    fn default() -> Self {
        let base = BaseConfig::default();
        let sft = SftConfig {
            seed: base.seed,
            general_ratio: 0.0,
            num_train_epochs: 1.0,
            train_batch_size: 32,
            learning_rate: 1.5e-3,
            warmup_ratio: 0.04,
            adam_beta2: 0.98,
            mask_history: true,
            save_steps: 500,
            save_total_limit: 1,
            ..SftConfig::default()
        };
        Self {
            base,
            size: ModelSize::default(),
            captioning: sft.clone(),
            sft,
        }
    }
}

#[cfg(test)]
mod tests;
