//! Qwen2.5-VL (arXiv 2502.13923): a vision tower with window attention, a merger, and the Qwen2.5 decoder with M-RoPE.

pub(crate) mod config;
pub mod vision;

use std::path::Path;

use burn::tensor::Device;

pub use config::{FeedForwardKind, VisionConfig, VisionTokens, new_config};
use vision::VisionTower;

use super::{Family, Prompts, VisionModel};
use crate::chat_template::ChatTemplate;
use crate::config::fields::Fields;
use crate::config::{Config, Shape, Source};
use crate::error::Error;
use crate::image_processor::ImageProcessor;
use crate::rope::{Positions, multimodal_positions};
use crate::text::TextLayout;
use crate::weights::{Moved, WeightReader};

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
    pub read_vision: fn(&Fields) -> Result<VisionConfig, Error>,
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

    fn shape(&self, source: &Source) -> Result<Shape, Error> {
        config::shape(source, &(self.read_vision)(&source.fields)?, self.width_field)
    }

    fn moved(&self) -> &'static [Moved] {
        &[("visual.", "model.visual."), ("model.", "model.language_model.")]
    }

    fn prefixes(&self) -> [&'static str; 2] {
        ["visual.merger.", "visual."]
    }

    fn text_layout(&self, _config: &Config) -> Result<&'static TextLayout, Error> {
        Ok(&TEXT)
    }

    fn vision(
        &self,
        config: &Config,
        reader: &mut WeightReader,
        device: &Device,
    ) -> Result<Box<dyn VisionModel>, Error> {
        let vision = (self.read_vision)(&config.fields()?)?;
        Ok(Box::new(VisionTower::load(reader, &vision, device)?))
    }

    fn positions(&self, config: &Config, ids: &[u32], grids: &[[usize; 3]]) -> Result<Positions, Error> {
        multimodal_positions(ids, grids, config.tokens, config.merge_size)
    }

    fn prompts(&self, folder: &Path, _config: &Config) -> Result<Prompts, Error> {
        Ok(Prompts {
            template: ChatTemplate::open(folder)?,
            pictures: Box::new(ImageProcessor::open(folder)?),
            image_token: "<|image_pad|>",
            around_image: None,
            video_token: Some("<|video_pad|>"),
            end_token: None,
        })
    }
}
