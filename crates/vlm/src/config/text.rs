//! What families have in common of their `config.json`: the language model's sizes and the image tokens.

use super::classes::ROPE;
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
    /// Errors: `File` naming the field that is missing, of the wrong type, out of range, not supported or at odds with
    /// another.
    pub(crate) fn read(fields: &ConfigFields) -> Result<Self, Error> {
        let (hidden_size, num_attention_heads) = (fields.count("hidden_size")?, fields.count("num_attention_heads")?);
        // Null means as many as there are query heads, whatever the class's default.
        let key_value_heads = fields.count_or("num_key_value_heads", num_attention_heads)?;
        let rope = rope_section(fields)?;
        let theta_fields = rope.as_ref().filter(|rope| rope.has("rope_theta")).unwrap_or(fields);
        let config = Self {
            hidden_size,
            intermediate_size: fields.count("intermediate_size")?,
            num_hidden_layers: fields.layers("num_hidden_layers")?,
            num_attention_heads,
            num_key_value_heads: key_value_heads,
            attention_bias: true,
            vocab_size: fields.count("vocab_size")?,
            rms_norm_eps: fields.number("rms_norm_eps")?,
            rope_theta: theta_fields.number("rope_theta")?,
            mrope_section: [hidden_size / num_attention_heads / 2, 0, 0],
            max_position_embeddings: fields.count("max_position_embeddings")?,
            initializer_range: fields.number("initializer_range")?,
            tie_word_embeddings: fields.flag("tie_word_embeddings")?,
        };
        fields.multiple("hidden_size", hidden_size, 2 * num_attention_heads)?;
        fields.multiple("num_attention_heads", num_attention_heads, key_value_heads)?;
        fields.each_is("layer_types", "full_attention")?;
        if fields.count_or("head_dim", config.head_dim())? != config.head_dim() {
            return Err(fields.expected("head_dim", &format!("{}, the width over the heads", config.head_dim())));
        }
        if fields.flag("use_sliding_window")? {
            return Err(fields.problem("use_sliding_window", "expected false: sliding windows are not supported"));
        }
        Ok(config)
    }
}

/// The settings of RoPE in those of a language model. Since transformers 5 `rope_parameters` hold what `rope_scaling`
/// held; where a file has both, all versions take the older.
///
/// Errors: `File` naming a setting that is not known.
pub(crate) fn rope_section<'a>(text: &ConfigFields<'a>) -> Result<Option<ConfigFields<'a>>, Error> {
    let name = if text.has("rope_scaling") { "rope_scaling" } else { "rope_parameters" };
    text.section(name)?.map(|rope| rope.of_class(&ROPE, &[])).transpose()
}

/// Which of these kinds of RoPE a section sets; the first where it says nothing. A file may name it twice, and
/// versions differ in which of the two counts.
///
/// Errors: `File` naming the field for another kind, or for two.
pub(crate) fn rope_kind<'w>(rope: &ConfigFields, kinds: &[&'w str]) -> Result<&'w str, Error> {
    let [newer, older] = ["rope_type", "type"].map(|name| rope.one_of(name, kinds));
    match (newer?, older?) {
        (newer, older) if newer == older || !rope.has("type") => Ok(newer),
        (_, older) if !rope.has("rope_type") => Ok(older),
        // M-RoPE has no scaling of its own: its kind is the default one.
        ("default" | "mrope", "default" | "mrope") => Ok("default"),
        (newer, _) => Err(rope.expected("type", &format!("\"{newer}\", as in `rope_type`"))),
    }
}

/// The factor of dynamic RoPE scaling, by which sequences may exceed `max_position_embeddings`; none without scaling.
///
/// Errors: `File` naming the field for another kind of scaling, or a factor that is missing or out of range.
pub(crate) fn read_dynamic_rope(text: &ConfigFields) -> Result<Option<f64>, Error> {
    let Some(scaling) = rope_section(text)? else {
        return Ok(None);
    };
    match rope_kind(&scaling, &["default", "dynamic"])? {
        "dynamic" => scaling.number("factor").map(Some),
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
