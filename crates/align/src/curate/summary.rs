//! What a curation comes to, in counts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::config::CurateConfig;
use super::curation::Curation;
use super::ledger::{ContaminationCounts, Ledger, PolicyCounts};
use super::records::{CurationRecord, DropReason};
use super::selection::QiBox;
use crate::types::DataError;

/// What a curation did; `summary.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurationSummary {
    /// The settings.
    pub config: CurateConfig,
    /// The judge's name.
    pub judge: String,
    /// How many prompts there were.
    pub n_prompts: usize,
    /// How many samples there are.
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
    /// How each policy's samples fared; empty where one local model answered alone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub policies: BTreeMap<String, PolicyCounts>,
    /// How many prompts stand in which evaluation set; none where nothing was compared.
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
pub(super) fn summarize(curation: &Curation, ledger: Ledger, tally: Tally, qi_box: Option<QiBox>) -> CurationSummary {
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
