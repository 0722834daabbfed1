//! The tables of each command's settings: a room's own struct each, and three that only the command line knows.

use std::path::PathBuf;

use align::curate::CurateConfig;
use align::eval::EvalConfig;
use align::grpo::GrpoConfig;
use align::mini::splits::MiniConfig;
use align::reward::Rubric;
use align::rollout::RolloutConfig;
use align::sft::SftConfig;
use serde::{Deserialize, Serialize};

/// The model to begin with; the table `[model]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelTable {
    /// The model's folder.
    pub path: Option<PathBuf>,
    /// The folder of a LoRA adapter to put on top, in PEFT layout.
    pub adapter: Option<PathBuf>,
}

/// What is trained; the table `[train]`. The names of the switches are LLaMA-Factory's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainTable {
    /// Leave the vision tower as it is.
    pub freeze_vision_tower: bool,
    /// Leave the projector between vision and language as it is.
    pub freeze_multi_modal_projector: bool,
    /// Leave the language model as it is.
    pub freeze_language_model: bool,
}

impl Default for TrainTable {
    /// P1: language model and projector are trained, the vision tower is frozen.
    fn default() -> Self {
        Self { freeze_vision_tower: true, freeze_multi_modal_projector: false, freeze_language_model: false }
    }
}

/// The adapter to train; the table `[lora]`. The names are PEFT's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoraTable {
    /// Rank of the update; 0 trains the weights themselves.
    pub r: usize,
    /// The update is scaled by `lora_alpha / r`.
    pub lora_alpha: f64,
    /// The linear layers that are adapted, by the last parts of their names; `["all-linear"]` is every one of the
    /// language model.
    pub target_modules: Vec<String>,
}

impl Default for LoraTable {
    fn default() -> Self {
        Self { r: 0, lora_alpha: 32.0, target_modules: vec!["all-linear".into()] }
    }
}

/// Where training data come from; the table `[data]` of `sft`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SftData {
    /// The labelled samples.
    pub train: Option<PathBuf>,
    /// Labelled general questions, mixed in as `sft.general_ratio` says.
    pub general: Option<PathBuf>,
}

/// Where prompts come from; the table `[data]` of `rl` and `curate`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PromptData {
    /// The prompts, with what the judge needs to know of each in `truth`.
    pub prompts: Option<PathBuf>,
}

/// Settings of `scruple sft`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SftSettings {
    /// The model to begin with.
    pub model: ModelTable,
    /// The samples.
    pub data: SftData,
    /// What is trained.
    pub train: TrainTable,
    /// The adapter.
    pub lora: LoraTable,
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
    pub data: PromptData,
    /// What is trained.
    pub train: TrainTable,
    /// The adapter.
    pub lora: LoraTable,
    /// How responses are drawn and corrected.
    pub rollout: RolloutConfig,
    /// How they are rewarded.
    pub reward: Rubric,
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
}

/// Settings of `scruple eval`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvalSettings {
    /// How responses are drawn and which rates are given.
    pub eval: EvalConfig,
}

/// Settings of `scruple mini`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MiniSettings {
    /// How much of the world is written.
    pub mini: MiniConfig,
}
