//! What the demo does, in settings: every stage's own, chosen so that all of it takes minutes on two cores.
//!
//! Learning rates are a thousand times those of the papers: so is the model smaller. Where a figure is the papers', it
//! says so.

use align::curate::CurateConfig;
use align::eval::EvalConfig;
use align::grpo::GrpoConfig;
use align::reward::RewardConfig;
use align::rollout::RolloutConfig;
use align::settings::{SettingError, settings_table};
use align::sft::SftConfig;
use align::training::SchedulerType;
use engine::Trainable;
use mini::labels::REFLECTION_PROMPT;
use mini::splits::MiniConfig;
use vlm::adapter::TargetModules;

use super::base_model;
use crate::arguments::{SettingsArguments, flag};
use crate::errors::Result;

/// Most tokens of a response: three images take about 120.
const MAX_RESPONSE: usize = 144;

/// The settings that `--seed` sets.
const SEEDS: [&[&str]; 7] = [
    &["mini", "seed"],
    &["mirage", "sft", "seed"],
    &["refusal", "sft", "seed"],
    &["safer", "curate", "seed"],
    &["safer", "grpo", "seed"],
    &["mirage_safer", "curate", "seed"],
    &["mirage_safer", "grpo", "seed"],
];

settings_table! {
    /// All settings of a demo.
    pub struct Recipe {
        /// The world.
        pub mini: MiniConfig = MiniConfig { train: 1000, train_general: 1000, ..MiniConfig::default() },
        /// Fine-tuning on safety chains of thought (MIRage).
        pub mirage: Finetuning = Finetuning::default(),
        /// Fine-tuning on refusals, to compare it with.
        pub refusal: Finetuning = Finetuning::on_refusals(),
        /// How many training prompts, sampled by the seed, reinforcement may choose from.
        pub pool: usize = 2000,
        /// Whether reinforcement trains on the curated prompts, or on as many of the pool.
        pub curated_prompts: bool = true,
        /// Reinforcement (SaFeR-VLM) of the base model.
        pub safer: Reinforcement = Reinforcement::default(),
        /// Reinforcement of the model that MIRage gives, which has less to learn.
        pub mirage_safer: Reinforcement = Reinforcement::after_finetuning(),
        /// Evaluation.
        pub eval: EvalConfig =
            EvalConfig { max_new_tokens: MAX_RESPONSE, batch_size: 512, ..EvalConfig::default() },
    }
}

settings_table! {
    /// Settings of fine-tuning.
    pub struct Finetuning {
        /// What is trained. MIS trains all of the language model; an adapter forgets less of what the base model knows,
        /// which shows where a model is this small.
        pub train: Trainable = adapter(),
        /// How it is trained.
        pub sft: SftConfig = SftConfig {
            general_ratio: 0.7,
            num_train_epochs: 3.0,
            train_batch_size: 32,
            learning_rate: 8e-4,
            ..SftConfig::default()
        },
    }
}

settings_table! {
    /// Settings of reinforcement, from the choice of its prompts on.
    pub struct Reinforcement {
        /// How prompts are curated (QI-Box).
        pub curate: CurateConfig = CurateConfig {
            num_samples: 4,
            max_completion_length: MAX_RESPONSE,
            batch_size: 128,
            num_kept: 480,
            benign_share: 0.6,
            ..CurateConfig::default()
        },
        /// What is trained.
        pub train: Trainable = adapter(),
        /// How responses are sampled and corrected.
        pub rollout: RolloutConfig = RolloutConfig {
            num_generations: 6,
            max_completion_length: MAX_RESPONSE,
            max_reflection_length: MAX_RESPONSE + 48,
            reflection_prompt: REFLECTION_PROMPT.to_owned(),
            ..RolloutConfig::default()
        },
        /// How they are rewarded.
        pub reward: RewardConfig = RewardConfig::default(),
        /// How the policy is changed.
        pub grpo: GrpoConfig = GrpoConfig {
            prompts_per_step: 32,
            train_batch_size: 96,
            max_steps: 16,
            learning_rate: 8e-4,
            lr_scheduler_type: SchedulerType::Linear,
            beta: 0.05,
            max_refills: 2,
            save_steps: 5,
            save_total_limit: 1,
            ..GrpoConfig::default()
        },
    }
}

