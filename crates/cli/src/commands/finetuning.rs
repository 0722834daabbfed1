//! Fine-tuning on samples that the program made itself, which need no validation: the stages of `base` and `demo`.

use std::path::{Path, PathBuf};

use align::engine::{Engine, SaveKind};
use align::sft::{self, SftConfig};
use align::types::Item;
use engine::{LocalEngine, Trainable};

use super::job::Job;
use super::run_folder::{RunFolder, trained};
use crate::config::tables::ModelTable;
use crate::context::Context;
use crate::errors::Result;
use crate::model::{self, Passes};
use crate::output_folder::OutputFolder;

/// A run of fine-tuning.
pub struct Finetuning<'a> {
    /// The model to begin with.
    pub model: &'a ModelTable,
    /// What of it is trained.
    pub train: &'a Trainable,
    /// The seed of a fresh adapter.
    pub seed: u64,
    /// How sequences go through the model.
    pub passes: Passes,
    /// What is trained on, and what is mixed in.
    pub items: &'a [Item],
    /// General questions that are mixed in.
    pub general: &'a [Item],
    /// The method's settings.
    pub config: &'a SftConfig,
    /// The run's folder.
    pub run: RunFolder,
    /// Where the trained weights go; they are in the last checkpoint otherwise.
    pub weights: Option<&'a Path>,
}

impl Job for Finetuning<'_> {
    type Data = ();
    type Models = LocalEngine;
    type Product = PathBuf;

    fn finished(&self) -> Result<Option<PathBuf>> {
        let checkpoint = self.run.finished()?;
        Ok(match self.weights {
            Some(weights) => checkpoint.filter(|_| weights.exists()).map(|_| weights.to_owned()),
            None => checkpoint,
        })
    }

    fn data(&self) -> Result {
        Ok(())
    }

    fn folder(&self, (): &(), _: &Context) -> Result<OutputFolder> {
        let folder = OutputFolder::make(self.run.path())?;
        self.run.clear()?;
        Ok(folder)
    }

    fn models(&self, context: &Context) -> Result<LocalEngine> {
        let device = context.global.device;
        model::open_with(self.model, self.train.clone(), self.seed, device, &self.passes)
    }

    fn work(&self, (): (), mut engine: LocalEngine, context: &mut Context) -> Result<PathBuf> {
        let mut run_dir = self.run.open()?;
        let progress = &mut context.progress;
        let outcome = sft::run(
            &mut engine,
            self.items,
            self.general,
            self.config,
            &mut run_dir,
            progress,
        )?;
        let checkpoint = trained(outcome, &run_dir)?;
        let Some(weights) = self.weights else {
            return Ok(checkpoint);
        };
        engine.save(weights, SaveKind::Weights)?;
        Ok(weights.to_owned())
    }
}
