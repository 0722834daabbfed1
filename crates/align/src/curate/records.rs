//! What a curation leaves on record: each prompt with its figures, and the counts.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::ledger::{ContaminationCounts, Ledger, PolicyCounts};
use super::{CurateConfig, CurateError, Curation, QiBox};
use crate::run_dir::write_lines;
use crate::types::ItemKind;

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
    /// It stands in an evaluation set, or cannot be compared with one; `contaminated.jsonl` says what matched.
    Contaminated,
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
    /// How each policy's samples fared; empty where the local engine alone answered.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub policies: BTreeMap<String, PolicyCounts>,
    /// How many prompts stand in which evaluation set; none where that was not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contamination: Option<ContaminationCounts>,
}

/// What became of each prompt, in the order of the pool.
pub(super) fn of<'l>(
    ledger: &'l Ledger,
    dropped: &'l [Option<DropReason>],
) -> impl Iterator<Item = CurationRecord> + 'l {
    let prompts = ledger.candidates.iter().zip(&ledger.notes).zip(dropped);
    prompts.map(|((candidate, note), reason)| CurationRecord {
        id: candidate.id.clone(),
        kind: note.kind,
        stratum: candidate.stratum.to_string(),
        q: candidate.spread.q,
        i: candidate.spread.i,
        flip_rate: candidate.spread.flip_rate,
        n_scored: candidate.spread.n_scored,
        kept: reason.is_none(),
        reason: *reason,
    })
}

/// Writes `curation.jsonl`.
pub(super) fn write(folder: &Path, records: impl Iterator<Item = CurationRecord>) -> Result<(), CurateError> {
    Ok(write_lines(&folder.join("curation.jsonl"), records)?)
}

/// Counts what a curation did.
pub(super) fn summarise(
    curation: &Curation,
    ledger: Ledger,
    dropped: &[Option<DropReason>],
    qi_box: Option<QiBox>,
) -> CurationSummary {
    let mut counts = BTreeMap::new();
    let mut kept_by_stratum = BTreeMap::new();
    let (mut n_kept_benign, mut n_scored) = (0, 0);
    for (candidate, reason) in ledger.candidates.iter().zip(dropped) {
        n_scored += candidate.spread.n_scored;
        if let Some(reason) = reason {
            *counts.entry(*reason).or_default() += 1;
        } else {
            *kept_by_stratum.entry(candidate.stratum.to_string()).or_default() += 1;
            n_kept_benign += usize::from(candidate.benign);
        }
    }
    CurationSummary {
        config: curation.config.clone(),
        judge: curation.judge.name().to_owned(),
        n_prompts: ledger.len(),
        n_samples: ledger.n_samples,
        n_unscored: ledger.n_samples - n_scored,
        n_kept: dropped.iter().filter(|reason| reason.is_none()).count(),
        n_kept_benign,
        dropped: counts,
        kept_by_stratum,
        qi_box,
        policies: ledger.policies,
        contamination: ledger.contamination,
    }
}
