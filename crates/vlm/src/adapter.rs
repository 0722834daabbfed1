//! LoRA adapters on a model: attached fresh, or read from and written to PEFT folders.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use burn::tensor::Tensor;
use fancy_regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::linear::Linear;
use crate::lora::Lora;
use crate::model::Vlm;
use crate::parameter::{Group, Parameters};
use crate::tensor_file::{NamedTensor, TensorFile, write_tensors};
use crate::weights::Naming;

/// The adapter's settings in a PEFT folder.
pub const ADAPTER_CONFIG_FILE: &str = "adapter_config.json";
/// The adapter's matrices in a PEFT folder.
pub const ADAPTER_WEIGHTS_FILE: &str = "adapter_model.safetensors";

// What PEFT puts before the path of every module.
const PREFIX: &str = "base_model.model.";

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
    /// The update is scaled by `alpha / r`, or by `alpha / sqrt(r)` where `rank_stabilised`.
    pub alpha: f64,
    /// Share of the adapter's inputs that training drops; passes that do not train drop nothing.
    pub dropout: f64,
    /// Whether the scale is that of rank-stabilised LoRA (Kalajdzievski, arXiv 2312.03732).
    pub rank_stabilised: bool,
    /// The layers.
    pub target_modules: TargetModules,
}

impl LoraConfig {
    fn scale(&self) -> f64 {
        let r = self.r as f64;
        self.alpha / if self.rank_stabilised { r.sqrt() } else { r }
    }

    /// Reads a PEFT folder's `adapter_config.json`.
    ///
    /// Errors: `Io` when it cannot be read; `File` naming the field that is wrong or asks for what is not supported.
    pub fn load(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(ADAPTER_CONFIG_FILE);
        let problem = |problem: String| Error::File {
            path: path.clone(),
            problem,
        };
        let text = fs_err::read_to_string(&path)?;
        let fields: Map<String, Value> =
            serde_json::from_str(&text).map_err(|error| problem(format!("not a JSON object: {error}")))?;
        refuse_unsupported(&fields).map_err(problem)?;
        let config: PeftConfig =
            serde_json::from_value(Value::Object(fields)).map_err(|error| problem(error.to_string()))?;
        if config.r == 0 {
            return Err(problem("field `r`: expected a positive integer, got 0".to_owned()));
        }
        let PeftConfig {
            r,
            lora_alpha: alpha,
            lora_dropout: dropout,
            use_rslora: rank_stabilised,
            target_modules,
        } = config;
        Ok(Self {
            r,
            alpha,
            dropout,
            rank_stabilised,
            target_modules,
        })
    }

    fn save(&self, folder: &Path, base_model: &str) -> Result<(), Error> {
        let fields = json!({
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": base_model,
            "r": self.r,
            "lora_alpha": self.alpha,
            "lora_dropout": self.dropout,
            "target_modules": self.target_modules,
            "exclude_modules": null,
            "bias": "none",
            "use_rslora": self.rank_stabilised,
            "use_dora": false,
            "init_lora_weights": true,
            "modules_to_save": null,
            "rank_pattern": {},
            "alpha_pattern": {},
            "fan_in_fan_out": false,
            "inference_mode": true,
        });
        Ok(fs_err::write(
            folder.join(ADAPTER_CONFIG_FILE),
            format!("{fields:#}\n"),
        )?)
    }
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

// Each of these changes what the matrices mean; leaving one unread would give another model without a word.
fn refuse_unsupported(fields: &Map<String, Value>) -> Result<(), String> {
    let plain = [
        ("peft_type", json!("LORA")),
        ("bias", json!("none")),
        ("use_dora", json!(false)),
        ("fan_in_fan_out", json!(false)),
        ("modules_to_save", json!(null)),
        ("rank_pattern", json!({})),
        ("alpha_pattern", json!({})),
        ("layer_replication", json!(null)),
        ("trainable_token_indices", json!(null)),
        ("alora_invocation_tokens", json!(null)),
        ("use_qalora", json!(false)),
    ];
    let unlike = plain.iter().find_map(|(name, expected)| {
        let got = fields.get(*name).filter(|got| !got.is_null() && *got != expected)?;
        Some(format!("field `{name}`: expected {expected}, got {got}"))
    });
    unlike.map_or(Ok(()), Err)
}

impl Vlm {
    /// Puts a fresh adapter on every layer chosen, in place of any there was; the model's output does not change yet.
    /// Returns how many layers have one now.
    ///
    /// Errors: `Input` when the rank is 0, the pattern is no regular expression, or no layer is chosen.
    pub fn attach_lora(&mut self, config: &LoraConfig, seed: u64) -> Result<usize, Error> {
        if config.r == 0 {
            return Err(Error::Input("LoRA rank: expected at least 1, got 0".to_owned()));
        }
        let chosen = ModuleChoice::new(&config.target_modules)?;
        let (naming, device) = (self.naming(), self.device());
        let mut n_layers = 0;
        let mut paths = Vec::new();
        self.visit_linears(&mut |linear| {
            let module = linear.module_name().to_owned();
            let adapter = chosen.contains(&module, naming).then(|| {
                n_layers += 1;
                Lora::random(&module, linear.widths(), config.r, config.scale(), seed, &device)
            });
            linear.set_adapter(adapter);
            paths.push(module);
        });
        if n_layers == 0 {
            return Err(no_module(&config.target_modules, &paths));
        }
        Ok(n_layers)
    }

