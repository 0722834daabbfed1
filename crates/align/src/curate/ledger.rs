//! What a curation keeps of each prompt once its samples are judged: a line of figures in a file, whatever was said.

use std::collections::BTreeMap;
use std::io::{BufWriter, Seek, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::config::Stratum;
use super::curation::Curation;
use super::records::{CurationRecord, DropReason};
use super::samples::Sample;
use super::selection::{Spread, spread};
use super::sorting::nameless_file;
use crate::decontamination::Contamination;
use crate::files::write_line;
use crate::json_lines::JsonLinesReader;
use crate::reward::RewardConfig;
use crate::types::Item;
use crate::verdict::Judgement;

/// How a policy's samples fared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PolicyCounts {
    /// How many samples were requested of it.
    pub n_samples: usize,
    /// How many of them it did not answer.
    pub n_unanswered: usize,
    /// How many of them have no score, unanswered ones included.
    pub n_unscored: usize,
    /// Mean score of the others, 0..10; none where there are none.
    pub q: Option<f64>,
}

/// How many prompts were dropped because they stand in an evaluation set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ContaminationCounts {
    /// By the set's name.
    pub by_set: BTreeMap<String, usize>,
    /// By what matched: `text` or `image`.
    pub by_match: BTreeMap<String, usize>,
    /// How many could not be compared, since an image of theirs cannot be read.
    pub n_unreadable: usize,
}

/// All prompts in the order of the pool, in a file without a name, and the counts.
pub(super) struct Ledger<'a> {
    reward: &'a RewardConfig,
    stratify_by: &'a [Stratum],
    records: BufWriter<fs_err::File>,
    pub(super) n_prompts: usize,
    pub(super) n_samples: usize,
    /// How many samples have no score.
    pub(super) n_unscored: usize,
    pub(super) policies: BTreeMap<String, PolicyCounts>,
    pub(super) contamination: Option<ContaminationCounts>,
}

impl<'a> Ledger<'a> {
    /// A ledger without prompts, whose file lies in this folder.
    pub(super) fn new(curation: &Curation<'a>, folder: &Path) -> std::io::Result<Self> {
        Ok(Self {
            reward: curation.reward,
            stratify_by: &curation.config.stratify_by,
            records: BufWriter::new(nameless_file(folder)?),
            n_prompts: 0,
            n_samples: 0,
            n_unscored: 0,
            policies: BTreeMap::new(),
            contamination: curation.decontaminator.map(|_| ContaminationCounts::default()),
        })
    }

    /// The prompts entered so far, in their order. Of those that may be kept, none is yet said to be.
    pub(super) fn records(&mut self) -> std::io::Result<JsonLinesReader<CurationRecord>> {
        self.records.flush()?;
        let mut file = self.records.get_ref().try_clone()?;
        file.rewind()?;
        Ok(JsonLinesReader::of(file))
    }

    /// Enters a prompt and its samples, in the order of their numbers.
    pub(super) fn enter(&mut self, item: &Item, samples: &[Sample]) -> std::io::Result<()> {
        let mut scored = Vec::new();
        for sample in samples {
            let score = score(self.reward, &sample.judgement);
            self.n_samples += 1;
            self.n_unscored += usize::from(score.is_none());
            self.count(sample, score);
            scored.extend(score);
        }
        let too_few = (scored.len() < 2).then_some(DropReason::TooFewScored);
        self.push(item, spread(&scored), too_few)
    }

    /// Enters a prompt that was dropped before it was sampled.
    pub(super) fn enter_contaminated(&mut self, item: &Item, contamination: &Contamination) -> std::io::Result<()> {
        let counts = self.contamination.get_or_insert_default();
        match contamination.found() {
            Some((set, by)) => {
                *counts.by_set.entry(set.to_owned()).or_default() += 1;
                *counts.by_match.entry(by.name().to_owned()).or_default() += 1;
            }
            None => counts.n_unreadable += 1,
        }
        self.push(item, spread(&[]), Some(DropReason::Contaminated))
    }

    fn push(&mut self, item: &Item, spread: Spread, reason: Option<DropReason>) -> std::io::Result<()> {
        self.n_prompts += 1;
        let record = CurationRecord {
            id: item.id.clone(),
            kind: item.kind,
            stratum: stratum(item, self.stratify_by),
            q: spread.q,
            i: spread.i,
            flip_rate: spread.flip_rate,
            n_scored: spread.n_scored,
            kept: false,
            reason,
        };
        write_line(&mut self.records, &record)
    }

    fn count(&mut self, sample: &Sample, score: Option<(f64, bool)>) {
        let Some(policy) = &sample.policy else { return };
        let counts = self.policies.entry(policy.clone()).or_default();
        counts.n_samples += 1;
        counts.n_unanswered += usize::from(sample.response.is_none());
        match score {
            None => counts.n_unscored += 1,
            Some((score, _)) => {
                let n_scored = (counts.n_samples - counts.n_unscored) as f64;
                let mean = counts.q.unwrap_or(0.0);
                counts.q = Some(mean + (score - mean) / n_scored);
            }
        }
    }
}

/// The score s of a sample, 0..10: thinking and answer by the reward's weights, penalties taken off, without format, gate and
/// cap; and whether the answer is safe. None where the judge or the reward has no score.
fn score(config: &RewardConfig, judgement: &Judgement) -> Option<(f64, bool)> {
    let reward = config.reward(judgement, None).ok()?;
    let score = config.think_share * reward.think + (1.0 - config.think_share) * reward.answer;
    Some((score, judgement.as_ref().ok()?.safe))
}

fn stratum(item: &Item, by: &[Stratum]) -> String {
    let names = by.iter().map(|stratum| match stratum {
        Stratum::Category => item.category.as_deref().unwrap_or("no category"),
        Stratum::Split => item.split.as_deref().unwrap_or("no split"),
    });
    names.collect::<Vec<_>>().join(" / ")
}
