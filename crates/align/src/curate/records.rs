//! What a curation leaves on record: each prompt with its figures, and the counts.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::sampling::Judgements;
use super::{Candidate, CurateConfig, CurateError, Curation, QiBox, Selection, is_benign};
use crate::run_dir::write_atomically;
use crate::types::{Item, ItemKind};

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

/// What became of each prompt, in the order read.
pub(super) fn of(items: &[Item], candidates: &[Candidate], selection: &Selection) -> Vec<CurationRecord> {
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

/// Writes `curation.jsonl`.
pub(super) fn write(folder: &Path, records: &[CurationRecord]) -> Result<(), CurateError> {
    let mut text = String::new();
    for record in records {
        text.push_str(&serde_json::to_string(record).map_err(std::io::Error::from)?);
        text.push('\n');
    }
    Ok(write_atomically(&folder.join("curation.jsonl"), text.as_bytes())?)
}

/// Counts what a curation did.
pub(super) fn summarise(
    curation: &Curation,
    judgements: &Judgements,
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
