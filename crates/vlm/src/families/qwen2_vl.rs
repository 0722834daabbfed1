//! Qwen2-VL (arXiv 2409.12191): a vision tower with full attention over an image, a merger, and the Qwen2 decoder with
//! M-RoPE. All but the tower's norms and feed-forward layers is Qwen2.5-VL's.

use super::qwen2_5_vl::{FeedForwardKind, QwenVl, VisionConfig, config as shared};
use crate::config::fields::ConfigFields;
use crate::error::Error;
use crate::norm::NormKind;

/// The family.
pub(crate) static QWEN2_VL: QwenVl =
    QwenVl { name: "Qwen2-VL", model_type: "qwen2_vl", read_vision, width_field: "hidden_size" };

/// Here `embed_dim` is the tower's width and `hidden_size` the language model's.
fn read_vision(root: &ConfigFields) -> Result<VisionConfig, Error> {
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