impl Recipe {
    /// The recipe with everything following from a seed, but for what other settings say.
    ///
    /// Errors: of settings.
    pub fn load(settings: &SettingsArguments, seed: u64) -> Result<Self> {
        let seeds = SEEDS.map(|path| flag("--seed", path, Some(seed)));
        let loaded = settings.load::<Self>(seeds)?;
        let recipe = &loaded.settings;
        loaded.check(recipe.mini.validate("mini"))?;
        loaded.check(recipe.mirage.validate("mirage"))?;
        loaded.check(recipe.refusal.validate("refusal"))?;
        loaded.check(recipe.safer.validate("safer"))?;
        loaded.check(recipe.mirage_safer.validate("mirage_safer"))?;
        loaded.check(recipe.eval.validate("eval"))?;
        let model = base_model::config()?;
        for (table, train) in recipe.fresh_adapters() {
            loaded.check(train.validate_layers(table, &model))?;
        }
        Ok(loaded.settings)
    }

    /// What is trained from the base model, and after MIRage where that leaves no adapter to be trained further.
    fn fresh_adapters(&self) -> impl Iterator<Item = (&'static str, &Trainable)> {
        let after_mirage = match self.mirage.train {
            Trainable::Lora { .. } => None,
            _ => Some(("mirage_safer.train", &self.mirage_safer.train)),
        };
        let from_base = [
            ("mirage.train", &self.mirage.train),
            ("refusal.train", &self.refusal.train),
            ("safer.train", &self.safer.train),
        ];
        from_base.into_iter().chain(after_mirage)
    }
}

impl Finetuning {
    /// Refusals are short and all alike, so that fewer steps will do. Their words are new to the base model: an
    /// adapter, beside which the embeddings stay as they are, is slow to learn them.
    fn on_refusals() -> Self {
        let defaults = Self::default();
        Self {
            train: Trainable::Full {
                freeze_vision_tower: true,
                freeze_multi_modal_projector: true,
                freeze_language_model: false,
                gradient_checkpointing: false,
            },
            sft: SftConfig { max_steps: 60, learning_rate: 5e-4, ..defaults.sft },
        }
    }

    fn validate(&self, table: &str) -> Result<(), SettingError> {
        self.train.validate(&format!("{table}.train"))?;
        self.sft.validate(&format!("{table}.sft"))
    }
}

impl Reinforcement {
    /// Reinforcement of a model that is nearly always right: the prompts that it still fails are fewer than a quintile,
    /// so that the lowest quintile must not go.
    fn after_finetuning() -> Self {
        let defaults = Self::default();
        Self {
            curate: CurateConfig { drop_lowest: 0.0, num_kept: 800, ..defaults.curate },
            grpo: GrpoConfig { learning_rate: 5e-4, ..defaults.grpo },
            ..defaults
        }
    }

    fn validate(&self, table: &str) -> Result<(), SettingError> {
        self.curate.validate(&format!("{table}.curate"))?;
        self.train.validate_for_rl(&format!("{table}.train"))?;
        self.rollout.validate(&format!("{table}.rollout"))?;
        self.reward.validate(&format!("{table}.reward"))?;
        self.grpo.validate(&format!("{table}.grpo"))
    }
}

/// An adapter on every linear layer of the language model; stages that follow each other train the same one further.
fn adapter() -> Trainable {
    Trainable::Lora {
        r: 16,
        lora_alpha: 32.0,
        lora_dropout: 0.0,
        target_modules: TargetModules::Pattern("all-linear".to_owned()),
        gradient_checkpointing: false,
    }
}
