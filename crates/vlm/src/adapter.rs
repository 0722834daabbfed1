//! LoRA adapters on a model: attached fresh, or read from and written to PEFT folders.

mod config;
mod settings_class;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use burn::tensor::{Device, Tensor};
use fancy_regex::Regex;

use config::{AdaptedLayer, AdapterSettings, LayerChoice};
pub use config::{LoraConfig, TARGETS, TargetModules};

pub use crate::config::ADAPTER_CONFIG_FILE;
use crate::error::Error;
use crate::linear::Linear;
use crate::lora::Lora;
use crate::model::Vlm;
use crate::parameter::Parameters;
use crate::tensor_file::{NamedTensor, TensorFile, write_tensors};
use crate::weights::Naming;

/// The adapter's matrices in a PEFT folder.
pub const ADAPTER_WEIGHTS_FILE: &str = "adapter_model.safetensors";

// The prefix of every module's path in PEFT.
const PREFIX: &str = "base_model.model.";

/// What comes between a matrix's letter and `.weight` where it was saved without PEFT's own method: PEFT's default name
/// of an adapter.
const DEFAULT_NAME: &str = ".default";

impl Vlm {
    /// Attaches a fresh adapter to every target layer, in place of any there was; the model's output does not change
    /// yet. Returns how many layers have one now.
    ///
    /// Errors: `Input` when the rank is 0, the pattern is no regular expression, or no layer matches.
    pub fn attach_lora(&mut self, config: &LoraConfig, seed: u64) -> Result<usize, Error> {
        if config.r == 0 {
            return Err(Error::Input("LoRA rank: expected at least 1, got 0".to_owned()));
        }
        let chosen = self
            .choose_layers(&config.target_modules)
            .map_err(|got| Error::Input(format!("LoRA target modules: expected {TARGETS}, got {got}")))?;
        let device = self.device();
        self.visit_linears(&mut |linear| {
            let module = linear.module_name().to_owned();
            let adapter = chosen
                .contains(&module)
                .then(|| Lora::random(&module, linear.widths(), config.r, config.strength(), seed, &device));
            linear.set_adapter(adapter);
        });
        Ok(chosen.len())
    }

    /// The layers that an adapter of these target modules adapts, by name.
    ///
    /// Errors: what was got instead of [`TARGETS`]: a pattern that is no regular expression, or one that chooses no
    /// layer.
    pub fn choose_layers(&self, target_modules: &TargetModules) -> Result<BTreeSet<String>, String> {
        let choice = ModuleChoice::new(target_modules)?;
        let naming = self.naming();
        let mut layers = Vec::new();
        self.clone().visit_linears(&mut |linear| layers.push(linear.module_name().to_owned()));
        let chosen: BTreeSet<String> = layers.iter().filter(|layer| choice.contains(layer, naming)).cloned().collect();
        if chosen.is_empty() {
            return Err(no_layer(target_modules, &layers));
        }
        Ok(chosen)
    }

    /// Detaches all adapters: the model as it was before.
    pub fn detach_lora(&mut self) {
        self.visit_linears(&mut |linear| linear.set_adapter(None));
    }

    /// Adds the adapters to the weights they adapt: the same model without adapters.
    pub fn merge_lora(&mut self) {
        self.visit_linears(&mut Linear::merge_adapter);
    }

    /// Reads a PEFT folder's adapter onto the model, in place of any there was. Modules may be named as in published
    /// checkpoints, as transformers has nested them since 4.52, or as the nested model itself names them. Matrices are
    /// f32 whatever the file's type. Returns the settings of layers that no pattern overrides.
    ///
    /// Errors: `Io`, `File` or `Tensor`: a file is missing or broken, a setting is not supported, a matrix is missing,
    /// misshapen or belongs to no layer of this model, or there is none at all.
    pub fn load_adapter(&mut self, folder: &Path) -> Result<LoraConfig, Error> {
        let settings = AdapterSettings::read(folder)?;
        let file = open_matrices(folder)?;
        let (naming, device) = (self.naming(), self.device());
        let mut modules = BTreeSet::new();
        self.visit_linears(&mut |linear| {
            modules.insert(naming.published(linear.module_name()));
        });
        let mut keys = keys_by_module(&file, naming, &modules)?;
        let choice = check_choice(&file, &keys, &settings, naming);
        let mut adapters = BTreeMap::new();
        let mut failure = None;
        self.visit_linears(&mut |linear| {
            let module = linear.module_name().to_owned();
            let Some(keys) = keys.remove(&naming.published(&module)) else {
                return;
            };
            match keys.read(&file, &module, linear.widths(), &settings, &device) {
                Ok(adapter) => drop(adapters.insert(module, adapter)),
                Err(error) => failure = failure.take().or(Some(error)),
            }
        });
        if let Some(error) = failure {
            return Err(error);
        }
        if let Some(keys) = keys.values().next() {
            return Err(file.tensor_error(&keys.key("A"), "belongs to no adaptable layer".into()));
        }
        if adapters.is_empty() {
            return Err(Error::file(file.path(), "holds no adapter"));
        }
        choice?;
        self.visit_linears(&mut |linear| {
            let adapter = adapters.remove(linear.module_name());
            linear.set_adapter(adapter);
        });
        Ok(settings.lora)
    }

