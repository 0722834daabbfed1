//! What the training commands share: opening the run's folder, and the last word when a run ends.

use std::path::{Path, PathBuf};

use align::run_dir::RunDir;
use align::training::Outcome;
use serde::Serialize;

use crate::args::RunArguments;
use crate::errors::Failure;
use crate::interrupt;
use crate::terminal::print_line;

/// Opens the run's folder: a new run, or with `--resume` the one that stands there. A run that was stopped before it
/// wrote its settings has nothing to go on from, and is begun anew.
///
/// Errors: of usage where a run is already there and `--resume` is not given, or was begun with other settings.
pub fn open(arguments: &RunArguments, settings: &impl Serialize, seed: u64) -> anyhow::Result<RunDir> {
    let settings = serde_json::to_value(settings)?;
    let begun = arguments.out.join("config.resolved.json").exists();
    let run_dir = if arguments.resume && begun {
        RunDir::resume(&arguments.out, &settings, seed)
    } else {
        RunDir::create(&arguments.out, &settings, seed)
    };
    Ok(run_dir?)
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
