//! `adapter_config.json` of a PEFT folder: read with what matters here, written with what PEFT and vLLM expect.

use std::path::Path;

use fancy_regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::settings_class::{LORA, check_initialization};
use crate::config::class::shown;
use crate::config::fields::ConfigFields;
use crate::config::{ADAPTER_CONFIG_FILE, CONFIG_FILE};
use crate::error::Error;
use crate::json_file::read_json;
use crate::lora::Strength;

/// What target modules have to be, for messages.
pub const TARGETS: &str = "names of linear layers, a regular expression that some match, or `all-linear`";

/// Ranks above this are no adapter's.
const MAX_RANK: u64 = 1 << 16;

/// Which linear layers are adapted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TargetModules {
    /// Layers whose path is one of these names or ends in one, after a dot.
    Names(Vec<String>),
    /// Layers whose whole path matches this regular expression under either naming of the checkpoint, or
    /// `all-linear` for all of the language model's layers.
    Pattern(String),
}

/// How layers are adapted.
#[derive(Clone, Debug, PartialEq)]
pub struct LoraConfig {
    /// Rank of the update.
    pub r: usize,
    /// The update is scaled by `alpha / r`, or by `alpha / sqrt(r)` where `rank_stabilized`.
    pub alpha: f64,
    /// Share of the adapter's inputs that training drops; passes that do not train drop nothing.
    pub dropout: f64,
    /// Whether the scale is that of rank-stabilized LoRA (Kalajdzievski, arXiv 2312.03732).
    pub rank_stabilized: bool,
    /// The layers.
    pub target_modules: TargetModules,
}

impl LoraConfig {
    /// Reads a PEFT folder's `adapter_config.json`.
    ///
    /// Errors: `Io` when it cannot be read; `File` naming the field that is wrong or not supported.
    pub fn load(folder: &Path) -> Result<Self, Error> {
        Ok(AdapterSettings::read(folder)?.lora)
    }

    pub(super) fn strength(&self) -> Strength {
        Strength { alpha: self.alpha, rank_stabilized: self.rank_stabilized }
    }
}

/// How the layers of a PEFT folder are adapted, with the exceptions.
pub(super) struct AdapterSettings {
    pub lora: LoraConfig,
    pub choice: LayerChoice,
    ranks: LayerPatterns<usize>,
    alphas: LayerPatterns<f64>,
}

/// Which layers the settings of a PEFT folder choose.
pub(super) struct LayerChoice {
    pub excluded: Option<TargetModules>,
    // The numbers of the layers, where names choose modules of some layers alone.
    pub layers: Option<Vec<u64>>,
}

impl AdapterSettings {
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(ADAPTER_CONFIG_FILE);
        let Some(value) = read_json(&path)? else {
            let got =
                if folder.join(CONFIG_FILE).is_file() { "a model's folder: give it as the model" } else { "no file" };
            return Err(Error::file(&path, format!("expected an adapter's settings, got {got}")));
        };
        Self::of(&ConfigFields::new(&value, &path)?.of_class(&LORA, &[])?)
    }

    fn of(fields: &ConfigFields) -> Result<Self, Error> {
        check_initialization(fields)?;
        let rank =
            |value: &Value| value.as_u64().filter(|rank| (1..=MAX_RANK).contains(rank)).map(|rank| rank as usize);
        let r = fields.count("r")?;
        if r as u64 > MAX_RANK {
            return Err(fields.expected("r", &format!("at most {MAX_RANK}")));
        }
        let dropout = fields.real("lora_dropout")?;
        if !(0.0..1.0).contains(&dropout) {
            return Err(fields.expected("lora_dropout", "a number from 0 to below 1"));
        }
        Ok(Self {
            lora: LoraConfig {
                r,
                alpha: fields.real("lora_alpha")?,
                dropout,
                rank_stabilized: fields.flag("use_rslora")?,
                target_modules: modules(fields, "target_modules")?
                    .ok_or_else(|| fields.expected("target_modules", TARGETS))?,
            },
            choice: LayerChoice { excluded: modules(fields, "exclude_modules")?, layers: layer_numbers(fields)? },
            ranks: LayerPatterns::read(fields, "rank_pattern", "a positive integer", rank)?,
            alphas: LayerPatterns::read(fields, "alpha_pattern", "a number", Value::as_f64)?,
        })
    }

    /// The rank and the strength of the layer at `path`, as the model that PEFT adapted names it.
    pub fn of_layer(&self, path: &str) -> (usize, Strength) {
        let strength = self.lora.strength();
        let alpha = self.alphas.find(path).unwrap_or(strength.alpha);
        (self.ranks.find(path).unwrap_or(self.lora.r), Strength { alpha, ..strength })
    }
}

