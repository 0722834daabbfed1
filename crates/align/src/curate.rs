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
mod sampling;
pub mod selection;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::engine::{Engine, EngineError};
use crate::progress::Progress;
use crate::run_dir::{RunError, write_atomically};
use crate::types::{DataError, Item, ItemKind, write_items};
use crate::verdict::{Judge, Verdict};

pub use config::{CurateConfig, Stratum};
pub use selection::{Candidate, QiBox, Selection, Spread, select, spread};

/// Why a prompt is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DropReason {
    /// Fewer than two of its samples could be scored.
    TooFewScored,
    /// Its quality lies in the lowest share.
    LowQuality,
    /// Its quality lies in the highest share.
    HighQuality,
    /// It lies in the box, but enough others of its stratum are less stable.
    LowInstability,
}

/// What became of one prompt; one line of `curation.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurationRecord {
    /// The prompt's id.
    pub id: String,
    /// How it is counted.
    pub kind: Option<ItemKind>,
    /// The stratum it was ranked in.
    pub stratum: String,
    /// Mean score Q, 0..10; none when nothing was scored.
    pub q: Option<f64>,
    /// Standard deviation I of the scores, 0..5.
    pub i: Option<f64>,
    /// Share of pairs of samples of which one is safe and the other is not.
    pub flip_rate: Option<f64>,
    /// How many of its samples were scored.
    pub n_scored: usize,
    /// Whether it is kept.
    pub kept: bool,
    /// Why it is not.
    pub reason: Option<DropReason>,
}

impl CurationRecord {
    /// Whether the prompt counts towards the benign share.
    pub fn is_benign(&self) -> bool {
        is_benign(self.kind)
    }
}

/// What a curation did; `summary.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurationSummary {
    /// The settings.
    pub config: CurateConfig,
    /// The judge's name.
    pub judge: String,
    /// How many prompts there were.
    pub n_prompts: usize,
    /// How many samples were drawn.
    pub n_samples: usize,
    /// How many of them the judge could not score.
    pub n_unscored: usize,
    /// How many prompts were kept.
    pub n_kept: usize,
    /// How many of these are benign.
    pub n_kept_benign: usize,
    /// How many prompts went, by reason.
    pub dropped: BTreeMap<DropReason, usize>,
    /// How many prompts were kept, by stratum.
    pub kept_by_stratum: BTreeMap<String, usize>,
    /// The box.
    pub qi_box: Option<QiBox>,
}

/// Why a curation did not come to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CurateError {
    /// A setting is out of range.
    #[error("curate setting `{key}`: expected {expected}, got {got}")]
    Config {
        /// The setting.
        key: &'static str,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        got: String,
    },
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
    /// Turns a verdict into a score of thinking and answer, 0..10; in practice the reward's rubric.
    pub quality: &'a dyn Fn(&Verdict) -> f64,
    /// The settings.
    pub config: &'a CurateConfig,
}

/// Samples, judges and selects, and writes everything to `folder`. Samples already there are not drawn again; selection
/// settings and rubric may change between calls, sampling settings, prompts and judge may not.
///
/// Errors: `Config`, `NoItems`; `Run` naming a setting that differs from the samples' in `folder`; `Interrupted`;
/// `Engine`; `NothingKept`; `Data`, `Io` and `Picture` naming the file.
pub fn run(
    engine: &mut dyn Engine,
    curation: &Curation,
    folder: &Path,
    progress: &mut dyn Progress,
) -> Result<CurationSummary, CurateError> {
    curation.config.validate()?;
    if curation.items.is_empty() {
        return Err(CurateError::NoItems);
    }
    let judgements = sampling::draw(engine, curation, folder, progress)?;
    let candidates = candidates(curation, &judgements);
    let selection = select(&candidates, curation.config);
    let records = records(curation.items, &candidates, &selection);
    write_records(folder, &records)?;
    let summary = summarise(curation, &judgements, &records, selection.qi_box);
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

fn is_benign(kind: Option<ItemKind>) -> bool {
    matches!(kind, Some(ItemKind::Benign | ItemKind::General))
}

fn candidates(curation: &Curation, judgements: &sampling::Judgements) -> Vec<Candidate> {
    let candidate = |item: &Item| {
        let verdicts = judgements.of(&item.id).filter_map(|judgement| judgement.verdict());
        let scored: Vec<_> = verdicts
            .map(|verdict| ((curation.quality)(verdict), verdict.safe))
            .collect();
        let stratum = stratum(item, &curation.config.stratify_by);
        Candidate {
            id: item.id.clone(),
            stratum,
            benign: is_benign(item.kind),
            spread: spread(&scored),
        }
    };
    curation.items.iter().map(candidate).collect()
}

fn stratum(item: &Item, by: &[Stratum]) -> String {
    let name = |stratum: &Stratum| match stratum {
        Stratum::Category => item.category.as_deref().unwrap_or("no category"),
        Stratum::Split => item.split.as_deref().unwrap_or("no split"),
    };
    by.iter().map(name).collect::<Vec<_>>().join(" / ")
}

fn records(items: &[Item], candidates: &[Candidate], selection: &Selection) -> Vec<CurationRecord> {
    let record = |((item, candidate), reason): ((&Item, &Candidate), &Option<DropReason>)| CurationRecord {
        id: item.id.clone(),
        kind: item.kind,
        stratum: candidate.stratum.clone(),
        q: candidate.spread.q,
        i: candidate.spread.i,
        flip_rate: candidate.spread.flip_rate,
        n_scored: candidate.spread.n_scored,
        kept: reason.is_none(),
        reason: *reason,
    };
    items
        .iter()
        .zip(candidates)
        .zip(&selection.dropped)
        .map(record)
        .collect()
}

fn write_records(folder: &Path, records: &[CurationRecord]) -> Result<(), CurateError> {
    let mut text = String::new();
    for record in records {
        text.push_str(&serde_json::to_string(record).map_err(std::io::Error::from)?);
        text.push('\n');
    }
    Ok(write_atomically(&folder.join("curation.jsonl"), text.as_bytes())?)
}

fn summarise(
    curation: &Curation,
    judgements: &sampling::Judgements,
    records: &[CurationRecord],
    qi_box: Option<QiBox>,
) -> CurationSummary {
    let mut dropped = BTreeMap::new();
    let mut kept_by_stratum = BTreeMap::new();
    for record in records {
        match record.reason {
            Some(reason) => *dropped.entry(reason).or_default() += 1,
            None => *kept_by_stratum.entry(record.stratum.clone()).or_default() += 1,
        }
    }
    let n_samples = judgements.len();
    CurationSummary {
        config: curation.config.clone(),
        judge: curation.judge.name().to_owned(),
        n_prompts: records.len(),
        n_samples,
        n_unscored: n_samples - records.iter().map(|record| record.n_scored).sum::<usize>(),
        n_kept: records.iter().filter(|record| record.kept).count(),
        n_kept_benign: records
            .iter()
            .filter(|record| record.kept && record.is_benign())
            .count(),
        dropped,
        kept_by_stratum,
        qi_box,
    }
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
