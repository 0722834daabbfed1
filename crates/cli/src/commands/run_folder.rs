//! The folder of a training run: what an earlier call left there, and what comes out when a run ends.

use std::path::{Path, PathBuf};

use align::run_dir::{RunDir, RunStatus};
use align::training::Outcome;
use serde::Serialize;
use serde_json::Value;

use crate::arguments::OutArguments;
use crate::errors::Result;
use crate::interrupt;

/// The commit that this program is built from; none where it was not built in its repository.
const COMMIT: Option<&str> = option_env!("SCRUPLE_COMMIT");

/// A training run as it is recorded.
#[derive(Debug)]
pub struct RunFolder {
    /// The run's folder.
    pub folder: PathBuf,
    settings: Value,
    seed: u64,
    /// Whether the command starts over.
    pub restart: bool,
}

impl RunFolder {
    /// The run of a command.
    ///
    /// Errors: none, but for settings that JSON cannot hold.
    pub fn new(results: &OutArguments, settings: &impl Serialize, seed: u64) -> Result<Self> {
        Self::at(&results.out, settings, seed, results.restart.restart)
    }

    /// The run in a folder; with `restart`, whatever is there is removed by [`Self::clear`].
    ///
    /// Errors: as [`Self::new`].
    pub fn at(folder: &Path, settings: &impl Serialize, seed: u64, restart: bool) -> Result<Self> {
        Ok(Self {
            folder: folder.to_owned(),
            settings: serde_json::to_value(settings).map_err(std::io::Error::from)?,
            seed,
            restart,
        })
    }

    /// The last checkpoint, where the run came to its end in an earlier call. Nothing is touched.
    ///
    /// Errors: of settings where a run with other settings is there.
    pub fn finished(&self) -> Result<Option<PathBuf>> {
        if self.restart || RunDir::status(&self.folder, &self.settings, self.seed)? != RunStatus::Done {
            return Ok(None);
        }
        Ok(self.open()?.latest_checkpoint()?.map(|(_, checkpoint)| checkpoint))
    }

    /// Where the command starts over, removes the earlier run.
    ///
    /// Errors: of output.
    pub fn clear(&self) -> Result {
        if self.restart {
            RunDir::remove(&self.folder)?;
        }
        Ok(())
    }

    /// Opens the run, to begin or to resume it.
    ///
    /// Errors: of settings where a run with other settings is there; of output.
    pub fn open(&self) -> Result<RunDir> {
        Ok(RunDir::open(&self.folder, &self.settings, self.seed, COMMIT)?)
    }
}

/// The last checkpoint of a run that came to its end.
///
/// Errors: interrupted where the user stopped it.
pub fn trained(outcome: Outcome, run_dir: &RunDir) -> Result<PathBuf> {
    match outcome {
        Outcome::Finished { steps } => Ok(run_dir.checkpoint_folder(steps)),
        Outcome::Interrupted { .. } => Err(interrupt::stopped()),
    }
}
