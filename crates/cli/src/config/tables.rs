//! The tables of each command's settings: a room's own struct each, and two that only the command line knows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use align::curate::CurateConfig;
use align::decontamination::DecontaminationConfig;
use align::eval::EvalConfig;
use align::forge::{ForgeConfig, LabelConfig};
use align::grpo::GrpoConfig;
use align::judge::{self, JudgeConfig};
use align::mini::base::BaseConfig;
use align::mini::splits::MiniConfig;
use align::report::ReportConfig;
use align::reward::Rubric;
use align::rollout::RolloutConfig;
use align::sft::SftConfig;
use align::types::seen_from;
use engine::Trainable;
use engine::newborn::ModelSize;
use serde::{Deserialize, Serialize};
use vlm::weights::WeightType;

use crate::roles::RoleTables;

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

impl ModelTable {
    /// The same as records name it: its folders as [`seen_from`] another. A name on the hub stays.
    pub fn seen_from(&self, folder: &Path) -> Self {
        let seen = |path: &PathBuf| {
            if path.exists() {
                seen_from(path, folder)
            } else {
                path.clone()
            }
        };
        Self {
            path: self.path.as_ref().map(seen),
            adapter: self.adapter.as_ref().map(seen),
            ..self.clone()
        }
    }
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

/// Settings of `scruple judge`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JudgeSettings {
    /// What is judged.
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

impl SftSettings {
    /// The settings as a run records them: files and folders as [`seen_from`] the run's, so that it may be gone on with
    /// from any working directory.
    pub fn seen_from(&self, folder: &Path) -> Self {
        let seen = |path: &Option<PathBuf>| path.as_ref().map(|path| seen_from(path, folder));
        Self {
            model: self.model.seen_from(folder),
            data: SftData {
                train: seen(&self.data.train),
                general: seen(&self.data.general),
                image_feature_cache: seen(&self.data.image_feature_cache),
                ..self.data.clone()
            },
            ..self.clone()
        }
    }
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

impl RlSettings {
    /// As [`SftSettings::seen_from`].
    pub fn seen_from(&self, folder: &Path) -> Self {
        let seen = |path: &Option<PathBuf>| path.as_ref().map(|path| seen_from(path, folder));
        Self {
            model: self.model.seen_from(folder),
            data: RlData {
                prompts: seen(&self.data.prompts),
                image_feature_cache: seen(&self.data.image_feature_cache),
                ..self.data.clone()
            },
            ..self.clone()
        }
    }
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
    /// Further policies (`policy`, `policy-2` …), and judges: every other role. Where there are none, the exact judge of
    /// the miniature world judges.
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
    /// A folder of pictures to plan items from, beside the seeds.
    pub images: Option<PathBuf>,
    /// A folder of pictures to illustrate items with, in the painter's place.
    pub pictures: Option<PathBuf>,
    /// A folder of photographs for the split `real`.
    pub photographs: Option<PathBuf>,
}

impl Default for ForgeData {
    fn default() -> Self {
        Self {
            taxonomy: "mis".to_owned(),
            seeds: None,
            images: None,
            pictures: None,
            photographs: None,
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
    /// How they are labelled.
    pub labels: LabelConfig,
    /// Who makes them: `writer`, `painter`, `judge`, and perhaps `labeller` and `policy`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub role: RoleTables,
}

/// Settings of `scruple eval`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvalSettings {
    /// How responses are drawn and which rates are given.
    pub eval: EvalConfig,
    /// How judges are asked, where there are any.
    pub judge: JudgeConfig,
    /// The judges: every role is one. Where there are none, the items decide who judges.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub role: RoleTables,
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
    use endpoint::RoleSettings;
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
        assert_eq!(
            files.count(),
            8 + FORGES.len() + MIRAGE.len() + SAFER.len(),
            "a file in configs/ is not checked here"
        );
    }

