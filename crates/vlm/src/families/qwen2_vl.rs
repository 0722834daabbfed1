//! Qwen2-VL (arXiv 2409.12191): a vision tower whose attention sees the whole picture, a merger, and the Qwen2 decoder with
//! M-RoPE. All but the tower's norms and feed-forward layers is Qwen2.5-VL's.

use std::path::Path;

use burn::tensor::Device;

use super::qwen2_5_vl::vision::VisionTower;
use super::qwen2_5_vl::{FeedForwardKind, MOVED, TEXT_LAYOUT, VisionConfig, config as shared, group, prompts};
use super::{Family, Prompts, VisionModel};
use crate::config::fields::Fields;
use crate::config::{Config, Shape, Source};
use crate::error::Error;
use crate::norm::NormKind;
use crate::parameter::Group;
use crate::rope::{Positions, multimodal_positions};
use crate::text::TextLayout;
use crate::weights::{Moved, WeightReader};

/// The family.
#[derive(Debug)]
pub(crate) struct Qwen2Vl;

impl Family for Qwen2Vl {
    fn name(&self) -> &'static str {
        "Qwen2-VL"
    }

    fn model_type(&self) -> &'static str {
        "qwen2_vl"
    }

    fn shape(&self, source: &Source) -> Result<Shape, Error> {
        shared::shape(source, &read_vision(&source.fields)?, "hidden_size")
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
        let vision = read_vision(&config.fields()?)?;
        Ok(Box::new(VisionTower::load(reader, &vision, device)?))
    }

    fn positions(&self, config: &Config, ids: &[u32], grids: &[[usize; 3]]) -> Result<Positions, Error> {
        multimodal_positions(ids, grids, config.tokens, config.merge_size)
    }

    fn prompts(&self, folder: &Path) -> Result<Prompts, Error> {
        prompts(folder)
    }
}

/// Here `embed_dim` is the tower's width and `hidden_size` the language model's.
fn read_vision(root: &Fields) -> Result<VisionConfig, Error> {
    let fields = root.required_section("vision_config")?;
    fields.one_of("hidden_act", &["quick_gelu"])?;
    let (depth, hidden_size) = (fields.count("depth")?, fields.count("embed_dim")?);
    let (patch_size, spatial_merge_size) = (fields.count("patch_size")?, fields.count_or("spatial_merge_size", 2)?);
    let config = VisionConfig {
        depth,
        hidden_size,
        intermediate_size: (hidden_size as f64 * fields.number("mlp_ratio", 4.0)?) as usize,
        num_heads: fields.count("num_heads")?,
        in_channels: shared::channels(&fields)?,
        out_hidden_size: fields.count("hidden_size")?,
        patch_size,
        spatial_merge_size,
        temporal_patch_size: fields.count_or("temporal_patch_size", 2)?,
        window_size: patch_size * spatial_merge_size,
        fullatt_block_indexes: (0..depth).collect(),
        norm: NormKind::Layer,
        feed_forward: FeedForwardKind::Plain,
    };
    fields.multiple("embed_dim", hidden_size, 4 * config.num_heads)?;
    Ok(config)
}
