//! Qwen2.5-VL (arXiv 2502.13923): a vision tower with window attention, a merger, and the Qwen2.5 decoder with M-RoPE.

pub(crate) mod config;
pub mod vision;

use std::path::Path;

pub use config::{FeedForwardKind, VisionConfig, VisionTokens, new_config};
use vision::VisionTower;

use super::family::{Family, ProcessorParts};
use crate::chat_template::ChatTemplate;
use crate::error::Error;
use crate::image_processor::{ImageSettings, QwenImageProcessor};
use crate::text::TextLayout;
use crate::weights::FamilyKeys;

/// The family.
pub(crate) static QWEN2_5_VL: Family = Family {
    name: "Qwen2.5-VL",
    model_type: "qwen2_5_vl",
    keys: KEYS,
    has_mrope: true,
    config: |fields| config::read(fields, &config::read_vision(fields)?, "out_hidden_size"),
    text_layout: |_| Ok(&TEXT),
    vision: |fields, _, reader| Ok(Box::new(VisionTower::load(reader, &config::read_vision(fields)?)?)),
    processor_parts: |folder, fields| processor_parts(folder, &config::read_vision(fields)?),
};

/// The prefixes of Qwen's vision-language models.
pub(super) const KEYS: FamilyKeys = FamilyKeys {
    moved: &[("visual.", "model.visual."), ("model.", "model.language_model.")],
    projector: "visual.merger.",
    vision: "visual.",
};

/// The names of their decoder's parts.
pub(super) const TEXT: TextLayout = TextLayout::qwen2(["model.embed_tokens", "model.layers", "model.norm", "lm_head"]);

/// Their processors, by the tower.
pub(super) fn processor_parts(folder: &Path, vision: &VisionConfig) -> Result<ProcessorParts, Error> {
    let template = ChatTemplate::open(folder)?;
    let VisionConfig { patch_size, spatial_merge_size, temporal_patch_size, .. } = *vision;
    let settings = ImageSettings::open_for(folder, patch_size, spatial_merge_size, temporal_patch_size)?;
    Ok(ProcessorParts {
        template,
        image_processor: Box::new(QwenImageProcessor::new(settings)),
        image_token: "<|image_pad|>",
        around_image: None,
        video_token: Some("<|video_pad|>"),
        end_token: None,
    })
}
