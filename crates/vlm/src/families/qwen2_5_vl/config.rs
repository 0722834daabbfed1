//! What of a Qwen2.5-VL's `config.json` is its own: read from the published flat layout or the newer nested one, and
//! written for a new model.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::config::fields::ConfigFields;
use crate::config::text::{FamilyConfig, ImageTokens, TextConfig};
use crate::error::Error;
use crate::norm::NormKind;

/// The vision tower. Lengths are pixels or patches as named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VisionConfig {
    /// Blocks.
    pub depth: usize,
    /// Width of the tower.
    pub hidden_size: usize,
    /// Width inside its feed-forward layers.
    pub intermediate_size: usize,
    /// Attention heads.
    pub num_heads: usize,
    /// Color channels of a pixel.
    pub in_channels: usize,
    /// Width of an image token: that of the language model.
    pub out_hidden_size: usize,
    /// Side of a patch, in pixels.
    pub patch_size: usize,
    /// Side of the square of patches merged into one image token.
    pub spatial_merge_size: usize,
    /// Frames in a patch; a still image is repeated.
    pub temporal_patch_size: usize,
    /// Side of an attention window, in pixels.
    pub window_size: usize,
    /// Blocks that attend to the whole image instead of a window.
    pub fullatt_block_indexes: Vec<usize>,
    /// The norms.
    pub norm: NormKind,
    /// The feed-forward layers.
    pub feed_forward: FeedForwardKind,
}

/// Which feed-forward layers a tower has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedForwardKind {
    /// `down(silu(gate(x)) · up(x))`: Qwen2.5-VL.
    Gated,
    /// `fc2(quick_gelu(fc1(x)))`: Qwen2-VL.
    Plain,
}

impl VisionConfig {
    /// Numbers in one patch as the tower takes it: channels, frames, rows and columns.
    pub fn patch_length(&self) -> usize {
        self.in_channels * self.temporal_patch_size * self.patch_size * self.patch_size
    }

    /// The tower's part of a `config.json`; `path` is named in errors.
    ///
    /// Errors: `File` naming the field.
    pub fn read(config: &Value, path: &Path) -> Result<Self, Error> {
        read_vision(&ConfigFields::new(config, path)?)
    }
}

/// Ids of the tokens that an image or video is written with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VisionTokens {
    /// Replaced by an image token's embedding.
    pub image: u32,
    /// The same for a video.
    pub video: u32,
    /// Before the tokens of one image.
    pub vision_start: u32,
    /// After them.
    pub vision_end: u32,
}

/// The `config.json` of a new model, in the published flat layout, for [`crate::config::Config::from_json`].
pub fn new_config(text: &TextConfig, vision: &VisionConfig, tokens: VisionTokens) -> Value {
    let mut fields = text_fields(text);
    fields.extend(token_fields(tokens));
    fields.insert("vision_config".to_owned(), vision_fields(vision));
    Value::Object(fields)
}

/// Reads the whole file; `width` is the field of the vision tower that holds the language model's width.
pub(super) fn read(root: &ConfigFields, vision: &VisionConfig, width: &str) -> Result<FamilyConfig, Error> {
    let text = match root.section("text_config")? {
        Some(section) => read_text(&section, root)?,
        None => read_text(root, root)?,
    };
    if vision.out_hidden_size != text.hidden_size {
        let problem = format!("expected the text width {}, got {}", text.hidden_size, vision.out_hidden_size);
        return Err(root.required_section("vision_config")?.problem(width, &problem));
    }
    let tokens = read_tokens(root, text.vocab_size)?;
    Ok(FamilyConfig {
        text,
        tokens: ImageTokens { image: tokens.image, video: Some(tokens.video) },
        merge_size: vision.spatial_merge_size,
        dynamic_rope: None,
    })
}

// Newer files hold the language model's fields in a section of their own; `tie_word_embeddings` stays outside.
fn read_text(fields: &ConfigFields, root: &ConfigFields) -> Result<TextConfig, Error> {
    let rope_key = if fields.has("rope_parameters") { "rope_parameters" } else { "rope_scaling" };
    let rope = fields.required_section(rope_key)?;
    rope.one_of(if rope.has("rope_type") { "rope_type" } else { "type" }, &["mrope", "default"])?;
    let theta_fields = if rope.has("rope_theta") { &rope } else { fields };
    let tie_fields = if root.has("tie_word_embeddings") { root } else { fields };
    let mrope_section = read_section(&rope)?;
    let config = TextConfig {
        rope_theta: theta_fields.number("rope_theta", 1e6)?,
        mrope_section,
        tie_word_embeddings: tie_fields.flag("tie_word_embeddings", false)?,
        ..TextConfig::read(fields)?
    };
    let (sum, half) = (mrope_section.iter().sum::<usize>(), config.head_dim() / 2);
    if sum != half {
        let problem = format!("expected a sum of {half}, half a head, got {sum}");
        return Err(rope.problem("mrope_section", &problem));
    }
    Ok(config)
}