    /// Takes all adapters off: the model as it was before.
    pub fn detach_lora(&mut self) {
        self.visit_linears(&mut |linear| linear.set_adapter(None));
    }

    /// Adds the adapters to the weights they adapt: the same model without adapters.
    pub fn merge_lora(&mut self) {
        self.visit_linears(&mut Linear::merge_adapter);
    }

    /// Reads a PEFT folder's adapter onto the model, in place of any there was. Modules may be named as in published
    /// checkpoints, as transformers has nested them since 4.52, or as seen from inside the nested model. Matrices are
    /// f32 whatever the file's type.
    ///
    /// Errors: `Io`, `File` or `Tensor`: a file is missing or broken, a setting is not supported, a matrix is missing,
    /// misshapen or belongs to no layer of this model, or there is none at all.
    pub fn load_adapter(&mut self, folder: &Path) -> Result<LoraConfig, Error> {
        let config = LoraConfig::load(folder)?;
        let file = TensorFile::open(&folder.join(ADAPTER_WEIGHTS_FILE))?;
        let (naming, device) = (self.naming(), self.device());
        let mut modules = BTreeSet::new();
        self.visit_linears(&mut |linear| {
            modules.insert(naming.published(linear.module_name()));
        });
        let mut keys = keys_by_module(&file, naming, &modules)?;
        let mut adapters = BTreeMap::new();
        let mut failure = None;
        self.visit_linears(&mut |linear| {
            let module = linear.module_name().to_owned();
            let Some(prefix) = keys.remove(&naming.published(&module)) else {
                return;
            };
            match read_lora(&file, &prefix, &module, linear.widths(), &config, &device) {
                Ok(adapter) => drop(adapters.insert(module, adapter)),
                Err(error) => failure = failure.take().or(Some(error)),
            }
        });
        if let Some(error) = failure {
            return Err(error);
        }
        if let Some(prefix) = keys.values().next() {
            return Err(file.tensor_error(
                &format!("{prefix}.lora_A.weight"),
                "belongs to no adaptable layer".into(),
            ));
        }
        if adapters.is_empty() {
            return Err(Error::File {
                path: file.path().to_owned(),
                problem: "holds no adapter".to_owned(),
            });
        }
        self.visit_linears(&mut |linear| {
            let adapter = adapters.remove(linear.module_name());
            linear.set_adapter(adapter);
        });
        Ok(config)
    }

