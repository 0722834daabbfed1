//! Opening a model folder, with the faults a user can mend told before anything is loaded.

use std::path::{Path, PathBuf};

use align::sft::SftConfig;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use engine::{ComputeDevice, DEVICES, EngineOptions, FeatureFolder, Inspector, LocalEngine, Trainable};
use vlm::adapter::LoraConfig;
use vlm::weights::WeightType;

use super::run_folder::required;
use crate::args::Device;
use crate::config::tables::ModelTable;
use crate::errors::Failure;
use crate::hub::{self, Kind};

/// Which model to use.
#[derive(Clone, Debug, Args)]
pub struct ModelArguments {
    /// The model: a Hugging Face folder of Qwen2-VL, Qwen2.5-VL, InternVL2.5 or InternVL3, or its name on the hub
    #[arg(long, value_name = "DIR|NAME")]
    pub model: PathBuf,
    /// A LoRA adapter in PEFT layout, put on top of the model: a folder, or its name on the hub
    #[arg(long, value_name = "DIR|NAME")]
    pub adapter: Option<PathBuf>,
    /// The type that weights are held and saved in; all computing is in f32
    #[arg(long, value_name = "TYPE", default_value = "auto", value_parser = weight_type())]
    pub dtype: WeightType,
}

/// The types by their names in transformers.
fn weight_type() -> impl TypedValueParser<Value = WeightType> {
    PossibleValuesParser::new(["auto", "float32", "bfloat16", "float16"]).map(|name| match name.as_str() {
        "float32" => WeightType::Float32,
        "bfloat16" => WeightType::BFloat16,
        "float16" => WeightType::Float16,
        _ => WeightType::Auto,
    })
}

impl ModelArguments {
    /// The same as settings name it.
    pub fn table(&self) -> ModelTable {
        ModelTable {
            path: Some(self.model.clone()),
            adapter: self.adapter.clone(),
            dtype: self.dtype,
        }
    }
}

impl ModelTable {
    /// The policy by its folders, which tell it from others of the same name, and by its type where one is chosen.
    pub fn policy(&self) -> String {
        let folders = [&self.path, &self.adapter].into_iter().flatten();
        let mut names: Vec<String> = folders.map(|folder| folder.display().to_string()).collect();
        if self.dtype != WeightType::Auto {
            names.push(format!("{:?}", self.dtype).to_lowercase());
        }
        names.join(" + ")
    }
}

/// Fails unless the folder holds the file that makes it a model (`config.json`) or an adapter (`adapter_config.json`).
pub fn check_folder(folder: &Path, file: &str, what: &str) -> Result<(), Failure> {
    let shown = folder.display();
    if !folder.is_dir() {
        return Err(Failure::model(format!("{shown}: no such folder: expected a {what}")));
    }
    if !folder.join(file).is_file() {
        let hint = format!("a {what} is a folder that holds `{file}` and safetensors files");
        return Err(Failure::model(format!("{shown}: not a {what}: expected a file `{file}` in it")).hint(hint));
    }
    Ok(())
}

/// Opens a model, to train what `trainable` says of it.
///
/// Errors: of usage when the device is not part of this build or no model is named; of model when a folder is not what
/// it should be; whatever the engine meets.
pub fn open(table: &ModelTable, trainable: Trainable, seed: u64, device: Device) -> anyhow::Result<LocalEngine> {
    open_with(table, trainable, seed, device, &Passes::default())
}

/// How sequences go through the model.
#[derive(Clone, Debug, Default)]
pub struct Passes {
    /// Longest sequence that is trained, in tokens; no limit where there is none.
    pub max_length: Option<usize>,
    /// Whether sequences are packed into rows of that length.
    pub packing: bool,
    /// Where picture features are kept for later runs.
    pub feature_folder: Option<FeatureFolder>,
}

/// The folder for picture features that settings name, and the gigabytes it may hold.
pub fn feature_folder(path: Option<&PathBuf>, gigabytes: f64) -> Option<FeatureFolder> {
    path.map(|path| FeatureFolder {
        path: path.clone(),
        max_bytes: (gigabytes * 1e9) as u64,
    })
}

impl Passes {
    /// As fine-tuning's settings say.
    pub fn of(config: &SftConfig) -> Self {
        Self {
            max_length: Some(config.max_length),
            packing: config.packing,
            feature_folder: None,
        }
    }

    /// Tokens of a part of a batch that is computed at once: a packed row is as long as the longest sample may be.
    pub fn micro_batch_tokens(&self, defaults: &EngineOptions) -> usize {
        if self.packing {
            self.max_length.unwrap_or(defaults.max_length)
        } else {
            defaults.micro_batch_tokens
        }
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
) -> anyhow::Result<LocalEngine> {
    let name = required(table.path.as_ref(), "model.path")?;
    let model = hub::folder(name, Kind::Model)?;
    check_folder(&model, "config.json", "model")?;
    let adapter = table.adapter.as_deref().map(|name| hub::folder(name, Kind::Adapter));
    let adapter = adapter.transpose()?;
    if let Some(adapter) = &adapter {
        check_folder(adapter, "adapter_config.json", "LoRA adapter")?;
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

/// Opens what looks at samples before training.
///
/// Errors: of usage when no model is named; of model when its folder is not what it should be.
pub fn inspector(table: &ModelTable, max_length: usize) -> anyhow::Result<Inspector> {
    let model = hub::folder(required(table.path.as_ref(), "model.path")?, Kind::Model)?;
    check_folder(&model, "config.json", "model")?;
    Ok(Inspector::open(&model, max_length)?)
}

/// The device that was asked for.
///
/// Errors: of usage when it is not part of this build.
pub fn device(device: Device) -> Result<ComputeDevice, Failure> {
    let name = device.name();
    engine::open_device(name).ok_or_else(|| {
        let problem = format!(
            "--device {name}: not part of this build: expected {}",
            DEVICES.join(" or ")
        );
        Failure::usage(problem).hint(format!("build it in with `cargo build --release --features {name}`"))
    })
}
