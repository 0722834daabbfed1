//! The loop that all training shares: steps, metrics, checkpoints, interruption.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::TrainingError;
use crate::chat::ChatError;
use crate::engine::{Engine, SaveKind};
use crate::progress::Progress;
use crate::run_dir::RunDir;

/// What a step measured, by name; a metric that nothing was measured for is left out.
pub type Metrics = BTreeMap<String, f64>;

/// How a training run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All steps are done; the last checkpoint is the result.
    Finished {
        /// How many steps there were.
        steps: usize,
    },
    /// The user asked to stop; the checkpoint of this step is the one to resume from.
    Interrupted {
        /// The last step that was done.
        step: usize,
    },
}

/// The steps of a training run.
#[derive(Clone, Copy, Debug)]
pub struct Steps<'a> {
    /// The stage as progress names it.
    pub title: &'a str,
    /// The metric to show beside the progress.
    pub headline: &'a str,
    /// How many steps there are.
    pub total: usize,
    /// Steps between checkpoints; 0 saves at the end alone.
    pub save_steps: usize,
    /// Checkpoints kept; 0 keeps all.
    pub save_total_limit: usize,
}

impl Steps<'_> {
    /// Takes the steps that remain after the run's last checkpoint, counted from one. `State` is what a checkpoint holds
    /// beside the engine's own files.
    ///
    /// `train_step` gives the step's metrics by name; `step_time` (seconds) is added to them. Where it ends because its
    /// judge had to stop, the weights are untouched: the step before is saved.
    ///
    /// Errors: those of `train_step`; `Engine` where a checkpoint cannot be loaded or saved; `Run` naming the file.
    pub fn run<State: Serialize + DeserializeOwned + Default + Clone>(
        self,
        engine: &mut dyn Engine,
        run_dir: &mut RunDir,
        progress: &mut dyn Progress,
        mut train_step: impl FnMut(&mut dyn Engine, &mut RunDir, usize, &mut State) -> Result<Metrics, TrainingError>,
    ) -> Result<Outcome, TrainingError> {
        let (done, mut state) = resume::<State>(engine, run_dir)?;
        progress.begin(self.title, self.total);
        progress.advance(done);
        for step in done + 1..=self.total {
            let began = Instant::now();
            let before = state.clone();
            let mut metrics = match train_step(engine, run_dir, step, &mut state) {
                Err(TrainingError::Judge(stop)) => {
                    if step > done + 1 && !self.saves_at(step - 1) {
                        self.save(engine, run_dir, step - 1, &before)?;
                    }
                    return match stop {
                        ChatError::Interrupted => Ok(Outcome::Interrupted { step: step - 1 }),
                        stop => Err(stop.into()),
                    };
                }
                metrics => metrics?,
            };
            metrics.insert("step_time".to_owned(), began.elapsed().as_secs_f64());
            run_dir.append_metrics(step, &metrics)?;
            progress.advance(1);
            if let Some(value) = metrics.get(self.headline) {
                progress.note(&format!("{} {value:.3}", self.headline));
            }
            let interrupted = step < self.total && progress.interrupted();
            if interrupted || self.saves_at(step) {
                self.save(engine, run_dir, step, &state)?;
            }
            if interrupted {
                progress.end();
                return Ok(Outcome::Interrupted { step });
            }
        }
        progress.end();
        run_dir.mark_done()?;
        Ok(Outcome::Finished { steps: self.total })
    }

    fn saves_at(&self, step: usize) -> bool {
        step == self.total || (self.save_steps > 0 && step.is_multiple_of(self.save_steps))
    }

    /// Writes a checkpoint and removes the oldest beyond the limit.
    fn save(
        &self,
        engine: &mut dyn Engine,
        run_dir: &mut RunDir,
        step: usize,
        state: &impl Serialize,
    ) -> Result<(), TrainingError> {
        engine.save(&run_dir.checkpoint_folder(step), SaveKind::Checkpoint)?;
        run_dir.save_state(step, state)?;
        if self.save_total_limit > 0 {
            run_dir.prune_checkpoints(self.save_total_limit)?;
        }
        Ok(())
    }
}

/// Goes back to the run's last complete checkpoint, or to its beginning where there is none. Gives the number of steps
/// done and the state there.
fn resume<State: DeserializeOwned + Default>(
    engine: &mut dyn Engine,
    run_dir: &mut RunDir,
) -> Result<(usize, State), TrainingError> {
    let Some((step, folder)) = run_dir.latest_checkpoint()? else {
        run_dir.rewind_to(0)?;
        return Ok((0, State::default()));
    };
    let state = run_dir.load_state(step)?;
    engine.load(&folder)?;
    run_dir.rewind_to(step)?;
    Ok((step, state))
}
