//! The tables of each command's settings: a room's own struct each, and two that only the command line knows.

use std::path::PathBuf;

use align::curate::CurateConfig;
use align::eval::EvalConfig;
use align::grpo::GrpoConfig;
use align::mini::base::BaseConfig;
use align::mini::splits::MiniConfig;
use align::report::ReportConfig;
use align::reward::Rubric;
use align::rollout::RolloutConfig;
use align::sft::SftConfig;
use engine::Trainable;
use engine::newborn::ModelSize;
use serde::{Deserialize, Serialize};
use vlm::weights::WeightType;

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
    pub data: PromptData,
    /// What is trained: the weights by group, or an adapter.
    pub train: Trainable,
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
mod tests {
    use std::path::Path;

    use serde::de::DeserializeOwned;

    use super::*;
    use crate::config::load;

    /// Checks that a file of configs/ can be read, and that but for paths it says the defaults: what the comments in it
    /// promise. Also that it leaves no setting out.
    fn check<T: DeserializeOwned + Serialize + Default>(name: &str, paths: &[&str]) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs").join(name);
        let table: toml::Table = toml::from_str(&fs_err::read_to_string(&path).unwrap()).unwrap();
        let mut settings = toml::Table::try_from(load::<T>(Some(&path), &[]).unwrap().settings).unwrap();
        assert_eq!(table, settings, "{name} leaves settings out");
        for key in paths {
            let (table, key) = key.split_once('.').unwrap();
            settings[table].as_table_mut().unwrap().remove(key).unwrap();
        }
        assert_eq!(
            settings,
            toml::Table::try_from(T::default()).unwrap(),
            "{name} differs from the defaults"
        );
    }

    #[test]
    fn every_file_in_configs_says_the_defaults() {
        check::<MiniSettings>("mini.toml", &[]);
        check::<SftSettings>("sft.toml", &["model.path", "data.train", "data.general"]);
        check::<CurateSettings>("curate.toml", &["model.path", "data.prompts"]);
        check::<RlSettings>("grpo.toml", &["model.path", "data.prompts"]);
        check::<EvalSettings>("eval.toml", &[]);
        check::<ReportSettings>("report.toml", &[]);
        check::<BaseSettings>("base.toml", &[]);
        let files = fs_err::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs")).unwrap();
        assert_eq!(files.count(), 7, "a file in configs/ is not checked here");
    }
}
