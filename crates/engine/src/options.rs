//! Which model to open, and which of its parameters to train.

use std::path::PathBuf;

use align::settings::{SettingError, check_at_least_zero, check_count, check_setting};
use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use vlm::adapter::{LoraConfig, TARGETS, TargetModules};
use vlm::config::Config;
use vlm::image_processor::ImageLimits;
use vlm::model::Vlm;
use vlm::parameter::ParameterGroup;
use vlm::weights::WeightType;

/// Which parameters are trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum Trainable {
    /// None: the model only samples and scores.
    Frozen,
    /// The model's own weights, by group.
    Full {
        /// Freeze the vision tower; its features are then computed once for each image.
        #[serde(default = "yes")]
        freeze_vision_tower: bool,
        /// Freeze the merger between vision tower and language model.
        #[serde(default)]
        freeze_multi_modal_projector: bool,
        /// Freeze the language model.
        #[serde(default)]
        freeze_language_model: bool,
        /// Recompute activations inside the language model's layers in the backward pass instead of keeping them: a
        /// third more time, a fraction of the memory, the same bits. Name as in Hugging Face's `TrainingArguments`.
        #[serde(default)]
        gradient_checkpointing: bool,
    },
    /// Low-rank adapters on the language model (Hu et al., arXiv 2106.09685).
    Lora {
        /// Rank.
        #[serde(default = "default_rank")]
        r: usize,
        /// The update is scaled by `lora_alpha / r`.
        #[serde(default = "default_alpha")]
        lora_alpha: f64,
        /// Dropout of an adapter's inputs in training, 0 to below 1; none when scoring.
        #[serde(default)]
        lora_dropout: f64,
        /// Names of linear layers, or `all-linear`.
        #[serde(default = "default_targets")]
        target_modules: TargetModules,
        /// As for full training.
        #[serde(default)]
        gradient_checkpointing: bool,
    },
}

fn yes() -> bool {
    true
}

fn default_rank() -> usize {
    16
}

fn default_alpha() -> f64 {
    32.0
}

fn default_targets() -> TargetModules {
    TargetModules::Pattern("all-linear".to_owned())
}

impl Default for Trainable {
    fn default() -> Self {
        Self::Full {
            freeze_vision_tower: true,
            freeze_multi_modal_projector: false,
            freeze_language_model: false,
            gradient_checkpointing: false,
        }
    }
}

impl Trainable {
    /// Checks that the settings can be used. `table` is their table, such as `train`.
    ///
    /// Errors: [`SettingError`] naming the first that cannot.
    pub fn validate(&self, table: &str) -> Result<(), SettingError> {
        let Self::Lora { r, lora_alpha, lora_dropout, .. } = self else {
            return Ok(());
        };
        check_setting(
            (0.0..1.0).contains(lora_dropout),
            &format!("{table}.lora_dropout"),
            "a number from 0 to below 1",
            lora_dropout,
        )?;
        check_count(&format!("{table}.r"), *r)?;
        check_at_least_zero(&format!("{table}.lora_alpha"), *lora_alpha)
    }

    /// As [`Self::validate`], and for reinforcement learning: the policy that is trained must be the one that sampled,
    /// to the last token's probability.
    ///
    /// Errors: [`SettingError`] naming the first setting that cannot be used.
    pub fn validate_for_rl(&self, table: &str) -> Result<(), SettingError> {
        self.validate(table)?;
        match self {
            Self::Lora { lora_dropout, .. } => check_setting(
                *lora_dropout == 0.0,
                &format!("{table}.lora_dropout"),
                "0, since dropout would train another policy than the one that sampled",
                lora_dropout,
            ),
            Self::Frozen | Self::Full { .. } => Ok(()),
        }
    }

    /// Checks that a fresh adapter, where one is trained, fits layers of the model that a configuration describes.
    ///
    /// Errors: [`SettingError`] naming the target modules.
    pub fn validate_layers(&self, table: &str, config: &Config) -> Result<(), SettingError> {
        // A configuration that describes no model is reported when the model is opened.
        let (Some(lora), Ok(model)) = (self.lora(), Vlm::shapes(config, &Device::flex())) else {
            return Ok(());
        };
        match model.choose_layers(&lora.target_modules) {
            Ok(_) => Ok(()),
            Err(got) => check_setting(false, &format!("{table}.target_modules"), TARGETS, got),
        }
    }

