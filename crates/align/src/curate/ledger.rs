//! What a curation remembers of each prompt once its samples are judged: a few numbers, whatever was said.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::samples::Sample;
use super::selection::{Candidate, Spread, spread};
use super::{Curation, Stratum, is_benign};
use crate::decontamination::Contamination;
use crate::reward::Rubric;
use crate::types::{Item, ItemKind};
use crate::verdict::Judgement;

/// How a policy's samples fared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PolicyCounts {
    /// How many samples it was asked for.
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
    /// By what matched: `text` or `picture`.
    pub by_match: BTreeMap<String, usize>,
    /// How many could not be compared, since a picture of theirs cannot be read.
    pub n_unreadable: usize,
}

/// A prompt's kind, and whether it was dropped before it was sampled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Note {
    pub(super) kind: Option<ItemKind>,
    pub(super) is_contaminated: bool,
}

/// All prompts in the order of the pool (some 300 bytes each), and the counts.
pub(super) struct Ledger<'a> {
    rubric: &'a Rubric,
    stratify_by: &'a [Stratum],
    strata: HashMap<String, Arc<str>>,
    pub(super) candidates: Vec<Candidate>,
    pub(super) notes: Vec<Note>,
    pub(super) n_samples: usize,
    pub(super) policies: BTreeMap<String, PolicyCounts>,
    pub(super) contamination: Option<ContaminationCounts>,
}

impl<'a> Ledger<'a> {
    pub(super) fn new(curation: &Curation<'a>) -> Self {
        Self {
            rubric: curation.rubric,
            stratify_by: &curation.config.stratify_by,
            strata: HashMap::new(),
            candidates: Vec::new(),
            notes: Vec::new(),
            n_samples: 0,
            policies: BTreeMap::new(),
            contamination: curation.decontaminator.map(|_| ContaminationCounts::default()),
        }
    }

    /// How many prompts are in it.
    pub(super) fn len(&self) -> usize {
        self.candidates.len()
    }

    /// Enters a prompt and its samples, in the order of their numbers.
    pub(super) fn enter(&mut self, item: &Item, samples: &[Sample]) {
        let mut scored = Vec::new();
        for sample in samples {
            let score = score(self.rubric, &sample.judgement);
            self.n_samples += 1;
            self.count(sample, score);
            scored.extend(score);
        }
        self.push(item, spread(&scored), false);
    }

    /// Enters a prompt that was dropped before it was sampled.
    pub(super) fn enter_contaminated(&mut self, item: &Item, contamination: &Contamination) {
        let counts = self.contamination.get_or_insert_default();
        match contamination.found() {
            Some((set, by)) => {
                *counts.by_set.entry(set.to_owned()).or_default() += 1;
                *counts.by_match.entry(by.name().to_owned()).or_default() += 1;
            }
            None => counts.n_unreadable += 1,
        }
        self.push(item, spread(&[]), true);
    }

    fn push(&mut self, item: &Item, spread: Spread, is_contaminated: bool) {
        let stratum = stratum(item, self.stratify_by);
        let stratum = self
            .strata
            .entry(stratum)
            .or_insert_with_key(|name| name.as_str().into())
            .clone();
        self.candidates.push(Candidate {
            id: item.id.clone(),
            stratum,
            benign: is_benign(item.kind),
            spread,
        });
        self.notes.push(Note {
            kind: item.kind,
            is_contaminated,
        });
    }

    fn count(&mut self, sample: &Sample, score: Option<(f64, bool)>) {
        let Some(policy) = &sample.policy else { return };
        if !self.policies.contains_key(policy) {
            self.policies.insert(policy.clone(), PolicyCounts::default());
        }
        let Some(counts) = self.policies.get_mut(policy) else {
            return;
        };
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

/// The score s of a sample, 0..10: thinking and answer by the rubric, penalties taken off, without format, gate and
/// cap; and whether the answer is safe. None where the judge or the rubric has no score.
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
