//! Two models on the same suite: paired differences of rates and scores, and the items whose verdict flips.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::eval::Difference;
use crate::eval::compare::{mean_difference, rate_difference};
use crate::statistics::PairedCounts;
use crate::types::ItemKind;

/// What comparing needs of a line of `responses.jsonl`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ComparedRecord {
    /// The item.
    pub item: ComparedItem,
    /// Whether it counts, by rate.
    pub counts: BTreeMap<String, Option<bool>>,
    /// Its scores by name.
    #[serde(default)]
    pub scores: BTreeMap<String, f64>,
}

/// What comparing needs of an item.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ComparedItem {
    /// Its id.
    pub id: String,
    /// Its split.
    #[serde(default)]
    pub split: Option<String>,
    /// How an answer to it is counted.
    #[serde(default)]
    pub kind: Option<ItemKind>,
}

/// An item that counts for one model and not for the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flip {
    /// The item.
    pub id: String,
    /// How an answer to it is counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ItemKind>,
    /// The rate.
    pub rate: String,
    /// Whether it counts for the model; for the baseline it is the other way round.
    pub counts: bool,
}

/// Differences on one split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SuiteDifferences {
    /// The split; `all` where it is all of them.
    pub split: String,
    /// Differences of rates, over the items that both were scored on.
    pub rates: BTreeMap<String, Difference>,
    /// Differences of mean scores.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scores: BTreeMap<String, Difference>,
}

/// A model compared with a baseline on a suite.
#[derive(Clone, Debug, PartialEq)]
pub struct SuiteComparison {
    /// All items first, then by split where there are several.
    pub splits: Vec<SuiteDifferences>,
    /// The items whose verdict flips, in the suite's order.
    pub flips: Vec<Flip>,
}

/// An item's record by the baseline and by the model.
type Pair<'a> = (&'a ComparedRecord, &'a ComparedRecord);

/// Compares a model with a baseline, matched by the items' ids. Items that either is not scored on are in no pair.
/// Rates that are made of others are not compared.
pub fn compare_suites(baseline: &[ComparedRecord], model: &[ComparedRecord]) -> SuiteComparison {
    let before: HashMap<&str, &ComparedRecord> =
        baseline.iter().map(|record| (record.item.id.as_str(), record)).collect();
    let pairs = model.iter().filter_map(|after| Some((*before.get(after.item.id.as_str())?, after)));
    let pairs: Vec<Pair> = pairs.collect();
    let mut by_split: Vec<(&str, Vec<Pair>)> = Vec::new();
    for pair in &pairs {
        let split = pair.1.item.split.as_deref().unwrap_or(super::summary::ALL);
        match by_split.iter_mut().find(|(known, _)| *known == split) {
            Some((_, members)) => members.push(*pair),
            None => by_split.push((split, vec![*pair])),
        }
    }
    let mut splits = vec![differences(super::summary::ALL, &pairs)];
    if by_split.len() > 1 {
        splits.extend(by_split.iter().map(|(split, pairs)| differences(split, pairs)));
    }
    SuiteComparison { splits, flips: pairs.iter().copied().flat_map(flips).collect() }
}

fn differences(split: &str, pairs: &[Pair]) -> SuiteDifferences {
    let mut outcomes: BTreeMap<&str, PairedCounts> = BTreeMap::new();
    let mut changes: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for pair in pairs {
        for (rate, outcome) in outcomes_of(*pair) {
            outcomes.entry(rate).or_default().add(outcome);
        }
        for (name, score) in &pair.1.scores {
            if let Some(earlier) = pair.0.scores.get(name) {
                changes.entry(name).or_default().push(score - earlier);
            }
        }
    }
    let rates = outcomes.into_iter().filter_map(|(rate, counts)| Some((rate.to_owned(), rate_difference(&counts)?)));
    let scores = changes.into_iter().filter_map(|(name, changes)| Some((name.to_owned(), mean_difference(&changes)?)));
    SuiteDifferences { split: split.to_owned(), rates: rates.collect(), scores: scores.collect() }
}

/// By rate, whether a pair's item counts for the baseline and for the model; without what either is not scored on.
fn outcomes_of((before, after): Pair<'_>) -> impl Iterator<Item = (&str, (bool, bool))> {
    after.counts.iter().filter_map(|(rate, counts)| {
        let outcome = before.counts.get(rate).copied().flatten().zip(*counts)?;
        Some((rate.as_str(), outcome))
    })
}

fn flips(pair: Pair<'_>) -> impl Iterator<Item = Flip> {
    let item = &pair.1.item;
    outcomes_of(pair).filter(|(_, (before, after))| before != after).map(|(rate, (_, counts))| Flip {
        id: item.id.clone(),
        kind: item.kind,
        rate: rate.to_owned(),
        counts,
    })
}
