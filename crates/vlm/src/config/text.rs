//! What families have in common of their `config.json`: the language model's sizes and the image tokens.

use super::fields::ConfigFields;
use crate::error::Error;

/// The part of a `config.json` that all families have in common.
#[derive(Debug)]
pub(crate) struct FamilyConfig {
    pub text: TextConfig,
    pub tokens: ImageTokens,
    /// Side of the square of patches that make one image token.
    pub merge_size: usize,
    /// See [`read_dynamic_rope`].
    pub dynamic_rope: Option<f64>,
}

/// The language model.
#[derive(Clone, Debug, PartialEq)]
pub struct TextConfig {
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width inside the feed-forward layers.
    pub intermediate_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads; each serves as many query heads as their numbers' ratio.
    pub num_key_value_heads: usize,
    /// Whether queries, keys and values have a bias.
    pub attention_bias: bool,
    /// Rows of the embedding.
    pub vocab_size: usize,
    /// Added under the root in every norm.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// How many rotary frequencies go by the position in time, height and width; together half a head. Where tokens
    /// have one position alone, all go by the first.
    pub mrope_section: [usize; 3],
    /// Longest sequence, in tokens.
    pub max_position_embeddings: usize,
    /// Standard deviation of randomly initialized weights.
    pub initializer_range: f64,
    /// Whether the head is the embedding.
    pub tie_word_embeddings: bool,
}

impl TextConfig {
    /// Width of one head.
    pub fn head_dim(&self) -> usize {
        self.hidden_size / self.num_attention_heads
    }

    /// Reads what all decoders name alike and checks that it fits together. Assumed: queries, keys and values have a
    /// bias, and tokens one position alone.
    ///
    /// Errors: `File` naming the field that is missing, of the wrong type, out of range or at odds with another.
    pub(crate) fn read(fields: &ConfigFields) -> Result<Self, Error> {
        let (hidden_size, num_attention_heads) = (fields.count("hidden_size")?, fields.count("num_attention_heads")?);
        let rope = fields.section("rope_parameters")?;
        let config = Self {
            hidden_size,
            intermediate_size: fields.count("intermediate_size")?,
            num_hidden_layers: fields.count("num_hidden_layers")?,
            num_attention_heads,
            num_key_value_heads: fields.count_or("num_key_value_heads", num_attention_heads)?,
            attention_bias: true,
            vocab_size: fields.count("vocab_size")?,
            rms_norm_eps: fields.number("rms_norm_eps", 1e-6)?,
            rope_theta: rope.as_ref().unwrap_or(fields).number("rope_theta", 1e4)?,
            mrope_section: [hidden_size / num_attention_heads / 2, 0, 0],
            max_position_embeddings: fields.count_or("max_position_embeddings", 32_768)?,
            initializer_range: fields.number("initializer_range", 0.02)?,
            tie_word_embeddings: fields.flag("tie_word_embeddings", false)?,
        };
        fields.one_of("hidden_act", &["silu"])?;
        fields.multiple("hidden_size", hidden_size, 2 * num_attention_heads)?;
        fields.multiple("num_attention_heads", num_attention_heads, config.num_key_value_heads)?;
        if fields.flag("use_sliding_window", false)? {
            return Err(fields.problem("use_sliding_window", "expected false: sliding windows are not supported"));
        }
        Ok(config)
    }
}

/// The factor of dynamic RoPE scaling, by which sequences may exceed `max_position_embeddings`; none without scaling.
/// Since transformers 5 `rope_parameters` hold what `rope_scaling` held.
///
/// Errors: `File` naming the field for another kind of scaling, or a factor that is missing or out of range.
pub(crate) fn read_dynamic_rope(text: &ConfigFields) -> Result<Option<f64>, Error> {
    let newer = text.section("rope_parameters")?;
    let Some(scaling) = newer.map_or_else(|| text.section("rope_scaling"), |newer| Ok(Some(newer)))? else {
        return Ok(None);
    };
    let kind = if scaling.has("rope_type") { "rope_type" } else { "type" };
    match scaling.one_of(kind, &["default", "dynamic"])? {
        "dynamic" => scaling.required_number("factor").map(Some),
        _ => Ok(None),
    }
}

/// Ids of the placeholder tokens of images and videos.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageTokens {
    /// Replaced by an image token's embedding.
    pub image: u32,
    /// The same for a video, which no model here takes.
    pub video: Option<u32>,
}
