//! Opening a model folder, with problems that a user can mend reported before anything is loaded.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use align::settings::SettingError;
use align::sft::SftConfig;
use clap::ValueEnum;
use clap::builder::PossibleValue;
use engine::{ComputeDevice, DEVICES, EngineOptions, FeatureFolder, Inspector, LocalEngine, Trainable};
use serde_json::json;
use vlm::adapter::{ADAPTER_CONFIG_FILE, LoraConfig};
use vlm::config::CONFIG_FILE;
use vlm::image_processor::ImageLimits;

use crate::arguments::Device;
use crate::config::required;
use crate::config::tables::ModelTable;
use crate::errors::{Failure, Result};
use crate::hub::{self, Kind};

impl ModelTable {
    /// How large images may become and what becomes of transparent pixels, where settings say so.
    pub fn image_limits(&self) -> ImageLimits {
        ImageLimits {
            min_pixels: self.min_pixels,
            max_pixels: self.max_pixels,
            max_dynamic_patch: self.max_dynamic_patch,
            alpha: self.alpha,
        }
    }
}

/// Fails unless the folder holds the file that makes it a model (`config.json`) or an adapter (`adapter_config.json`).
pub fn check_folder(folder: &Path, file: &str, what: &str) -> Result<(), Failure> {
    let shown = folder.display();
    if !folder.is_dir() {
        let problem = if folder.is_file() { "a file, and no folder" } else { "no such folder" };
        return Err(Failure::model(format!("{shown}: {problem}: expected a {what}")));
    }
    if !folder.join(file).is_file() {
        let hint = if file == CONFIG_FILE && folder.join(ADAPTER_CONFIG_FILE).is_file() {
            "the folder holds a LoRA adapter: name it with `--adapter`, and the model it belongs to with `--model`"
                .into()
        } else if file == ADAPTER_CONFIG_FILE && folder.join(CONFIG_FILE).is_file() {
            "the folder holds a whole model: name it with `--model`, without an adapter".into()
        } else if holds_gguf(folder) {
            "GGUF files are llama.cpp's: use the checkpoint that they were made from".into()
        } else {
            format!("a {what} is a folder that holds `{file}` and safetensors files")
        };
        return Err(Failure::model(format!("{shown}: not a {what}: expected a file `{file}` in it")).hint(hint));
    }
    Ok(())
}

fn holds_gguf(folder: &Path) -> bool {
    let mut entries = fs_err::read_dir(folder).into_iter().flatten().flatten();
    entries.any(|entry| entry.path().extension().is_some_and(|extension| extension == "gguf"))
}

/// What tells a model from others, and from itself once it has changed: the names, sizes and times of change of its
/// files and its adapter's, its type and the limits of its images. (A hash of the weights would take as long as reading
/// them.)
///
/// Errors: of settings when no model is named; of model when its folder is not what it should be.
pub fn identity(table: &ModelTable) -> Result<String> {
    let folder = hub::folder(required(table.path.as_ref(), "model.path")?, Kind::Model)?;
    check_folder(&folder, CONFIG_FILE, "model")?;
    let mut files = files_of(&folder)?;
    if let Some(adapter) = &table.adapter {
        files.push("adapter".to_owned());
        files.extend(files_of(&hub::folder(adapter, Kind::Adapter)?)?);
    }
    let chosen = json!([table.dtype, table.min_pixels, table.max_pixels, table.max_dynamic_patch, table.alpha]);
    Ok(format!("{}\n{chosen}", files.join("\n")))
}

/// The files of a folder with their sizes and times of change.
fn files_of(folder: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        let metadata = fs_err::metadata(&path)?;
        if metadata.is_file() {
            let changed = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            files.push(format!("{name} {} {}", metadata.len(), changed.as_nanos()));
        }
    }
    files.sort();
    Ok(files)
}

/// Opens a model, to train what `trainable` says of it.
///
/// Errors: of settings when the device is not part of this build or no model is named; of model when a folder is not what
/// it should be; whatever the engine meets.
pub fn open(table: &ModelTable, trainable: Trainable, seed: u64, device: Device) -> Result<LocalEngine> {
    open_with(table, trainable, seed, device, &Passes::default())
}

