//! Saving and loading: folders that appear whole or not at all.

use std::path::Path;

use align::engine::{EngineError, SaveKind};
use vlm::model::Vlm;
use vlm::optim::AdamW;

use crate::errors::{engine_error, folder_error};
use crate::local::LocalEngine;
use crate::options::{EngineOptions, Trainable};

const OPTIMIZER_FILE: &str = "optimizer.safetensors";

impl LocalEngine {
    pub(crate) fn write(&self, folder: &Path, kind: SaveKind) -> Result<(), EngineError> {
        let mut name = folder.file_name().unwrap_or_default().to_owned();
        name.push(".partial");
        let partial = folder.with_file_name(name);
        if partial.exists() {
            fs_err::remove_dir_all(&partial)?;
        }
        fs_err::create_dir_all(&partial)?;
        self.write_weights(&partial)?;
        if kind == SaveKind::Checkpoint {
            self.optimizer.save(&partial.join(OPTIMIZER_FILE)).map_err(engine_error)?;
        }
        if folder.exists() {
            fs_err::remove_dir_all(folder)?;
        }
        Ok(fs_err::rename(&partial, folder)?)
    }

    fn write_weights(&self, folder: &Path) -> Result<(), EngineError> {
        if let (Some(lora), Trainable::Lora { .. }) = (&self.lora, &self.options.trainable) {
            let base = &self.options.base_model;
            return self.model.save_adapter(lora, base, folder).map_err(engine_error);
        }
        self.model.save(folder).map_err(engine_error)?;
        self.processor.save(folder).map_err(engine_error)
    }

    pub(crate) fn read(&mut self, folder: &Path) -> Result<(), EngineError> {
        if matches!(self.options.trainable, Trainable::Lora { .. }) {
            self.lora = Some(self.model.load_adapter(folder).map_err(folder_error)?);
        } else {
            let EngineOptions { weight_type, device, .. } = &self.options;
            self.model = Vlm::load_as(folder, *weight_type, device).map_err(folder_error)?;
        }
        let optimizer = folder.join(OPTIMIZER_FILE);
        // Without the file the optimizer starts over: moments and master copies belong to the weights of their run.
        self.optimizer = if optimizer.exists() {
            AdamW::load(&optimizer, &self.options.device).map_err(folder_error)?
        } else {
            AdamW::new()
        };
        Ok(())
    }
}
