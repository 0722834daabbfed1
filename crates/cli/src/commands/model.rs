//! Opening a model folder, with the faults a user can mend told before anything is loaded.

use std::path::{Path, PathBuf};

use align::engine::Engine;
use clap::Args;

use crate::args::Device;
use crate::config::tables::ModelTable;
use crate::errors::Failure;

/// Which model to use.
#[derive(Clone, Debug, Args)]
pub struct ModelArguments {
    /// The model: a Hugging Face folder of the Qwen2.5-VL architecture
    #[arg(long, value_name = "DIR")]
    pub model: PathBuf,
    /// A LoRA adapter in PEFT layout, put on top of the model
    #[arg(long, value_name = "DIR")]
    pub adapter: Option<PathBuf>,
}

impl ModelArguments {
    /// The same as settings name it.
    pub fn table(&self) -> ModelTable {
        ModelTable { path: Some(self.model.clone()), adapter: self.adapter.clone() }
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
pub fn open(arguments: &ModelArguments, _device: Device) -> anyhow::Result<Box<dyn Engine>> {
    check_folder(&arguments.model, "config.json", "model")?;
    anyhow::bail!("not yet")
}
