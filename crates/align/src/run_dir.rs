//! A run's directory: everything that a run writes, in such a way that a kill at any point loses nothing.
//!
//! ```text
//! config.resolved.json           every setting, the seed, the commit that the program is built from
//! metrics.jsonl                  one line a step: {"step": 1, "loss": 2.3, …}
//! events.out.tfevents.scruple    the same for TensorBoard
//! rollouts.jsonl                 one line a response
//! rejected.jsonl                 one line a sample that cannot be trained, where there are any
//! checkpoint-N/                  weights, optimizer; trainer_state.json; run_state.json, written last
//! done                           the run is finished
//! ```
//!
//! A checkpoint without `run_state.json` does not count. That file also holds how long the files of JSON lines were, so
//! that [`RunDir::rewind_to`] removes exactly what came after, and a resumed run's files equal an uninterrupted run's.

mod content_hash;
mod error;
mod settings;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use content_hash::ContentHash;
pub use error::RunError;
pub(crate) use settings::check_settings;
pub use settings::{check_kept_settings, keep_settings, read_json, write_json};

use crate::files::{remove_if_exists, write_atomically};
use crate::json_lines::JsonLinesFile;
use crate::tensorboard::EventWriter;

const CONFIG: &str = "config.resolved.json";
const METRICS: &str = "metrics.jsonl";
const ROLLOUTS: &str = "rollouts.jsonl";
const EVENTS: &str = "events.out.tfevents.scruple";
const RUN_STATE: &str = "run_state.json";
const TRAINER_STATE: &str = "trainer_state.json";
const DONE: &str = "done";
const CHECKPOINT_PREFIX: &str = "checkpoint-";

/// `config.resolved.json`.
#[derive(Debug, Serialize, Deserialize)]
struct ResolvedConfig {
    seed: u64,
    git_commit: Option<String>,
    config: Value,
}

/// `run_state.json`: the caller's state and how long the other files were (bytes).
#[derive(Debug, Serialize, Deserialize)]
struct RunState<T> {
    step: usize,
    metrics_bytes: u64,
    rollouts_bytes: u64,
    events_bytes: u64,
    state: T,
}

/// What a folder holds of a run with the same settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunStatus {
    /// Nothing.
    New,
    /// A run that can be resumed.
    Resumable,
    /// A run that is finished.
    Done,
}

/// The directory of one training run, open for writing.
#[derive(Debug)]
pub struct RunDir {
    /// The run's folder.
    pub folder: PathBuf,
    metrics: JsonLinesFile,
    rollouts: JsonLinesFile,
    events: EventWriter,
    /// The latest metric `epoch`, for `trainer_state.json`.
    epoch: Option<f64>,
}

impl RunDir {
    /// Opens the run in a folder: a new one, or, to resume it, the one that was started there with the same settings. The
    /// files of a run stay as they are until [`RunDir::rewind_to`]. `commit` is what the program is built from, where
    /// that is known.
    ///
    /// Errors: as [`RunDir::status`]; `Io` naming the file.
    pub fn open(folder: &Path, config: &Value, seed: u64, commit: Option<&str>) -> Result<Self, RunError> {
        if Self::status(folder, config, seed)? == RunStatus::New {
            let resolved = ResolvedConfig { seed, git_commit: commit.map(str::to_owned), config: config.clone() };
            write_json(&folder.join(CONFIG), &resolved)?;
        }
        Ok(Self {
            folder: folder.to_owned(),
            metrics: JsonLinesFile::open(&folder.join(METRICS))?,
            rollouts: JsonLinesFile::open(&folder.join(ROLLOUTS))?,
            events: EventWriter::open(&folder.join(EVENTS))?,
            epoch: None,
        })
    }