    /// Checks that an adapter can be trained further with these settings: full training would lose it, and its rank and
    /// scale are fixed.
    ///
    /// Errors: [`SettingError`] naming the setting that does not fit it.
    pub fn validate_adapter(&self, table: &str, adapter: &LoraConfig) -> Result<(), SettingError> {
        match self {
            Self::Frozen => Ok(()),
            Self::Full { .. } => {
                let expected = "`lora`, since full training would lose `model.adapter`";
                check_setting(false, &format!("{table}.type"), expected, "`full`")
            }
            Self::Lora { r, lora_alpha, .. } => {
                let expected = format!("{}, as the adapter has", adapter.r);
                check_setting(*r == adapter.r, &format!("{table}.r"), &expected, r)?;
                let expected = format!("{}, as the adapter has", adapter.alpha);
                let same_alpha = *lora_alpha == adapter.alpha;
                check_setting(same_alpha, &format!("{table}.lora_alpha"), &expected, lora_alpha)
            }
        }
    }

    /// Whether the reference is a copy of the whole model: where adapters are trained, it shares the model's weights.
    pub fn keeps_reference(&self) -> bool {
        matches!(self, Self::Full { .. })
    }

    /// Whether the backward pass recomputes layers.
    pub fn recomputes(&self) -> bool {
        match self {
            Self::Frozen => false,
            Self::Full { gradient_checkpointing, .. } | Self::Lora { gradient_checkpointing, .. } => {
                *gradient_checkpointing
            }
        }
    }

    /// The groups of parameters that collect gradients.
    pub(crate) fn groups(&self) -> Vec<ParameterGroup> {
        match self {
            Self::Frozen => Vec::new(),
            Self::Full { freeze_vision_tower, freeze_multi_modal_projector, freeze_language_model, .. } => [
                (ParameterGroup::Vision, *freeze_vision_tower),
                (ParameterGroup::Projector, *freeze_multi_modal_projector),
                (ParameterGroup::Language, *freeze_language_model),
            ]
            .into_iter()
            .filter_map(|(group, frozen)| (!frozen).then_some(group))
            .collect(),
            Self::Lora { .. } => vec![ParameterGroup::Adapter],
        }
    }

    /// The adapter to attach, if adapters are what is trained.
    pub(crate) fn lora(&self) -> Option<LoraConfig> {
        match self {
            Self::Lora { r, lora_alpha, lora_dropout, target_modules, .. } => Some(LoraConfig {
                r: *r,
                alpha: *lora_alpha,
                dropout: *lora_dropout,
                rank_stabilized: false,
                target_modules: target_modules.clone(),
            }),
            _ => None,
        }
    }
}

/// What [`crate::LocalEngine::open`] opens.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// A Hugging Face folder.
    pub model: PathBuf,
    /// The base that adapters trained on it name: the folder, or its name on the hub.
    pub base_model: String,
    /// The type its weights are held and saved in.
    pub weight_type: WeightType,
    /// Limits to the size of images, in place of the folder's own.
    pub image_limits: ImageLimits,
    /// A PEFT folder on top of it. Trained further where [`Trainable::Lora`] is chosen, on the layers that it adapts.
    pub adapter: Option<PathBuf>,
    /// Where to compute.
    pub device: Device,
    /// What to train.
    pub trainable: Trainable,
    /// Seeds fresh adapters.
    pub seed: u64,
    /// Worker threads on a CPU; results do not depend on their number.
    pub workers: usize,
    /// Tokens, padding included, that one micro-batch may hold; bounds memory.
    pub micro_batch_tokens: usize,
    /// Longest sequence that may be trained, in tokens.
    pub max_length: usize,
    /// Whether the sequences of a micro-batch are packed into one row instead of padded.
    pub packing: bool,
    /// Sequences sampled at once by a worker; bounds memory.
    pub sample_batch_size: usize,
    /// Memory for image features, in bytes.
    pub feature_cache_bytes: usize,
    /// Where image features of a frozen vision tower are kept for later runs.
    pub feature_folder: Option<FeatureFolder>,
}

/// A folder for image features.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureFolder {
    /// The folder; created where it does not exist.
    pub path: PathBuf,
    /// The limit to the size of all its files. Features beyond it are computed by every run.
    pub max_bytes: u64,
}

impl EngineOptions {
    /// Options for sampling and scoring a model on the device.
    pub fn new(model: PathBuf, device: Device) -> Self {
        Self {
            base_model: model.to_string_lossy().into_owned(),
            model,
            weight_type: WeightType::default(),
            image_limits: ImageLimits::default(),
            adapter: None,
            device,
            trainable: Trainable::Frozen,
            seed: 0,
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            micro_batch_tokens: 1024,
            max_length: usize::MAX,
            packing: false,
            sample_batch_size: 64,
            feature_cache_bytes: 1 << 28,
            feature_folder: None,
        }
    }
}
