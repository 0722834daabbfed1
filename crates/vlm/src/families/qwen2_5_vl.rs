//! Qwen2.5-VL (arXiv 2502.13923): a vision tower with window attention, a merger, and the Qwen2.5 decoder with M-RoPE.

pub(crate) mod config;
pub mod vision;

use std::path::Path;

use burn::tensor::Device;

pub use config::{FeedForwardKind, VisionConfig, VisionTokens, new_config};
use vision::VisionTower;

use super::{Family, Prompts, VisionModel};
use crate::chat_template::ChatTemplate;
use crate::config::{Config, Shape, Source};
use crate::error::Error;
use crate::image_processor::ImageProcessor;
use crate::parameter::Group;
use crate::rope::{Positions, multimodal_positions};
use crate::text::{QkvLayout, TextLayout};
use crate::weights::{Moved, WeightReader};

/// The family.
#[derive(Debug)]
pub(crate) struct Qwen25Vl;

/// Modules that transformers has nested since 4.52.
pub const MOVED: [Moved; 2] = [("visual.", "model.visual."), ("model.", "model.language_model.")];

pub(crate) const TEXT_LAYOUT: TextLayout = TextLayout {
    embed_tokens: "model.embed_tokens",
    layers: "model.layers",
    input_layernorm: "input_layernorm",
    qkv: QkvLayout::Separate(["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]),
    o_proj: "self_attn.o_proj",
    post_attention_layernorm: "post_attention_layernorm",
    gate_proj: "mlp.gate_proj",
    up_proj: "mlp.up_proj",
    down_proj: "mlp.down_proj",
    norm: "model.norm",
    lm_head: "lm_head",
};

/// What all Qwen-VL families take: ChatML by the folder's own template, and pictures by its own settings.
pub(crate) fn prompts(folder: &Path) -> Result<Prompts, Error> {
    Ok(Prompts {
        template: ChatTemplate::open(folder)?,
        pictures: Box::new(ImageProcessor::open(folder)?),
        image_token: "<|image_pad|>",
        around_image: None,
        video_token: Some("<|video_pad|>"),
        end_token: None,
    })
}

/// The merger is the projector; what else is visual, the tower.
pub(crate) fn group(key: &str) -> Group {
    if key.starts_with("visual.merger.") {
        Group::Projector
    } else if key.starts_with("visual.") {
        Group::Vision
    } else {
        Group::Language
    }
}

impl Family for Qwen25Vl {
    fn name(&self) -> &'static str {
        "Qwen2.5-VL"
    }

    fn model_type(&self) -> &'static str {
        "qwen2_5_vl"
    }

    fn shape(&self, source: &Source) -> Result<Shape, Error> {
        config::shape(source, &config::read_vision(&source.fields)?, "out_hidden_size")
    }

    fn moved(&self) -> &'static [Moved] {
        &MOVED
    }

    fn group(&self, key: &str) -> Group {
        group(key)
    }

    fn text_layout(&self, _config: &Config) -> Result<&'static TextLayout, Error> {
        Ok(&TEXT_LAYOUT)
    }

    fn vision(
        &self,
        config: &Config,
        reader: &mut WeightReader,
        device: &Device,
    ) -> Result<Box<dyn VisionModel>, Error> {
        let vision = VisionConfig::read(config)?;
        Ok(Box::new(VisionTower::load(reader, &vision, device)?))
    }

    fn positions(&self, config: &Config, ids: &[u32], grids: &[[usize; 3]]) -> Result<Positions, Error> {
        multimodal_positions(ids, grids, config.tokens, config.merge_size)
    }

    fn prompts(&self, folder: &Path) -> Result<Prompts, Error> {
        prompts(folder)
    }
}
