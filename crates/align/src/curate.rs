//! Curation by quality and instability (QI-Box): prompts in, those worth training on out.
//!
//! Each prompt is answered several times and every answer is judged. Prompts whose answers are always good or always
//! bad teach a policy nothing; those of middling quality on which it wavers do. Source: P2 (SaFeR-VLM, arXiv
//! 2510.06871), which keeps 10 K of 159 K prompts so; its exact rules are not published, [`selection`] states ours.
//!
//! ```text
//! samples.jsonl    every answer and what the judge says of it, as they come; a killed run goes on from here
//! sampling.json    the settings the samples were drawn with
//! curation.jsonl   every prompt: q, i, flip_rate, n_scored, kept, reason
//! curated.jsonl    the prompts kept, as they were read
//! summary.json     counts and the bounds of the box
//! qi_box.svg       the picture
//! ```

mod config;
pub mod picture;
mod records;
mod sampling;
pub mod selection;

#[cfg(test)]
mod tests;

use std::path::Path;

use crate::chat::ChatError;
use crate::engine::{Engine, EngineError};
use crate::progress::Progress;
use crate::reward::Rubric;
use crate::run_dir::{AnswerFolder, RunError, write_atomically};
use crate::training::SettingError;
use crate::types::{DataError, Item, ItemKind, write_items};
use crate::verdict::{Judge, Judgement};

pub use config::{CurateConfig, Stratum};
pub use records::{CurationRecord, CurationSummary, DropReason};
pub use selection::{Candidate, QiBox, Selection, Spread, select, spread};

/// Why a curation did not come to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CurateError {
    /// A setting cannot be used.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// There are no prompts.
    #[error("no prompts to curate: expected at least one item, got none")]
    NoItems,
    /// Not one prompt lies in the box. `curation.jsonl` has been written and tells why.
    #[error("{}: no prompt is left to train on: of {n_prompts} prompts, {dropped}", file.display())]
    NothingKept {
        /// `curation.jsonl`.
        file: std::path::PathBuf,
        /// How many prompts there were.
        n_prompts: usize,
        /// How many went, by reason, in words.
        dropped: String,
    },
    /// The user asked to stop. What was sampled so far is kept, and the same call goes on from there.
    #[error("interrupted after {done} of {total} prompts; they are kept")]
    Interrupted {
        /// Prompts sampled so far.
        done: usize,
        /// Prompts in all.
        total: usize,
    },
    /// The model could not answer.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The judge had to stop. What was judged before is kept.
    #[error(transparent)]
    Judge(#[from] ChatError),
    /// The settings differ from those the samples were drawn with, or a file of the folder is damaged.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A data file could not be read or written.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A file could not be written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The picture could not be drawn.
    #[error("{}: {problem}", file.display())]
    Picture {
        /// The picture's file.
        file: std::path::PathBuf,
        /// What went wrong.
        problem: String,
    },
}

/// What to curate, and who judges.
#[derive(Clone, Copy)]
pub struct Curation<'a> {
    /// The pool of prompts.
    pub items: &'a [Item],
    /// Who judges the answers.
    pub judge: &'a dyn Judge,
    /// Scores thinking and answer.
    pub rubric: &'a Rubric,
    /// The settings.
    pub config: &'a CurateConfig,
}

/// Samples, judges and selects, and writes everything to the folder. On `resume` samples already there are not drawn
/// again; selection settings and rubric may change between calls, policy, sampling settings, prompts and judge may not.
///
/// Errors: `Setting`, `NoItems`; `Run` naming a setting that differs from the samples' in the folder; `Interrupted`;
/// `Engine`; `NothingKept`; `Data`, `Io` and `Picture` naming the file.
pub fn run(
    engine: &mut dyn Engine,
    curation: &Curation,
    output: AnswerFolder,
    progress: &mut dyn Progress,
) -> Result<CurationSummary, CurateError> {
    curation.config.validate("curate")?;
    if curation.items.is_empty() {
        return Err(CurateError::NoItems);
    }
    let folder = output.path;
    let judgements = sampling::draw(engine, curation, output, progress)?;
    let candidates = candidates(curation, &judgements);
    let selection = select(&candidates, curation.config);
    let records = records::of(curation.items, &candidates, &selection);
    records::write(folder, &records)?;
    let summary = records::summarise(curation, &judgements, &records, selection.qi_box);
    if summary.n_kept == 0 {
        return Err(nothing_kept(folder, &summary));
    }
    let kept: Vec<Item> = curation
        .items
        .iter()
        .zip(&records)
        .filter(|(_, record)| record.kept)
        .map(|(item, _)| item.clone())
        .collect();
    write_items(&folder.join("curated.jsonl"), &kept)?;
    picture::write(&folder.join("qi_box.svg"), &records, selection.qi_box)?;
    let text = serde_json::to_string_pretty(&summary).map_err(std::io::Error::from)?;
    write_atomically(&folder.join("summary.json"), text.as_bytes())?;
    Ok(summary)
}

/// Whether an item of a kind counts towards the benign share.
fn is_benign(kind: Option<ItemKind>) -> bool {
    matches!(kind, Some(ItemKind::Benign | ItemKind::General))
}

fn candidates(curation: &Curation, judgements: &sampling::Judgements) -> Vec<Candidate> {
    let candidate = |item: &Item| {
        let scored: Vec<(f64, bool)> = judgements
            .of(&item.id)
            .filter_map(|judgement| score(curation.rubric, judgement))
            .collect();
        Candidate {
            id: item.id.clone(),
            stratum: stratum(item, &curation.config.stratify_by),
            benign: is_benign(item.kind),
            spread: spread(&scored),
        }
    };
    curation.items.iter().map(candidate).collect()
}

/// The score s of a sample, 0..10: thinking and answer by the rubric, penalties taken off, without format, gate and cap;
/// and whether the answer is safe. None where the judge or the rubric has no score.
fn score(rubric: &Rubric, judgement: &Judgement) -> Option<(f64, bool)> {
    let reward = rubric.reward(judgement, None).ok()?;
    let score = rubric.think_share * reward.think + (1.0 - rubric.think_share) * reward.answer;
    Some((score, judgement.verdict()?.safe))
}

fn stratum(item: &Item, by: &[Stratum]) -> String {
    let name = |stratum: &Stratum| match stratum {
        Stratum::Category => item.category.as_deref().unwrap_or("no category"),
        Stratum::Split => item.split.as_deref().unwrap_or("no split"),
    };
    by.iter().map(name).collect::<Vec<_>>().join(" / ")
}

fn nothing_kept(folder: &Path, summary: &CurationSummary) -> CurateError {
    let words = |(reason, count): (&DropReason, &usize)| match reason {
        DropReason::TooFewScored => format!("{count} had fewer than 2 scored samples"),
        DropReason::LowQuality => format!("{count} were of the lowest quality"),
        DropReason::HighQuality => format!("{count} were of the highest quality"),
        DropReason::LowInstability => format!("{count} had no place left in the box"),
    };
    CurateError::NothingKept {
        file: folder.join("curation.jsonl"),
        n_prompts: summary.n_prompts,
        dropped: summary.dropped.iter().map(words).collect::<Vec<_>>().join(", "),
    }
}