    #[test]
    fn the_judges_file_says_the_defaults_but_for_the_judge() {
        let settings: JudgeSettings = recipe("judge.toml");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/judge.toml");
        let table: toml::Table = toml::from_str(&fs_err::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(
            table,
            toml::Table::try_from(&settings).unwrap(),
            "judge.toml leaves settings out"
        );
        assert_eq!(
            (settings.rubric, settings.judge),
            (judge::Rubric::default(), JudgeConfig::default())
        );
        let judge = RoleSettings {
            url: "http://localhost:8000/v1".to_owned(),
            model: "judge".to_owned(),
            ..RoleSettings::default()
        };
        judge.validate("role.judge").unwrap();
        assert_eq!(settings.role, BTreeMap::from([("judge".to_owned(), judge)]));
    }

    /// Settings of `forge`: real models, and the miniature world.
    const FORGES: [&str; 2] = ["forge.toml", "forge_mini.toml"];

    #[test]
    fn the_forges_files_can_be_used_and_the_first_says_the_defaults() {
        for name in FORGES {
            let settings: ForgeSettings = recipe(name);
            settings.forge.validate("forge").unwrap();
            settings.labels.validate("labels").unwrap();
            for (role, table) in &settings.role {
                table.validate(&format!("role.{role}")).unwrap();
            }
        }
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/forge.toml");
        let mut table: toml::Table = toml::from_str(&fs_err::read_to_string(&path).unwrap()).unwrap();
        table.remove("role");
        assert_eq!(
            table,
            toml::Table::try_from(ForgeSettings::default()).unwrap(),
            "forge.toml differs from the defaults or leaves settings out"
        );
    }

    /// Recipes of P1: file, epochs, learning rate.
    const MIRAGE: [(&str, f64, f64); 2] = [
        ("mirage_internvl2_5_8b.toml", 2.0, 5e-6),
        ("mirage_qwen2_vl_7b.toml", 3.0, 2e-6),
    ];
    /// Recipes of P2.
    const SAFER: [&str; 2] = ["safer_qwen2_5_vl_3b.toml", "safer_qwen2_5_vl_7b.toml"];

    fn recipe<T: DeserializeOwned + Serialize + Default>(name: &str) -> T {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs").join(name);
        load::<T>(Some(&path), &[]).unwrap().settings
    }

    #[test]
    fn recipes_hold_the_papers_numbers_and_can_be_used() {
        for (name, epochs, learning_rate) in MIRAGE {
            let settings: SftSettings = recipe(name);
            settings.train.validate("train").unwrap();
            settings.sft.validate("sft").unwrap();
            let sft = &settings.sft;
            assert_eq!(
                (sft.num_train_epochs, sft.learning_rate),
                (epochs, learning_rate),
                "{name}"
            );
            assert_eq!(
                (sft.warmup_ratio, sft.train_batch_size, sft.weight_decay),
                (0.03, 128, 0.05),
                "{name}"
            );
            assert!((sft.general_ratio - 500.0 / 4500.0).abs() < 1e-12, "{name}");
            assert_eq!(sft.max_length, 8192, "{name}");
        }
        for name in SAFER {
            let settings: RlSettings = recipe(name);
            settings.train.validate_for_reinforcement("train").unwrap();
            settings.rollout.validate("rollout").unwrap();
            settings.reward.validate("reward").unwrap();
            settings.grpo.validate("grpo").unwrap();
            let grpo = &settings.grpo;
            assert_eq!(
                (grpo.epsilon, grpo.epsilon_high, grpo.delta, grpo.beta),
                (0.2, 0.3, 3.0, 0.01),
                "{name}"
            );
            assert_eq!((grpo.learning_rate, grpo.weight_decay), (1e-6, 0.01), "{name}");
            assert_eq!(
                (settings.data.max_prompt_length, settings.rollout.max_completion_length),
                (4096, 2048),
                "{name}"
            );
        }
    }
}