    /// Writes the adapter as a PEFT folder, modules under the newer names, which PEFT and vLLM read today. Which layers
    /// it adapts, and how, is taken from the model; the rest from `config`.
    ///
    /// Errors: `Input` when no adapter is attached; `Io` or `File` when the folder cannot be written.
    pub fn save_adapter(&self, config: &LoraConfig, base_model: &str, folder: &Path) -> Result<(), Error> {
        let naming = self.naming();
        let (mut layers, mut tensors) = (Vec::new(), Vec::new());
        self.clone().visit_linears(&mut |linear| {
            let Some(adapter) = linear.adapter() else { return };
            layers.push(AdaptedLayer {
                path: naming.nested_name(linear.module_name()),
                r: adapter.rank(),
                alpha: adapter.alpha(),
            });
            adapter.clone().visit_parameters(&mut |parameter| {
                tensors.push(NamedTensor {
                    key: format!("{PREFIX}{}", naming.nested_name(parameter.name())),
                    ..parameter.to_named_tensor()
                });
            });
        });
        if tensors.is_empty() {
            return Err(Error::Input("no adapter is attached to the model".to_owned()));
        }
        fs_err::create_dir_all(folder)?;
        config::write(config, &layers, base_model, folder)?;
        write_tensors(&folder.join(ADAPTER_WEIGHTS_FILE), &tensors)
    }
}

fn no_layer(target_modules: &TargetModules, layers: &[String]) -> String {
    let shown = match target_modules {
        TargetModules::Names(names) => format!("{names:?}"),
        TargetModules::Pattern(pattern) => format!("`{pattern}`"),
    };
    let example = layers.first().map_or("none", String::as_str);
    format!("{shown}, which match none of {} layers, such as `{example}`", layers.len())
}

/// The keys of one layer's matrices in a file.
#[derive(PartialEq)]
struct MatrixKeys {
    /// The layer's path in the model that PEFT adapted.
    path: String,
    /// What follows the matrix's letter.
    ending: String,
}

impl MatrixKeys {
    /// The keys that this one belongs to, if it is a matrix's.
    fn of(key: &str) -> Option<Self> {
        let key = key.strip_prefix(PREFIX)?.strip_suffix(".weight")?;
        let (key, name) = key.strip_suffix(DEFAULT_NAME).map_or((key, ""), |key| (key, DEFAULT_NAME));
        let path = key.strip_suffix(".lora_A").or_else(|| key.strip_suffix(".lora_B"))?;
        Some(Self { path: path.to_owned(), ending: format!("{name}.weight") })
    }

    fn key(&self, letter: &str) -> String {
        format!("{PREFIX}{}.lora_{letter}{}", self.path, self.ending)
    }

    fn read(
        &self,
        file: &TensorFile,
        module: &str,
        (d_in, d_out): (usize, usize),
        settings: &AdapterSettings,
        device: &Device,
    ) -> Result<Lora, Error> {
        let (r, strength) = settings.of_layer(&self.path);
        let a = Tensor::from_data(file.read(&self.key("A"), &[r, d_in])?, device);
        let b = Tensor::from_data(file.read(&self.key("B"), &[d_out, r])?, device);
        Ok(Lora::new(module, a, b, strength))
    }
}