fn read_section(rope: &ConfigFields) -> Result<[usize; 3], Error> {
    let list = rope.indexes("mrope_section")?;
    let got = list.len();
    list.try_into().map_err(|_| rope.problem("mrope_section", &format!("expected 3 numbers, got {got}")))
}

pub(super) fn read_vision(root: &ConfigFields) -> Result<VisionConfig, Error> {
    let fields = root.required_section("vision_config")?;
    fields.one_of("hidden_act", &["silu"])?;
    let config = VisionConfig {
        depth: fields.count("depth")?,
        hidden_size: fields.count("hidden_size")?,
        intermediate_size: fields.count("intermediate_size")?,
        num_heads: fields.count("num_heads")?,
        in_channels: channels(&fields)?,
        out_hidden_size: fields.count("out_hidden_size")?,
        patch_size: fields.count("patch_size")?,
        spatial_merge_size: fields.count("spatial_merge_size")?,
        temporal_patch_size: fields.count_or("temporal_patch_size", 2)?,
        window_size: fields.count("window_size")?,
        fullatt_block_indexes: fields.indexes("fullatt_block_indexes")?,
        norm: NormKind::Rms,
        feed_forward: FeedForwardKind::Gated,
    };
    // RoPE rotates half of a head by height and half by width, each in pairs.
    fields.multiple("hidden_size", config.hidden_size, 4 * config.num_heads)?;
    fields.multiple("window_size", config.window_size, config.patch_size * config.spatial_merge_size)?;
    let mut indexes = config.fullatt_block_indexes.iter();
    match indexes.find(|index| **index >= config.depth) {
        Some(index) => {
            let problem = format!("expected indexes below depth {}, got {index}", config.depth);
            Err(fields.problem("fullatt_block_indexes", &problem))
        }
        None => Ok(config),
    }
}

/// Color channels, under either name.
pub(crate) fn channels(vision: &ConfigFields) -> Result<usize, Error> {
    let name = if vision.has("in_channels") { "in_channels" } else { "in_chans" };
    vision.count_or(name, 3)
}

fn read_tokens(root: &ConfigFields, vocab_size: usize) -> Result<VisionTokens, Error> {
    Ok(VisionTokens {
        image: root.token("image_token_id", vocab_size)?,
        video: root.token("video_token_id", vocab_size)?,
        vision_start: root.token("vision_start_token_id", vocab_size)?,
        vision_end: root.token("vision_end_token_id", vocab_size)?,
    })
}

fn text_fields(text: &TextConfig) -> Map<String, Value> {
    let fields = json!({
        "architectures": ["Qwen2_5_VLForConditionalGeneration"],
        "model_type": "qwen2_5_vl",
        "torch_dtype": "float32",
        "attention_dropout": 0.0,
        "hidden_act": "silu",
        "hidden_size": text.hidden_size,
        "initializer_range": text.initializer_range,
        "intermediate_size": text.intermediate_size,
        "max_position_embeddings": text.max_position_embeddings,
        "max_window_layers": text.num_hidden_layers,
        "num_attention_heads": text.num_attention_heads,
        "num_hidden_layers": text.num_hidden_layers,
        "num_key_value_heads": text.num_key_value_heads,
        "rms_norm_eps": text.rms_norm_eps,
        "rope_theta": text.rope_theta,
        "rope_scaling": { "type": "mrope", "mrope_section": text.mrope_section },
        "sliding_window": 32_768,
        "tie_word_embeddings": text.tie_word_embeddings,
        "use_cache": true,
        "use_sliding_window": false,
        "vocab_size": text.vocab_size,
    });
    fields.as_object().cloned().unwrap_or_default()
}

fn token_fields(tokens: VisionTokens) -> [(String, Value); 4] {
    [
        ("vision_start_token_id".to_owned(), tokens.vision_start.into()),
        ("vision_end_token_id".to_owned(), tokens.vision_end.into()),
        ("image_token_id".to_owned(), tokens.image.into()),
        ("video_token_id".to_owned(), tokens.video.into()),
    ]
}

fn vision_fields(vision: &VisionConfig) -> Value {
    json!({
        "model_type": "qwen2_5_vl",
        "depth": vision.depth,
        "hidden_act": "silu",
        "hidden_size": vision.hidden_size,
        "intermediate_size": vision.intermediate_size,
        "num_heads": vision.num_heads,
        "in_channels": vision.in_channels,
        "in_chans": vision.in_channels,
        "out_hidden_size": vision.out_hidden_size,
        "patch_size": vision.patch_size,
        "spatial_patch_size": vision.patch_size,
        "spatial_merge_size": vision.spatial_merge_size,
        "temporal_patch_size": vision.temporal_patch_size,
        "tokens_per_second": 2,
        "window_size": vision.window_size,
        "fullatt_block_indexes": vision.fullatt_block_indexes,
    })
}
