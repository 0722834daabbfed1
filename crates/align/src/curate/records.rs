//! What a curation leaves on record: each prompt with its figures, and the counts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ledger::{ContaminationCounts, Ledger, PolicyCounts};
use super::{CurateConfig, Curation, QiBox};
use crate::types::{DataError, ItemKind};

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

impl CurationRecord {
    /// Whether the prompt counts towards the benign share, as general questions do too.
    pub fn is_benign(&self) -> bool {
        matches!(self.kind, Some(ItemKind::Benign | ItemKind::General))
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
    /// How each policy's samples fared; empty where the local engine alone answered.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub policies: BTreeMap<String, PolicyCounts>,
    /// How many prompts stand in which evaluation set; none where that was not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contamination: Option<ContaminationCounts>,
}

/// The records with what was decided of them: `decisions` has one for each that is not dropped yet, in their order.
pub(super) fn decided(
    records: impl Iterator<Item = Result<CurationRecord, DataError>>,
    mut decisions: impl Iterator<Item = Result<Option<DropReason>, DataError>>,
) -> impl Iterator<Item = Result<CurationRecord, DataError>> {
    records.map(move |record| {
        let mut record = record?;
        if record.reason.is_none()
            && let Some(reason) = decisions.next().transpose()?
        {
            record.kept = reason.is_none();
            record.reason = reason;
        }
        Ok(record)
    })
}

/// What is counted of the records as they go by.
#[derive(Default)]
pub(super) struct Tally {
    n_kept: usize,
    n_kept_benign: usize,
    dropped: BTreeMap<DropReason, usize>,
    kept_by_stratum: BTreeMap<String, usize>,
}

impl Tally {
    pub(super) fn count(&mut self, record: &CurationRecord) {
        if let Some(reason) = record.reason {
            *self.dropped.entry(reason).or_default() += 1;
        } else {
            self.n_kept += 1;
            self.n_kept_benign += usize::from(record.is_benign());
            *self.kept_by_stratum.entry(record.stratum.clone()).or_default() += 1;
        }
    }
}

/// Sums up what a curation did.
pub(super) fn summarise(curation: &Curation, ledger: Ledger, tally: Tally, qi_box: Option<QiBox>) -> CurationSummary {
    CurationSummary {
        config: curation.config.clone(),
        judge: curation.judge.name().to_owned(),
        n_prompts: ledger.n_prompts,
        n_samples: ledger.n_samples,
        n_unscored: ledger.n_unscored,
        n_kept: tally.n_kept,
        n_kept_benign: tally.n_kept_benign,
        dropped: tally.dropped,
        kept_by_stratum: tally.kept_by_stratum,
        qi_box,
        policies: ledger.policies,
        contamination: ledger.contamination,
    }
}
