//! A run: stage by stage, then the results.

use std::path::Path;

use super::draft::{Draft, keep_pairs};
use super::job::{Forge, ForgeError, Staged};
use super::stage::file_of;
use super::stages::STAGES;
use super::summary::{ForgeSummary, StageCounts};
use super::{output, review};
use crate::chat::ChatError;
use crate::files::write_lines;
use crate::progress::Progress;
use crate::run_dir::keep_settings;

/// The settings that a folder was begun with.
const RUN_SETTINGS: &str = "forge.resolved.json";

/// Makes items. Each call goes through all stages; what models answered before, they answer from their journals. After
/// each stage, whoever's hazardous item or twin it rejected goes with it.
///
/// Errors: [`ForgeError`]; the same call resumes.
pub fn run(forge: &Forge, progress: &mut dyn Progress) -> Result<ForgeSummary, ForgeError> {
    keep_settings(&forge.folder.join(RUN_SETTINGS), &forge.resolved())?;
    forge.check()?;
    let mut ledger = Ledger::default();
    let mut drafts = Vec::new();
    for stage in &STAGES {
        if progress.interrupted() {
            return Err(ChatError::Interrupted.into());
        }
        let mut entered = (stage.work)(forge, drafts, progress)?;
        keep_pairs(&mut entered, stage.name);
        write_lines(&file_of(forge.folder, stage), &entered)?;
        drafts = ledger.settle(forge.folder, stage.name, entered)?;
    }
    if !forge.reviews.is_empty() {
        let mut reviewed = review::reject(forge.reviews, drafts)?;
        keep_pairs(&mut reviewed, review::STAGE);
        drafts = ledger.settle(forge.folder, review::STAGE, reviewed)?;
    }
    output::write(forge, &drafts)?;
    let summary = ForgeSummary::new(forge.taxonomy, ledger.counts, &drafts);
    write_lines(&forge.folder.join("summary.json"), [&summary])?;
    Ok(summary)
}

/// What became of drafts, stage by stage.
#[derive(Default)]
struct Ledger {
    counts: Vec<StageCounts>,
    rejected: Vec<Draft>,
}

impl Ledger {
    /// Writes down what a stage rejected; returns what it kept.
    ///
    /// Errors: `Run` naming the file; `NothingKept`.
    fn settle(&mut self, folder: &Path, stage: &str, entered: Vec<Draft>) -> Staged {
        let counts = StageCounts::of(stage, &entered);
        let (kept, rejected): (Vec<Draft>, Vec<Draft>) = entered.into_iter().partition(Draft::is_kept);
        self.rejected.extend(rejected);
        write_lines(&folder.join("rejected.jsonl"), &self.rejected)?;
        if kept.is_empty() {
            return Err(ForgeError::NothingKept {
                stage: stage.to_owned(),
                entered: counts.entered,
                reason: counts.most_frequent_reason(),
            });
        }
        self.counts.push(counts);
        Ok(kept)
    }
}
