//! The tables of each command's settings: a library's own struct each, and those that only the command line knows.

mod answering;
mod serving;

use std::collections::BTreeMap;
use std::path::PathBuf;

use align::grpo::GrpoConfig;
use align::judge::JudgeConfig;
use align::reward::RewardConfig;
use align::rollout::RolloutConfig;
use align::sft::SftConfig;
use endpoint::RoleSettings;
use engine::Trainable;
use engine::random_init::ModelSize;
use mini::base::BaseConfig;
use mini::splits::MiniConfig;
use report::ReportConfig;
use serde::{Deserialize, Serialize};
use vlm::image_processor::Alpha;
use vlm::weights::WeightType;

pub use answering::{
    CurateSettings, EvalSettings, ForgeData, ForgeSettings, GenerateSettings, JudgeData, JudgeSettings, ModelSettings,
    ScoreSettings,
};
pub use serving::{ServeSettings, ServeTable};

/// The tables `[role.NAME]`, by name.
pub type RoleTables = BTreeMap<String, RoleSettings>;

/// A few bad samples among thousands are no reason not to train.
const DEFAULT_MAX_REJECTED: f64 = 0.05;

/// An image of 1,000 tokens at a width of 3,584 is 14 MB: some 7,000 such images.
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
    /// Images with fewer pixels are enlarged (Qwen2-VL, Qwen2.5-VL); the folder's own limit where none is given.
    pub min_pixels: Option<usize>,
    /// Images with more pixels are shrunk (the same).
    pub max_pixels: Option<usize>,
    /// Most tiles of an image, its thumbnail left out (InternVL); the folder's own limit where none is given.
    pub max_dynamic_patch: Option<usize>,
    /// What becomes of transparent pixels of images.
    pub alpha: Alpha,
}

/// Where training data come from; the table `[data]` of `sft`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SftData {
    /// The labeled samples.
    pub train: Option<PathBuf>,
    /// Labeled general questions, mixed in as `sft.general_ratio` says.
    pub general: Option<PathBuf>,
    /// The largest share of samples that may be left out because they cannot be trained; more end the run.
    pub max_rejected: f64,
    /// A folder for the features of a frozen vision tower's images, which later runs find there.
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
    /// Longest prompt, in tokens, those of images included; longer ones are refused, never cut. Name as in EasyR1.
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
    /// How responses are sampled and corrected.
    pub rollout: RolloutConfig,
    /// How they are rewarded.
    pub reward: RewardConfig,
    /// How judges are called, where there are any.
    pub judge: JudgeConfig,
    /// The judges: every role is one. Where there are none, the exact judge of the miniature world judges.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub role: RoleTables,
    /// How the policy is changed.
    pub grpo: GrpoConfig,
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
        Self { base, size: ModelSize::default(), captioning: sft.clone(), sft }
    }
}

#[cfg(test)]
mod tests;
