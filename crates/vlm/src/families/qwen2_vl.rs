//! Qwen2-VL (arXiv 2409.12191): a vision tower with full attention over an image, a merger, and the Qwen2 decoder with
//! M-RoPE. All but the tower's norms and feed-forward layers is Qwen2.5-VL's.

use super::family::Family;
use super::qwen2_5_vl::config::{self, check_vision_rope};
use super::qwen2_5_vl::vision::VisionTower;
use super::qwen2_5_vl::{FeedForwardKind, KEYS, TEXT, VisionConfig, processor_parts};
use crate::config::classes::QWEN2_VL_VISION;
use crate::config::fields::ConfigFields;
use crate::error::Error;
use crate::norm::NormKind;
use crate::resample::CHANNELS;

/// The family.
pub(crate) static QWEN2_VL: Family = Family {
    name: "Qwen2-VL",
    model_type: "qwen2_vl",
    keys: KEYS,
    has_mrope: true,
    config: |fields| config::read(fields, &read_vision(fields)?, "hidden_size"),
    text_layout: |_| Ok(&TEXT),
    vision: |fields, _, reader| Ok(Box::new(VisionTower::load(reader, &read_vision(fields)?)?)),
    processor_parts: |folder, fields| processor_parts(folder, &read_vision(fields)?),
};

/// Here `embed_dim` is the tower's width and `hidden_size` the language model's.
fn read_vision(root: &ConfigFields) -> Result<VisionConfig, Error> {
    let fields = root.section_of("vision_config", &QWEN2_VL_VISION)?;
    check_vision_rope(&fields)?;
    let (depth, hidden_size) = (fields.layers("depth")?, fields.count("embed_dim")?);
    let (patch_size, spatial_merge_size) = (fields.side("patch_size")?, fields.side("spatial_merge_size")?);
    let config = VisionConfig {
        depth,
        hidden_size,
        intermediate_size: (hidden_size as f64 * mlp_ratio(&fields)?) as usize,
        num_heads: fields.count("num_heads")?,
        in_channels: CHANNELS,
        out_hidden_size: fields.count("hidden_size")?,
        patch_size,
        spatial_merge_size,
        temporal_patch_size: fields.side("temporal_patch_size")?,
        window_size: patch_size * spatial_merge_size,
        fullatt_block_indexes: (0..depth).collect(),
        norm: NormKind::Layer,
        feed_forward: FeedForwardKind::Plain,
    };
    fields.multiple("embed_dim", hidden_size, 4 * config.num_heads)?;
    Ok(config)
}

fn mlp_ratio(fields: &ConfigFields) -> Result<f64, Error> {
    const MOST: f64 = 64.0;
    let ratio = fields.number("mlp_ratio")?;
    if ratio > MOST { Err(fields.expected("mlp_ratio", &format!("at most {MOST}"))) } else { Ok(ratio) }
}