    /// Writes the adapter as a PEFT folder, modules named the newer way, which PEFT and vLLM read today.
    ///
    /// Errors: `Input` when no adapter is attached; `Io` or `File` when the folder cannot be written.
    pub fn save_adapter(&self, config: &LoraConfig, base_model: &str, folder: &Path) -> Result<(), Error> {
        let naming = self.naming();
        let mut tensors = Vec::new();
        self.clone().visit_parameters(&mut |parameter| {
            if parameter.group() == Group::Adapter {
                let nested = naming.nested().key(&naming.published(parameter.name()));
                tensors.push(NamedTensor {
                    key: format!("{PREFIX}{nested}"),
                    ..parameter.to_named_tensor()
                });
            }
        });
        if tensors.is_empty() {
            return Err(Error::Input("no adapter is attached to the model".to_owned()));
        }
        fs_err::create_dir_all(folder)?;
        config.save(folder, base_model)?;
        write_tensors(&folder.join(ADAPTER_WEIGHTS_FILE), &tensors)
    }
}

fn no_module(target_modules: &TargetModules, paths: &[String]) -> Error {
    let example = paths.first().map_or("none", String::as_str);
    Error::Input(format!(
        "LoRA target modules {target_modules:?} match none of {} layers, such as `{example}`",
        paths.len()
    ))
}

// For each adapted module, named the published way as `modules` are, the file's keys up to `.lora_A.weight`.
fn keys_by_module(
    file: &TensorFile,
    naming: Naming,
    modules: &BTreeSet<String>,
) -> Result<BTreeMap<String, String>, Error> {
    let mut keys = BTreeMap::new();
    for key in file.keys() {
        let prefix = key
            .strip_suffix(".lora_A.weight")
            .or_else(|| key.strip_suffix(".lora_B.weight"));
        let (Some(prefix), Some(module)) = (prefix, prefix.and_then(|prefix| prefix.strip_prefix(PREFIX))) else {
            let expected = format!("expected a key `{PREFIX}….lora_A.weight` or `….lora_B.weight`");
            return Err(file.tensor_error(&key, expected));
        };
        // The prefix alone says which naming it is; from inside the nested model, its own `model.` is not seen.
        let published = |path: &str| naming.of_key(path).published(path);
        let from_inside = published(&format!("model.{module}"));
        let module = if modules.contains(&from_inside) {
            from_inside
        } else {
            published(module)
        };
        if let Some(other) = keys.insert(module, prefix.to_owned()).filter(|other| other != prefix) {
            return Err(file.tensor_error(&key, format!("`{other}` names the same layer")));
        }
    }
    Ok(keys)
}

fn read_lora(
    file: &TensorFile,
    prefix: &str,
    module: &str,
    (d_in, d_out): (usize, usize),
    config: &LoraConfig,
    device: &burn::tensor::Device,
) -> Result<Lora, Error> {
    let matrix = |name: &str, shape: [usize; 2]| {
        Ok::<_, Error>(Tensor::from_data(
            file.read(&format!("{prefix}.{name}.weight"), &shape)?,
            device,
        ))
    };
    Ok(Lora::new(
        module,
        matrix("lora_A", [config.r, d_in])?,
        matrix("lora_B", [d_out, config.r])?,
        config.scale(),
    ))
}

enum ModuleChoice {
    Names(Vec<String>),
    Pattern(Regex),
    All,
}

impl ModuleChoice {
    fn new(target_modules: &TargetModules) -> Result<Self, Error> {
        match target_modules {
            TargetModules::Names(names) => Ok(Self::Names(names.clone())),
            TargetModules::Pattern(pattern) if pattern == "all-linear" => Ok(Self::All),
            TargetModules::Pattern(pattern) => Regex::new(&format!("^(?:{pattern})$"))
                .map(Self::Pattern)
                .map_err(|error| Error::Input(format!("LoRA target modules `{pattern}`: {error}"))),
        }
    }

    fn contains(&self, module: &str, naming: Naming) -> bool {
        let published = naming.published(module);
        let paths = [naming.nested().key(&published), published];
        match self {
            Self::All => true,
            Self::Names(names) => names
                .iter()
                .any(|name| paths.iter().any(|path| is_or_ends_in(path, name))),
            // A pattern too costly to decide counts as no match.
            Self::Pattern(pattern) => paths.iter().any(|path| pattern.is_match(path).unwrap_or(false)),
        }
    }
}

fn is_or_ends_in(path: &str, name: &str) -> bool {
    path.strip_suffix(name)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}
