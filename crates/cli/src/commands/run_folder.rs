//! What the training commands share: opening the run's folder, and the last word when a run ends.

use std::path::{Path, PathBuf};

use align::run_dir::RunDir;
use align::training::Outcome;
use serde::Serialize;

use crate::errors::Failure;
use crate::interrupt;
use crate::terminal::print_line;

/// The commit that this program is built from; none where it was not built in its repository.
const COMMIT: Option<&str> = option_env!("SCRUPLE_COMMIT");

/// Opens a run's folder: a new run, or with `resume` the one that stands there. A run that was stopped before it wrote
/// its settings has nothing to go on from, and is begun anew.
///
/// Errors: of usage where a run is already there and is not to be resumed, or was begun with other settings.
pub fn open(folder: &Path, resume: bool, settings: &impl Serialize, seed: u64) -> anyhow::Result<RunDir> {
    let settings = serde_json::to_value(settings)?;
    Ok(if resume && is_begun(folder) {
        RunDir::resume(folder, &settings, seed)
    } else {
        RunDir::create(folder, &settings, seed, COMMIT)
    }?)
}

/// Makes sure that [`open`] will not refuse, before there is work to lose or anything of another run is touched.
///
/// Errors: as [`open`].
pub fn check(folder: &Path, resume: bool, settings: &impl Serialize, seed: u64) -> anyhow::Result<()> {
    let settings = serde_json::to_value(settings)?;
    Ok(if resume && is_begun(folder) {
        RunDir::check_begun(folder, &settings, seed)
    } else {
        RunDir::check_free(folder)
    }?)
}

fn is_begun(folder: &Path) -> bool {
    folder.join("config.resolved.json").exists()
}

/// Ends a training command: prints where the trained weights are, or fails with the way to go on.
pub fn conclude(outcome: Outcome, run_dir: &RunDir) -> anyhow::Result<()> {
    match outcome {
        Outcome::Finished { steps } => Ok(print_line(&run_dir.checkpoint_folder(steps).display().to_string())?),
        Outcome::Interrupted { .. } => Err(interrupt::stopped().into()),
    }
}

/// The path of a setting that has no default.
///
/// Errors: of usage, naming the key.
pub fn required<'a>(path: Option<&'a PathBuf>, key: &str) -> Result<&'a Path, Failure> {
    path.map(PathBuf::as_path).ok_or_else(|| {
        Failure::usage(format!("`{key}` is not set: expected a path")).hint(format!(
            "set it in the `--config` file, or add `{key}=PATH` to the command"
        ))
    })
}
