//! What of a Qwen2.5-VL's `config.json` is its own: read from the published flat layout or the newer nested one, and
//! written for a new model.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::config::classes::{QWEN_VISION_ROPE, QWEN_VL, QWEN_VL_TEXT, QWEN2_5_VL_VISION, ROPE};
use crate::config::fields::ConfigFields;
use crate::config::text::{FamilyConfig, ImageTokens, TextConfig, rope_kind, rope_section};
use crate::error::Error;
use crate::norm::NormKind;
use crate::resample::CHANNELS;

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
pub(in crate::families) fn read(
    root: &ConfigFields,
    vision: &VisionConfig,
    width: &str,
) -> Result<FamilyConfig, Error> {
    let top = root.of_class(&QWEN_VL, &[&QWEN_VL_TEXT])?;
    // Newer files hold the language model's fields in a section of their own.
    let fields = match root.section("text_config")? {
        Some(section) => section.of_class(&QWEN_VL_TEXT, &[])?,
        None => root.of_class(&QWEN_VL_TEXT, &[&QWEN_VL])?,
    };
    let text = read_text(&fields, &top)?;
    if vision.out_hidden_size != text.hidden_size {
        let problem = format!("expected the text width {}, got {}", text.hidden_size, vision.out_hidden_size);
        return Err(root.problem(&format!("vision_config.{width}"), &problem));
    }
    let tokens = read_tokens(&top, text.vocab_size)?;
    Ok(FamilyConfig {
        text,
        tokens: ImageTokens { image: tokens.image, video: Some(tokens.video) },
        merge_size: vision.spatial_merge_size,
        dynamic_rope: None,
    })
}

// `tie_word_embeddings` is outside the section in some versions' files, and inside in others'.
fn read_text(fields: &ConfigFields, top: &ConfigFields) -> Result<TextConfig, Error> {
    let config = TextConfig::read(fields)?;
    let mrope_section = match rope_section(fields)? {
        Some(rope) => {
            rope_kind(&rope, &["mrope", "default"])?;
            read_section(&rope, config.head_dim() / 2)?
        }
        None => read_section(&fields.section_of("rope_scaling", &ROPE)?, config.head_dim() / 2)?,
    };
    let tie_word_embeddings = top.flag("tie_word_embeddings")? || config.tie_word_embeddings;
    Ok(TextConfig { mrope_section, tie_word_embeddings, ..config })
}

fn read_section(rope: &ConfigFields, half_a_head: usize) -> Result<[usize; 3], Error> {
    let list = rope.indexes("mrope_section")?;
    let section = <[usize; 3]>::try_from(list).map_err(|_| rope.expected("mrope_section", "3 numbers"))?;
    let sum = section.iter().fold(0_usize, |sum, part| sum.saturating_add(*part));
    if sum == half_a_head {
        return Ok(section);
    }
    Err(rope.problem("mrope_section", &format!("expected a sum of {half_a_head}, half a head, got {sum}")))
}

pub(super) fn read_vision(root: &ConfigFields) -> Result<VisionConfig, Error> {
    let fields = root.section_of("vision_config", &QWEN2_5_VL_VISION)?;
    check_vision_rope(&fields)?;
    let config = VisionConfig {
        depth: fields.layers("depth")?,
        hidden_size: fields.count("hidden_size")?,
        intermediate_size: fields.count("intermediate_size")?,
        num_heads: fields.count("num_heads")?,
        in_channels: CHANNELS,
        out_hidden_size: fields.count("out_hidden_size")?,
        patch_size: fields.side("patch_size")?,
        spatial_merge_size: fields.side("spatial_merge_size")?,
        temporal_patch_size: fields.side("temporal_patch_size")?,
        window_size: fields.side("window_size")?,
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

/// Fails for a RoPE of the vision tower other than the one there is.
pub(crate) fn check_vision_rope(vision: &ConfigFields) -> Result<(), Error> {
    vision.section_of("rope_parameters", &QWEN_VISION_ROPE).map(drop)
}

fn read_tokens(top: &ConfigFields, vocab_size: usize) -> Result<VisionTokens, Error> {
    Ok(VisionTokens {
        image: top.token("image_token_id", vocab_size)?,
        video: top.token("video_token_id", vocab_size)?,
        vision_start: top.token("vision_start_token_id", vocab_size)?,
        vision_end: top.token("vision_end_token_id", vocab_size)?,
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
