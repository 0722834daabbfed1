//! `adapter_config.json` of a PEFT folder: read with what matters here, written with what PEFT and vLLM expect.

use std::path::Path;

use fancy_regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::lora::Strength;

/// The adapter's settings in a PEFT folder.
pub const ADAPTER_CONFIG_FILE: &str = "adapter_config.json";

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
    ranks: LayerPatterns<usize>,
    alphas: LayerPatterns<f64>,
}

impl AdapterSettings {
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(ADAPTER_CONFIG_FILE);
        let text = fs_err::read_to_string(&path)?;
        Self::parse(&text).map_err(|problem| Error::file(&path, problem))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let fields: Map<String, Value> =
            serde_json::from_str(text).map_err(|error| format!("not a JSON object: {error}"))?;
        refuse_unsupported(&fields)?;
        let [ranks, alphas] = ["rank_pattern", "alpha_pattern"].map(|name| (name, fields.get(name)));
        let ranks = LayerPatterns::read(ranks, "a positive integer", |value| {
            value.as_u64().filter(|rank| *rank > 0).map(|rank| rank as usize)
        })?;
        let alphas = LayerPatterns::read(alphas, "a number", Value::as_f64)?;
        let config: PeftConfig = serde_json::from_value(Value::Object(fields)).map_err(|error| error.to_string())?;
        if config.r == 0 {
            return Err("field `r`: expected a positive integer, got 0".to_owned());
        }
        Ok(Self {
            lora: LoraConfig {
                r: config.r,
                alpha: config.lora_alpha,
                dropout: config.lora_dropout,
                rank_stabilized: config.use_rslora,
                target_modules: config.target_modules,
            },
            ranks,
            alphas,
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
        (name, field): (&str, Option<&Value>),
        expected: &str,
        parse: impl Fn(&Value) -> Option<T>,
    ) -> Result<Self, String> {
        let patterns = match field {
            None | Some(Value::Null) => return Ok(Self(Vec::new())),
            Some(Value::Object(patterns)) => patterns,
            Some(other) => return Err(format!("field `{name}`: expected an object, got {other}")),
        };
        let mut parsed = Vec::with_capacity(patterns.len());
        for (pattern, value) in patterns {
            let field = format!("field `{name}.{pattern}`");
            let regex =
                Regex::new(&format!(r"^(?:.*\.)?(?:{pattern})$")).map_err(|error| format!("{field}: {error}"))?;
            let value = parse(value).ok_or_else(|| format!("{field}: expected {expected}, got {value}"))?;
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

#[derive(Deserialize)]
struct PeftConfig {
    r: usize,
    lora_alpha: f64,
    #[serde(default)]
    lora_dropout: f64,
    #[serde(default)]
    use_rslora: bool,
    target_modules: TargetModules,
}

// Each of these changes what the matrices mean; ignoring one would silently give another model. Null and an empty list
// mean the same.
fn refuse_unsupported(fields: &Map<String, Value>) -> Result<(), String> {
    let plain = [
        ("peft_type", json!("LORA")),
        ("bias", json!("none")),
        ("use_dora", json!(false)),
        ("fan_in_fan_out", json!(false)),
        ("modules_to_save", json!(null)),
        ("layer_replication", json!(null)),
        ("trainable_token_indices", json!(null)),
        ("alora_invocation_tokens", json!(null)),
        ("use_qalora", json!(false)),
    ];
    let empty = [json!(null), json!([]), json!({})];
    for (name, expected) in plain {
        if let Some(got) = fields.get(name)
            && *got != expected
            && !empty.contains(got)
        {
            return Err(format!("field `{name}`: expected {expected}, got {got}"));
        }
    }
    Ok(())
}
