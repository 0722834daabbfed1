//! What the demo does, in settings: every stage's own, chosen so that all of it takes minutes on two cores.
//!
//! Learning rates are a thousand times those of the papers: so is the model smaller. Where a figure is the papers', it
//! says so.

use align::curate::CurateConfig;
use align::eval::EvalConfig;
use align::grpo::GrpoConfig;
use align::mini::labels::REFLECTION_PROMPT;
use align::mini::splits::MiniConfig;
use align::reward::Rubric;
use align::rollout::RolloutConfig;
use align::sft::SftConfig;
use align::training::{SchedulerType, SettingError};
use engine::Trainable;
use serde::{Deserialize, Serialize};
use vlm::adapter::TargetModules;

use crate::config;

/// Most tokens of a response: three images take about 120.
const MAX_RESPONSE: usize = 144;

/// The settings that `--seed` sets.
const SEEDS: [&str; 5] = [
    "mini.seed",
    "mirage.seed",
    "curate.seed",
    "safer.grpo.seed",
    "mirage_safer.grpo.seed",
];

/// All settings of a demo.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Recipe {
    /// The world.
    pub mini: MiniConfig,
    /// Fine-tuning, on safety chains of thought (MIRage) or on refusals.
    pub mirage: SftConfig,
    /// Curation (QI-Box).
    pub curate: CurateConfig,
    /// Whether reinforcement trains on the curated prompts, or on as many of all.
    pub curated_prompts: bool,
    /// Reinforcement (SaFeR-VLM) of the base model.
    pub safer: Reinforcement,
    /// Reinforcement of the model that MIRage gives, which has less to learn.
    pub mirage_safer: Reinforcement,
    /// Evaluation.
    pub eval: EvalConfig,
}

/// Settings of reinforcement.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reinforcement {
    /// What is trained.
    pub train: Trainable,
    /// How responses are drawn and corrected.
    pub rollout: RolloutConfig,
    /// How they are rewarded.
    pub reward: Rubric,
    /// How the policy is changed.
    pub grpo: GrpoConfig,
}

impl Recipe {
    /// The recipe with everything following from a seed, but for what the overrides say.
    ///
    /// Errors: of usage for an override that names no setting or holds no value that can be used.
    pub fn load(seed: u64, overrides: &[String]) -> anyhow::Result<Self> {
        let seeds = SEEDS.map(|key| format!("{key}={seed}"));
        let loaded = config::load::<Self>(None, &[&seeds[..], overrides].concat())?;
        let recipe = &loaded.settings;
        loaded.check(recipe.mini.validate("mini"))?;
        loaded.check(recipe.mirage.validate("mirage"))?;
        loaded.check(recipe.curate.validate("curate"))?;
        loaded.check(recipe.safer.validate("safer"))?;
        loaded.check(recipe.mirage_safer.validate("mirage_safer"))?;
        loaded.check(recipe.eval.validate("eval"))?;
        Ok(loaded.settings)
    }
}

impl Reinforcement {
    fn validate(&self, table: &str) -> Result<(), SettingError> {
        self.train.validate_for_reinforcement(&format!("{table}.train"))?;
        self.rollout.validate(&format!("{table}.rollout"))?;
        self.reward.validate(&format!("{table}.reward"))?;
        self.grpo.validate(&format!("{table}.grpo"))
    }
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            mini: MiniConfig {
                train: 1400,
                train_general: 1000,
                ..MiniConfig::default()
            },
            mirage: SftConfig {
                general_ratio: 0.6,
                num_train_epochs: 2.0,
                train_batch_size: 32,
                learning_rate: 3e-4,
                ..SftConfig::default()
            },
            curate: CurateConfig {
                max_completion_length: MAX_RESPONSE,
                batch_size: 32,
                num_kept: 480,
                benign_share: 0.6,
                ..CurateConfig::default()
            },
            curated_prompts: true,
            safer: Reinforcement::default(),
            mirage_safer: Reinforcement {
                grpo: GrpoConfig {
                    learning_rate: 2e-4,
                    ..Reinforcement::default().grpo
                },
                ..Reinforcement::default()
            },
            eval: EvalConfig {
                max_new_tokens: MAX_RESPONSE,
                batch_size: 128,
                ..EvalConfig::default()
            },
        }
    }
}

impl Default for Reinforcement {
    fn default() -> Self {
        Self {
            train: Trainable::Lora {
                r: 16,
                lora_alpha: 32.0,
                lora_dropout: 0.0,
                target_modules: TargetModules::Pattern("all-linear".to_owned()),
                gradient_checkpointing: false,
            },
            rollout: RolloutConfig {
                num_generations: 6,
                max_completion_length: MAX_RESPONSE,
                max_reflection_length: MAX_RESPONSE + 48,
                reflection_prompt: REFLECTION_PROMPT.to_owned(),
                ..RolloutConfig::default()
            },
            reward: Rubric::default(),
            grpo: GrpoConfig {
                prompts_per_step: 16,
                max_steps: 80,
                learning_rate: 8e-4,
                lr_scheduler_type: SchedulerType::Linear,
                beta: 0.05,
                max_refills: 2,
                save_steps: 10,
                save_total_limit: 1,
                ..GrpoConfig::default()
            },
        }
    }
}
