//! Training on samples that the program made itself, which need no validation: the stages of `base` and `demo`.

use std::path::{Path, PathBuf};

use align::engine::{Engine, SaveKind};
use align::progress::Progress;
use align::run_dir::RunDir;
use align::training::{Outcome, TrainingError};
use engine::{LocalEngine, Trainable};

use super::job::Job;
use super::run_folder::{RunFolder, trained};
use crate::config::tables::ModelTable;
use crate::context::Context;
use crate::errors::Result;
use crate::model::{self, Passes};
use crate::output_folder::OutputFolder;

/// What trains the model, in steps that the run's folder keeps.
pub type Method<'a> = dyn Fn(&mut LocalEngine, &mut RunDir, &mut dyn Progress) -> Result<Outcome, TrainingError> + 'a;

/// A run of training.
pub struct Training<'a> {
    /// The model to begin with.
    pub model: &'a ModelTable,
    /// What of it is trained.
    pub train: &'a Trainable,
    /// The seed of a fresh adapter.
    pub seed: u64,
    /// How sequences go through the model.
    pub passes: Passes,
    /// How it is trained, and on what.
    pub method: &'a Method<'a>,
    /// The run's folder.
    pub run: RunFolder,
    /// Where the trained weights go; they are in the last checkpoint otherwise.
    pub weights: Option<&'a Path>,
}

impl Job for Training<'_> {
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
        let folder = OutputFolder::make(&self.run.folder)?;
        self.run.clear()?;
        Ok(folder)
    }

    fn models(&self, context: &Context) -> Result<LocalEngine> {
        let device = context.global.device;
        model::open_with(self.model, self.train.clone(), self.seed, device, &self.passes)
    }

    fn work(&self, (): (), mut engine: LocalEngine, context: &mut Context) -> Result<PathBuf> {
        let mut run_dir = self.run.open()?;
        let outcome = (self.method)(&mut engine, &mut run_dir, &mut context.progress)?;
        let checkpoint = trained(outcome, &run_dir)?;
        let Some(weights) = self.weights else {
            return Ok(checkpoint);
        };
        engine.save(weights, SaveKind::Weights)?;
        Ok(weights.to_owned())
    }
}