/// How sequences go through the model.
#[derive(Clone, Debug, Default)]
pub struct Passes {
    /// Longest sequence that is trained, in tokens; no limit where there is none.
    pub max_length: Option<usize>,
    /// Whether sequences are packed into rows of that length.
    pub packing: bool,
    /// Where image features are kept for later runs.
    pub feature_folder: Option<FeatureFolder>,
}

/// The folder for image features that settings name, and the gigabytes it may hold.
pub fn feature_folder(path: Option<&PathBuf>, gigabytes: f64) -> Option<FeatureFolder> {
    path.map(|path| FeatureFolder { path: path.clone(), max_bytes: (gigabytes * 1e9) as u64 })
}

impl Passes {
    /// As fine-tuning's settings say.
    pub fn of(config: &SftConfig) -> Self {
        Self { max_length: Some(config.max_length), packing: config.packing, feature_folder: None }
    }

    /// Tokens of a part of a batch that is computed at once: a packed row is as long as the longest sample may be.
    pub fn micro_batch_tokens(&self, defaults: &EngineOptions) -> usize {
        if self.packing { self.max_length.unwrap_or(defaults.max_length) } else { defaults.micro_batch_tokens }
    }
}

/// As [`open`], for passes of a kind.
///
/// Errors: as [`open`].
pub fn open_with(
    table: &ModelTable,
    trainable: Trainable,
    seed: u64,
    device: Device,
    passes: &Passes,
) -> Result<LocalEngine> {
    let name = required(table.path.as_ref(), "model.path")?;
    let model = hub::folder(name, Kind::Model)?;
    check_folder(&model, CONFIG_FILE, "model")?;
    let adapter = table.adapter.as_deref().map(|name| hub::folder(name, Kind::Adapter));
    let adapter = adapter.transpose()?;
    if let Some(adapter) = &adapter {
        check_folder(adapter, ADAPTER_CONFIG_FILE, "LoRA adapter")?;
        trainable.validate_adapter(
            "train",
            &LoraConfig::load(adapter).map_err(|error| Failure::model(error.to_string()))?,
        )?;
    }
    let device = self::device(device)?;
    let options = EngineOptions::new(model, device);
    Ok(LocalEngine::open(EngineOptions {
        base_model: name.to_string_lossy().into_owned(),
        weight_type: table.dtype,
        image_limits: table.image_limits(),
        adapter,
        trainable,
        seed,
        max_length: passes.max_length.unwrap_or(options.max_length),
        packing: passes.packing,
        micro_batch_tokens: passes.micro_batch_tokens(&options),
        feature_folder: passes.feature_folder.clone(),
        ..options
    })?)
}

/// Opens what looks at samples before training, for which no weights are fetched.
///
/// Errors: of settings when no model is named; of model when its folder is not what it should be.
pub fn inspector(table: &ModelTable, max_length: usize) -> Result<Inspector> {
    let model = hub::folder(required(table.path.as_ref(), "model.path")?, Kind::Description)?;
    check_folder(&model, CONFIG_FILE, "model")?;
    Ok(Inspector::open(&model, &table.image_limits(), max_length)?)
}

/// Checks that a fresh adapter, where one is trained, has layers in the model; one that is trained further has its own.
///
/// Errors: [`SettingError`] naming the target modules.
pub fn validate_layers(table: &ModelTable, trainable: &Trainable, inspector: &Inspector) -> Result<(), SettingError> {
    match table.adapter {
        Some(_) => Ok(()),
        None => trainable.validate_layers("train", &inspector.config),
    }
}

/// The device that was asked for.
///
/// Errors: of settings when it is not part of this build.
pub fn device(device: Device) -> Result<ComputeDevice, Failure> {
    let typed = device.to_possible_value();
    let name = typed.as_ref().map_or("", PossibleValue::get_name);
    engine::open_device(name).ok_or_else(|| {
        let problem = format!("--device {name}: not part of this build: expected {}", DEVICES.join(" or "));
        Failure::settings(problem).hint(format!("build it in with `cargo build --release --features {name}`"))
    })
}