    /// What a folder holds of a run with these settings; nothing is changed.
    ///
    /// Errors: `SettingDiffers` naming the first setting that is not as the run was started with; `Exists` where a run's files are
    /// there without its settings; `Corrupt` or `Io` naming the file.
    pub fn status(folder: &Path, config: &Value, seed: u64) -> Result<RunStatus, RunError> {
        let file = folder.join(CONFIG);
        if file.exists() {
            let run: ResolvedConfig = read_json(&file)?;
            check_settings(&file, &json!({ "seed": run.seed }), &json!({ "seed": seed }))?;
            check_settings(&file, &run.config, config)?;
            let is_done = folder.join(DONE).exists();
            return Ok(if is_done { RunStatus::Done } else { RunStatus::Resumable });
        }
        if folder.join(METRICS).exists() || folder.join(ROLLOUTS).exists() {
            return Err(RunError::Exists { folder: folder.to_owned() });
        }
        Ok(RunStatus::New)
    }

    /// Removes the run in a folder, where there is one, and nothing else. The settings go last, so that a kill on the way
    /// leaves a run that can be resumed or removed.
    ///
    /// Errors: `Io` naming the file.
    pub fn remove(folder: &Path) -> Result<(), RunError> {
        if !folder.exists() {
            return Ok(());
        }
        remove_if_exists(&folder.join(DONE))?;
        for path in checkpoint_entries(folder)? {
            remove_checkpoint(&path)?;
        }
        for name in [METRICS, ROLLOUTS, EVENTS, CONFIG] {
            remove_if_exists(&folder.join(name))?;
        }
        Ok(())
    }

    /// Writes a step's metrics to `metrics.jsonl` and for TensorBoard. Values that are not finite become null in JSON.
    ///
    /// Errors: `Io` naming the file.
    pub fn append_metrics(&mut self, step: usize, metrics: &BTreeMap<String, f64>) -> Result<(), RunError> {
        self.epoch = metrics.get("epoch").copied().or(self.epoch);
        let mut line = serde_json::Map::new();
        line.insert("step".into(), step.into());
        line.extend(metrics.iter().map(|(name, value)| (name.clone(), Value::from(*value))));
        self.metrics.append(&line)?;
        self.events.write_scalars(step, metrics)?;
        Ok(())
    }

    /// Writes records of responses to `rollouts.jsonl`.
    ///
    /// Errors: `Io` naming the file.
    pub fn append_rollouts(&mut self, rollouts: &[impl Serialize]) -> Result<(), RunError> {
        for rollout in rollouts {
            self.rollouts.append(rollout)?;
        }
        Ok(())
    }

    /// Where the checkpoint after `step` steps goes.
    pub fn checkpoint_folder(&self, step: usize) -> PathBuf {
        self.folder.join(format!("{CHECKPOINT_PREFIX}{step}"))
    }

    /// Completes the checkpoint of a step, whose weights are already in [`RunDir::checkpoint_folder`]: from here on it
    /// is one to resume from. `state` is what the caller needs beside the engine's own files. Numbers that must be
    /// restored to the last bit belong in it as integers (`f64::to_bits`), since JSON readers may round.
    ///
    /// Errors: `Io` naming the file.
    pub fn save_state<T: Serialize>(&mut self, step: usize, state: &T) -> Result<(), RunError> {
        let folder = self.checkpoint_folder(step);
        // As Hugging Face's Trainer lays it out; the history is in `metrics.jsonl`.
        let trainer_state = json!({ "global_step": step, "epoch": self.epoch, "log_history": [] });
        write_json(&folder.join(TRAINER_STATE), &trainer_state)?;
        // The lengths below are promises, so what they count must be on the disk first.
        self.metrics.sync()?;
        self.rollouts.sync()?;
        self.events.sync()?;
        let run_state = RunState {
            step,
            metrics_bytes: self.metrics.length(),
            rollouts_bytes: self.rollouts.length(),
            events_bytes: self.events.length,
            state,
        };
        write_json(&folder.join(RUN_STATE), &run_state)
    }

