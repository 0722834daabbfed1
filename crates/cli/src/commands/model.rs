//! Opening a model folder, with the faults a user can mend told before anything is loaded.

use std::path::{Path, PathBuf};

use clap::Args;
use engine::{ComputeDevice, DEVICES, EngineOptions, LocalEngine, Trainable};
use vlm::adapter::LoraConfig;

use super::run_folder::required;
use crate::args::Device;
use crate::config::tables::ModelTable;
use crate::errors::Failure;

/// Which model to use.
#[derive(Clone, Debug, Args)]
pub struct ModelArguments {
    /// The model: a Hugging Face folder of Qwen2-VL, Qwen2.5-VL, InternVL2.5 or InternVL3
    #[arg(long, value_name = "DIR")]
    pub model: PathBuf,
    /// A LoRA adapter in PEFT layout, put on top of the model
    #[arg(long, value_name = "DIR")]
    pub adapter: Option<PathBuf>,
}

impl ModelArguments {
    /// The same as settings name it.
    pub fn table(&self) -> ModelTable {
        ModelTable {
            path: Some(self.model.clone()),
            adapter: self.adapter.clone(),
        }
    }
}

impl ModelTable {
    /// The policy by its folders, which tell it from others of the same name.
    pub fn policy(&self) -> String {
        let folders = [&self.path, &self.adapter].into_iter().flatten();
        let names: Vec<String> = folders.map(|folder| folder.display().to_string()).collect();
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
    let model = required(table.path.as_ref(), "model.path")?;
    check_folder(model, "config.json", "model")?;
    if let Some(adapter) = &table.adapter {
        check_folder(adapter, "adapter_config.json", "LoRA adapter")?;
        trainable.validate_adapter(
            "train",
            &LoraConfig::load(adapter).map_err(|error| Failure::model(error.to_string()))?,
        )?;
    }
    let device = self::device(device)?;
    let options = EngineOptions {
        trainable,
        seed,
        ..EngineOptions::new(model.to_owned(), device)
    };
    Ok(LocalEngine::open(EngineOptions {
        adapter: table.adapter.clone(),
        ..options
    })?)
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
