//! `config.json`: a model's family and sizes, written back with every field it came with.

pub(crate) mod fields;

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::Error;
use crate::families::{Family, family_of};
use fields::Fields;

/// The file's name in a model folder.
pub const CONFIG_FILE: &str = "config.json";

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
    /// How many rotary frequencies turn by time, height and width; together half a head. Where tokens have one place
    /// alone, all turn by the first.
    pub mrope_section: [usize; 3],
    /// Longest sequence, in tokens.
    pub max_position_embeddings: usize,
    /// Standard deviation of freshly drawn weights.
    pub initializer_range: f64,
    /// Whether the head is the embedding.
    pub tie_word_embeddings: bool,
}

impl TextConfig {
    /// Width of one head.
    pub fn head_dim(&self) -> usize {
        self.hidden_size / self.num_attention_heads
    }

    /// Reads what all decoders name alike and checks that it fits together. Taken for granted: queries, keys and values
    /// have a bias, and tokens one place alone.
    ///
    /// Errors: `File` naming the field that is missing, of the wrong type, out of range or at odds with another.
    pub(crate) fn read(fields: &Fields) -> Result<Self, Error> {
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
            return Err(fields.problem(
                "use_sliding_window",
                "expected false: sliding windows are not supported",
            ));
        }
        Ok(config)
    }
}

/// By how much dynamic scaling lets a sequence be longer than `max_position_embeddings`; none where nothing scales.
/// Since transformers 5 `rope_parameters` hold what `rope_scaling` held.
///
/// Errors: `File` naming the field for another kind of scaling, or a factor that is missing or out of range.
pub(crate) fn read_dynamic_rope(text: &Fields) -> Result<Option<f64>, Error> {
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

/// Ids of the tokens that stand for pictures and films.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageTokens {
    /// Stands where an image token's embedding goes.
    pub image: u32,
    /// The same for a film, which no model here takes.
    pub video: Option<u32>,
}

/// What every family's `config.json` says in its own way.
#[derive(Debug)]
pub(crate) struct Shape {
    pub text: TextConfig,
    pub tokens: ImageTokens,
    /// Side of the square of patches that make one image token.
    pub merge_size: usize,
    /// See [`read_dynamic_rope`].
    pub dynamic_rope: Option<f64>,
}

/// A `config.json` on its way in.
pub(crate) struct Source<'a> {
    /// The file's fields.
    pub fields: Fields<'a>,
    /// The file; others of the model lie beside it.
    pub path: &'a Path,
}

/// A whole model's shape.
#[derive(Clone, Debug)]
pub struct Config {
    /// The language model.
    pub text: TextConfig,
    /// The picture tokens.
    pub tokens: ImageTokens,
    /// Side of the square of patches that make one image token.
    pub merge_size: usize,
    dynamic_rope: Option<f64>,
    pub(crate) family: &'static dyn Family,
    raw: Value,
    path: PathBuf,
}

impl PartialEq for Config {
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw
    }
}

impl Config {
    /// Reads `config.json` from a model folder.
    ///
    /// Errors: `Io` when it cannot be read; `File` naming the field that is missing, of the wrong type, out of range
    /// or at odds with another.
    pub fn load(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(CONFIG_FILE);
        let text = fs_err::read_to_string(&path)?;
        let value = serde_json::from_str(&text).map_err(|error| Error::File {
            path: path.clone(),
            problem: format!("not JSON: {error}"),
        })?;
        Self::from_json(value, &path)
    }

    /// Reads the content of a `config.json`; `path` is named in errors.
    ///
    /// Errors: `File`, as [`Self::load`].
    pub fn from_json(raw: Value, path: &Path) -> Result<Self, Error> {
        let fields = Fields::new(&raw, path)?;
        let family = family_of(&fields)?;
        let Shape {
            text,
            tokens,
            merge_size,
            dynamic_rope,
        } = family.shape(&Source { fields, path })?;
        Ok(Self {
            text,
            tokens,
            merge_size,
            dynamic_rope,
            family,
            raw,
            path: path.to_owned(),
        })
    }

    /// The same, with the type of the weights named anew where one is given.
    #[must_use]
    pub(crate) fn with_dtype(mut self, name: Option<&str>) -> Self {
        let (Some(name), Value::Object(fields)) = (name, &mut self.raw) else {
            return self;
        };
        // Transformers has called it `dtype` since 4.56, and repeats it for the parts of a model.
        let called = if fields.contains_key("dtype") {
            "dtype"
        } else {
            "torch_dtype"
        };
        fields.insert(called.to_owned(), name.into());
        for part in ["text_config", "llm_config", "vision_config"] {
            let mut part = fields.get_mut(part).and_then(Value::as_object_mut);
            for called in ["dtype", "torch_dtype"] {
                if let Some(old) = part.as_mut().and_then(|part| part.get_mut(called)) {
                    *old = name.into();
                }
            }
        }
        self
    }

    /// The base of the rotary frequencies in a sequence of so many tokens: larger in one that is longer than the model
    /// was made for, where `config.json` asks for dynamic scaling.
    ///
    /// `rope_theta · (factor · n_tokens / max - (factor - 1)) ^ (head_dim / (head_dim - 2))`, with
    /// `max_position_embeddings` as `max`.
    ///
    /// Source: `InternLM2DynamicNTKScalingRotaryEmbedding` of OpenGVLab's `modeling_internlm2.py`, and
    /// `_compute_dynamic_ntk_parameters` of transformers 4.57. Differs: they measure a batch's longest row, padding
    /// included, and remember it for later passes; here only a sequence's own length counts, so that company and
    /// history change nothing.
    pub fn rope_base(&self, n_tokens: usize) -> f64 {
        let TextConfig {
            rope_theta: base,
            max_position_embeddings: longest,
            ..
        } = self.text;
        match self.dynamic_rope {
            Some(factor) if n_tokens > longest => {
                let head_dim = self.text.head_dim() as f64;
                let growth = factor * n_tokens as f64 / longest as f64 - (factor - 1.0);
                base * growth.powf(head_dim / (head_dim - 2.0))
            }
            _ => base,
        }
    }

    /// The file's content, fields unknown to this crate included.
    pub fn to_json(&self) -> &Value {
        &self.raw
    }

    /// The file's fields, for what a family reads for itself.
    pub(crate) fn fields(&self) -> Result<Fields<'_>, Error> {
        Fields::new(&self.raw, &self.path)
    }

    /// Writes `config.json` into a folder.
    ///
    /// Errors: `Io` when it cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), Error> {
        Ok(fs_err::write(folder.join(CONFIG_FILE), format!("{:#}\n", self.raw))?)
    }
}