    /// Reads what [`RunDir::save_state`] stored with a step's checkpoint.
    ///
    /// Errors: `Io` or `Corrupt` naming the file.
    pub fn load_state<T: DeserializeOwned>(&self, step: usize) -> Result<T, RunError> {
        let run_state: RunState<T> = read_json(&self.checkpoint_folder(step).join(RUN_STATE))?;
        Ok(run_state.state)
    }

    /// The last complete checkpoint: its step and folder.
    ///
    /// Errors: `Io` naming the folder.
    pub fn latest_checkpoint(&self) -> Result<Option<(usize, PathBuf)>, RunError> {
        Ok(self.complete_checkpoints()?.pop())
    }

    /// Removes the oldest complete checkpoints until `limit` are left (at least one always stays).
    ///
    /// Errors: `Io` naming the file.
    pub fn prune_checkpoints(&self, limit: usize) -> Result<(), RunError> {
        let checkpoints = self.complete_checkpoints()?;
        let surplus = checkpoints.len().saturating_sub(limit.max(1));
        checkpoints[..surplus].iter().try_for_each(|(_, folder)| remove_checkpoint(folder))
    }

    /// Removes everything written after a step's checkpoint, so that the run can resume from there: later lines and
    /// events, later and incomplete checkpoints, the `done` marker. Step 0 is the beginning.
    ///
    /// Errors: `Corrupt` or `Io` naming the file, also where it is shorter than it was at the checkpoint.
    pub fn rewind_to(&mut self, step: usize) -> Result<(), RunError> {
        let (mut metrics_bytes, mut rollouts_bytes, mut events_bytes) = (0, 0, 0);
        if step > 0 {
            let state: RunState<Value> = read_json(&self.checkpoint_folder(step).join(RUN_STATE))?;
            (metrics_bytes, rollouts_bytes, events_bytes) =
                (state.metrics_bytes, state.rollouts_bytes, state.events_bytes);
        }
        remove_if_exists(&self.folder.join(DONE))?;
        self.metrics.truncate(metrics_bytes)?;
        self.rollouts.truncate(rollouts_bytes)?;
        self.events.truncate(events_bytes)?;
        let mut kept = self.complete_checkpoints()?;
        kept.retain(|(checkpoint_step, _)| *checkpoint_step <= step);
        for path in checkpoint_entries(&self.folder)? {
            if !kept.iter().any(|(_, folder)| *folder == path) {
                remove_checkpoint(&path)?;
            }
        }
        Ok(())
    }

    /// Marks the run as finished.
    ///
    /// Errors: `Io` naming the file.
    pub fn mark_done(&self) -> Result<(), RunError> {
        Ok(write_atomically(&self.folder.join(DONE), b"")?)
    }

    /// Whether the run is finished.
    pub fn is_done(&self) -> bool {
        self.folder.join(DONE).exists()
    }

    /// Complete checkpoints by ascending step.
    fn complete_checkpoints(&self) -> Result<Vec<(usize, PathBuf)>, RunError> {
        let mut found = Vec::new();
        for path in checkpoint_entries(&self.folder)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if let Some(Ok(step)) = name.strip_prefix(CHECKPOINT_PREFIX).map(str::parse)
                && path.join(RUN_STATE).exists()
            {
                found.push((step, path));
            }
        }
        found.sort();
        Ok(found)
    }
}

/// Everything in a run's folder that is named like a checkpoint, unfinished ones and temporary names included.
fn checkpoint_entries(folder: &Path) -> Result<Vec<PathBuf>, RunError> {
    let mut found = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(CHECKPOINT_PREFIX) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// Removes a checkpoint so that a kill half-way leaves one that is incomplete.
fn remove_checkpoint(path: &Path) -> Result<(), RunError> {
    if path.is_dir() {
        remove_if_exists(&path.join(RUN_STATE))?;
        Ok(fs_err::remove_dir_all(path)?)
    } else {
        Ok(fs_err::remove_file(path)?)
    }
}

#[cfg(test)]
mod tests;
