//! `config.json`: a model's family and sizes, written back with every field it came with.

mod bookkeeping;
pub(crate) mod class;
pub(crate) mod classes;
pub(crate) mod fields;
pub(crate) mod text;

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::Error;
use crate::families::family::Family;
use crate::families::family_of;
use crate::json_file::read_json;
use crate::rope::{Positions, multimodal_positions, sequential_positions};
use fields::ConfigFields;
use text::FamilyConfig;
pub use text::{ImageTokens, TextConfig};

/// The file's name in a model folder.
pub const CONFIG_FILE: &str = "config.json";

/// A whole model's configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The language model.
    pub text: TextConfig,
    /// The image tokens.
    pub tokens: ImageTokens,
    /// Side of the square of patches that make one image token.
    pub merge_size: usize,
    dynamic_rope: Option<f64>,
    pub(crate) family: &'static Family,
    raw: Value,
    path: PathBuf,
}

/// The file that makes a folder an adapter's, in PEFT's layout.
pub const ADAPTER_CONFIG_FILE: &str = "adapter_config.json";

/// Fails for a model's folder that holds an adapter's settings too: transformers puts that adapter on the model.
fn refuse_adapter(folder: &Path) -> Result<(), Error> {
    let path = folder.join(ADAPTER_CONFIG_FILE);
    if !path.exists() {
        return Ok(());
    }
    let problem = "an adapter in a model's folder, which transformers would put on the model: move the adapter's files to \
                   a folder of their own, and give that as the adapter";
    Err(Error::file(&path, problem))
}

/// What a folder without the file is instead of a model.
fn instead_of_model(folder: &Path) -> Result<String, Error> {
    let Some(adapter) = read_json(&folder.join(ADAPTER_CONFIG_FILE))? else {
        return Ok("no file".to_owned());
    };
    let base = adapter.get("base_model_name_or_path").and_then(Value::as_str);
    let base = base.map(|base| format!(", `{base}`,")).unwrap_or_default();
    Ok(format!("a LoRA adapter's folder: give it as the adapter, and its base model{base} as the model"))
}

impl PartialEq for Config {
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw
    }
}

impl Config {
    /// Reads `config.json` from a model folder.
    ///
    /// Errors: `Io` when it cannot be read; `File` where there is none, or naming the field that is missing, of the
    /// wrong type, out of range, not supported, not known or at odds with another.
    pub fn load(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(CONFIG_FILE);
        match read_json(&path)? {
            Some(value) => {
                refuse_adapter(folder)?;
                Self::from_json(value, &path)
            }
            None => Err(Error::file(&path, format!("expected a model's settings, got {}", instead_of_model(folder)?))),
        }
    }

    /// Reads the content of a `config.json`; `path` is named in errors.
    ///
    /// Errors: `File`, as [`Self::load`].
    pub fn from_json(raw: Value, path: &Path) -> Result<Self, Error> {
        let fields = ConfigFields::new(&raw, path)?;
        let family = family_of(&fields)?;
        let FamilyConfig { text, tokens, merge_size, dynamic_rope } = (family.config)(&fields)?;
        Ok(Self { text, tokens, merge_size, dynamic_rope, family, raw, path: path.to_owned() })
    }

    /// The same, with another type of weights where one is given.
    #[must_use]
    pub(crate) fn with_dtype(mut self, name: Option<&str>) -> Self {
        let (Some(name), Value::Object(fields)) = (name, &mut self.raw) else {
            return self;
        };
        // Transformers has called it `dtype` since 4.56, and repeats it for the parts of a model.
        let name_of_type = if fields.contains_key("dtype") { "dtype" } else { "torch_dtype" };
        fields.insert(name_of_type.to_owned(), name.into());
        for part in ["text_config", "llm_config", "vision_config"] {
            let mut part = fields.get_mut(part).and_then(Value::as_object_mut);
            for name_of_type in ["dtype", "torch_dtype"] {
                if let Some(old) = part.as_mut().and_then(|part| part.get_mut(name_of_type)) {
                    *old = name.into();
                }
            }
        }
        self
    }

    /// The base of the rotary frequencies in a sequence of `n_tokens`: larger in one that is longer than
    /// `max_position_embeddings`, where `config.json` sets dynamic scaling.
    ///
    /// `rope_theta · (factor · n_tokens / max - (factor - 1)) ^ (head_dim / (head_dim - 2))`, with
    /// `max_position_embeddings` as `max`.
    ///
    /// Source: `InternLM2DynamicNTKScalingRotaryEmbedding` of OpenGVLab's `modeling_internlm2.py`, and
    /// `_compute_dynamic_ntk_parameters` of transformers 4.57. Differs: they measure a batch's longest row, padding
    /// included, and keep it for later passes; here only a sequence's own length counts, so that neither its batch nor
    /// earlier ones change anything.
    pub fn rope_base(&self, n_tokens: usize) -> f64 {
        let TextConfig { rope_theta: base, max_position_embeddings: longest, .. } = self.text;
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
    pub(crate) fn fields(&self) -> Result<ConfigFields<'_>, Error> {
        ConfigFields::new(&self.raw, &self.path)
    }

    /// The positions of a sequence's tokens, whose images have these grids.
    ///
    /// Errors: `Input` when image tokens and grids disagree.
    pub(crate) fn positions(&self, ids: &[u32], grids: &[[usize; 3]]) -> Result<Positions, Error> {
        let positions = if self.family.has_mrope { multimodal_positions } else { sequential_positions };
        positions(ids, grids, self.tokens, self.merge_size)
    }

    /// Writes `config.json` into a folder.
    ///
    /// Errors: `Io` when it cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), Error> {
        Ok(fs_err::write(folder.join(CONFIG_FILE), format!("{:#}\n", self.raw))?)
    }
}
