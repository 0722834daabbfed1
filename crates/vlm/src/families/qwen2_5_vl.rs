//! Qwen2.5-VL (arXiv 2502.13923): a vision tower with window attention, a merger, and the Qwen2.5 decoder with M-RoPE.

pub(crate) mod config;
pub mod vision;

use std::path::Path;

pub use config::{FeedForwardKind, VisionConfig, VisionTokens, new_config};
use vision::VisionTower;

use super::family::{Family, ProcessorParts, VisionModel};
use crate::chat_template::ChatTemplate;
use crate::config::fields::ConfigFields;
use crate::config::text::FamilyConfig;
use crate::error::Error;
use crate::image_processor::{ImageSettings, QwenImageProcessor};
use crate::text::TextLayout;
use crate::weights::{FamilyKeys, WeightReader};

/// The family.
pub(crate) static QWEN2_5_VL: QwenVl = QwenVl {
    name: "Qwen2.5-VL",
    model_type: "qwen2_5_vl",
    read_vision: config::read_vision,
    width_field: "out_hidden_size",
};

/// A family of Qwen's vision-language models: they differ in their vision towers.
#[derive(Debug)]
pub(crate) struct QwenVl {
    pub name: &'static str,
    pub model_type: &'static str,
    /// Reads the tower's part of a `config.json`.
    pub read_vision: fn(&ConfigFields) -> Result<VisionConfig, Error>,
    /// The field of that part that holds the language model's width.
    pub width_field: &'static str,
}

const TEXT: TextLayout = TextLayout::qwen2(["model.embed_tokens", "model.layers", "model.norm", "lm_head"]);

impl Family for QwenVl {
    fn name(&self) -> &'static str {
        self.name
    }

    fn model_type(&self) -> &'static str {
        self.model_type
    }

    fn keys(&self) -> FamilyKeys {
        FamilyKeys {
            moved: &[("visual.", "model.visual."), ("model.", "model.language_model.")],
            projector: "visual.merger.",
            vision: "visual.",
        }
    }

    fn config(&self, fields: &ConfigFields) -> Result<FamilyConfig, Error> {
        config::read(fields, &(self.read_vision)(fields)?, self.width_field)
    }

    fn text_layout(&self, _fields: &ConfigFields) -> Result<&'static TextLayout, Error> {
        Ok(&TEXT)
    }

    fn vision(
        &self,
        fields: &ConfigFields,
        _d: usize,
        reader: &mut WeightReader,
    ) -> Result<Box<dyn VisionModel>, Error> {
        Ok(Box::new(VisionTower::load(reader, &(self.read_vision)(fields)?)?))
    }

    fn has_mrope(&self) -> bool {
        true
    }

    fn processor_parts(&self, folder: &Path, fields: &ConfigFields) -> Result<ProcessorParts, Error> {
        let VisionConfig { patch_size, spatial_merge_size, temporal_patch_size, .. } = (self.read_vision)(fields)?;
        let settings = ImageSettings::open_for(folder, patch_size, spatial_merge_size, temporal_patch_size)?;
        Ok(ProcessorParts {
            template: ChatTemplate::open(folder)?,
            image_processor: Box::new(QwenImageProcessor::new(settings)),
            image_token: "<|image_pad|>",
            around_image: None,
            video_token: Some("<|video_pad|>"),
            end_token: None,
        })
    }
}