/// Values that belong to the layers whose path, or its end after a dot, matches a regular expression; of several
/// expressions the first counts.
///
/// Source: `get_pattern_key` of PEFT 0.21.
struct LayerPatterns<T>(Vec<(Regex, T)>);

impl<T: Copy> LayerPatterns<T> {
    fn read(
        fields: &ConfigFields,
        name: &str,
        expected: &str,
        parse: impl Fn(&Value) -> Option<T>,
    ) -> Result<Self, Error> {
        let patterns = match fields.stated(name) {
            None | Some(Value::Null) => return Ok(Self(Vec::new())),
            Some(Value::Object(patterns)) => patterns,
            Some(_) => return Err(fields.expected(name, "an object")),
        };
        let mut parsed = Vec::with_capacity(patterns.len());
        for (pattern, value) in patterns {
            let field = format!("{name}.{pattern}");
            let regex = Regex::new(&format!(r"^(?:.*\.)?(?:{pattern})$"))
                .map_err(|error| fields.problem(&field, &error.to_string()))?;
            let value = parse(value)
                .ok_or_else(|| fields.problem(&field, &format!("expected {expected}, got {}", shown(value))))?;
            parsed.push((regex, value));
        }
        Ok(Self(parsed))
    }

    fn find(&self, path: &str) -> Option<T> {
        // A pattern that exceeds the backtracking limit counts as no match.
        let mut matches = self.0.iter().filter(|(regex, _)| regex.is_match(path).unwrap_or(false));
        matches.next().map(|(_, value)| *value)
    }
}

/// A layer that has an adapter, as it is saved.
pub(super) struct AdaptedLayer {
    /// The layer's path under the newer naming.
    pub path: String,
    pub r: usize,
    pub alpha: f64,
}

/// Writes the settings of an adapter on these layers. They are listed by their whole paths: PEFT takes `all-linear` to
/// mean the vision tower too, and so many a shorter name (`gate_proj`). Of a layer that differs from `lora` its own
/// rank and alpha are listed.
///
/// Errors: `Io` when the file cannot be written.
pub(super) fn write(lora: &LoraConfig, layers: &[AdaptedLayer], base_model: &str, folder: &Path) -> Result<(), Error> {
    let paths: Vec<&String> = layers.iter().map(|layer| &layer.path).collect();
    let ranks = layers.iter().filter(|layer| layer.r != lora.r);
    let ranks: Map<String, Value> = ranks.map(|layer| (layer.path.clone(), layer.r.into())).collect();
    let alphas = layers.iter().filter(|layer| layer.alpha != lora.alpha);
    let alphas: Map<String, Value> = alphas.map(|layer| (layer.path.clone(), layer.alpha.into())).collect();
    let fields = json!({
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base_model,
        "r": lora.r,
        "lora_alpha": lora.alpha,
        "lora_dropout": lora.dropout,
        "target_modules": paths,
        "exclude_modules": null,
        "bias": "none",
        "use_rslora": lora.rank_stabilized,
        "use_dora": false,
        "init_lora_weights": true,
        "modules_to_save": null,
        "rank_pattern": ranks,
        "alpha_pattern": alphas,
        "fan_in_fan_out": false,
        "inference_mode": true,
    });
    Ok(fs_err::write(folder.join(ADAPTER_CONFIG_FILE), format!("{fields:#}\n"))?)
}

/// Names of modules, or an expression that their paths match; none where the field says nothing.
fn modules(fields: &ConfigFields, name: &str) -> Result<Option<TargetModules>, Error> {
    match fields.stated(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            TargetModules::deserialize(value).map(Some).map_err(|_| fields.expected(name, "names or an expression"))
        }
    }
}

fn layer_numbers(fields: &ConfigFields) -> Result<Option<Vec<u64>>, Error> {
    const NAME: &str = "layers_to_transform";
    let numbers: Option<Vec<u64>> = match fields.stated(NAME) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(numbers)) if numbers.is_empty() => return Ok(None),
        Some(Value::Array(numbers)) => numbers.iter().map(Value::as_u64).collect(),
        Some(number) => number.as_u64().map(|number| vec![number]),
    };
    numbers.map(Some).ok_or_else(|| fields.expected(NAME, "numbers of layers"))
}