// For each adapted module, named the published way as `modules` are, the keys of its matrices.
fn keys_by_module(
    file: &TensorFile,
    naming: Naming,
    modules: &BTreeSet<String>,
) -> Result<BTreeMap<String, MatrixKeys>, Error> {
    let mut by_module: BTreeMap<String, MatrixKeys> = BTreeMap::new();
    for key in file.keys() {
        let Some(keys) = MatrixKeys::of(&key) else {
            let expected = format!("expected a key `{PREFIX}….lora_A.weight` or `….lora_B.weight`");
            return Err(file.tensor_error(&key, expected));
        };
        // The path alone says which naming it is; a path from inside the nested model lacks the leading `model.`.
        let from_inside = format!("model.{}", keys.path);
        let [from_inside, published] = [&from_inside, &keys.path].map(|path| naming.of_key(path).published(path));
        let module = if modules.contains(&from_inside) { from_inside } else { published };
        match by_module.get(&module) {
            Some(other) if *other != keys => {
                return Err(file.tensor_error(&key, format!("`{}` names the same layer", other.key("A"))));
            }
            _ => drop(by_module.insert(module, keys)),
        }
    }
    Ok(by_module)
}

/// Opens the file of an adapter's matrices.
fn open_matrices(folder: &Path) -> Result<TensorFile, Error> {
    let path = folder.join(ADAPTER_WEIGHTS_FILE);
    if !path.is_file() {
        let older = "adapter_model.bin";
        let got = if folder.join(older).is_file() {
            format!("`{older}` of PyTorch: save the adapter anew as safetensors, with `save_pretrained` of PEFT")
        } else {
            "no file".to_owned()
        };
        return Err(Error::file(&path, format!("expected the adapter's matrices, got {got}")));
    }
    TensorFile::open(&path)
}

/// Fails for matrices of layers that the settings do not choose, which PEFT leaves out.
///
/// Source: `check_target_module_exists` of PEFT 0.20.
fn check_choice(
    file: &TensorFile,
    keys: &BTreeMap<String, MatrixKeys>,
    settings: &AdapterSettings,
    naming: Naming,
) -> Result<(), Error> {
    let LayerChoice { excluded, layers } = &settings.choice;
    // An expression that only Python takes chooses what the file holds.
    let Ok(chosen) = ModuleChoice::new(&settings.lora.target_modules) else {
        return Ok(());
    };
    let excluded = excluded.as_ref().and_then(|excluded| ModuleChoice::new(excluded).ok());
    for (module, keys) in keys {
        let is_left_out = if !chosen.contains_path(&keys.path) && !chosen.contains(module, naming) {
            "`target_modules` does not choose"
        } else if excluded.as_ref().is_some_and(|excluded| excluded.contains_path(&keys.path)) {
            "`exclude_modules` excludes"
        } else if let (Some(layers), ModuleChoice::Names(_)) = (layers, &chosen)
            && !layer_number(&keys.path).is_some_and(|number| layers.contains(&number))
        {
            "`layers_to_transform` leaves out"
        } else {
            continue;
        };
        let problem = format!("belongs to a layer that {is_left_out} in {ADAPTER_CONFIG_FILE}");
        return Err(file.tensor_error(&keys.key("A"), problem));
    }
    Ok(())
}

/// The first number in a layer's path.
fn layer_number(path: &str) -> Option<u64> {
    path.split('.').find_map(|part| part.parse().ok())
}

enum ModuleChoice {
    Names(Vec<String>),
    Pattern(Regex),
    All,
}

impl ModuleChoice {
    fn new(target_modules: &TargetModules) -> Result<Self, String> {
        match target_modules {
            TargetModules::Names(names) => Ok(Self::Names(names.clone())),
            TargetModules::Pattern(pattern) if pattern == "all-linear" => Ok(Self::All),
            TargetModules::Pattern(pattern) => Regex::new(&format!("^(?:{pattern})$"))
                .map(Self::Pattern)
                .map_err(|error| format!("`{pattern}`, which is no regular expression: {error}")),
        }
    }

    fn contains(&self, module: &str, naming: Naming) -> bool {
        let published = naming.published(module);
        [naming.nested().key(&published), published].iter().any(|path| self.contains_path(path))
    }

    fn contains_path(&self, path: &str) -> bool {
        match self {
            Self::All => true,
            Self::Names(names) => names.iter().any(|name| is_or_ends_in(path, name)),
            // A pattern that exceeds the backtracking limit counts as no match.
            Self::Pattern(pattern) => pattern.is_match(path).unwrap_or(false),
        }
    }
}

fn is_or_ends_in(path: &str, name: &str) -> bool {
    path.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}
