//! Two models on the same suite: paired differences of rates, and the items whose verdict flips.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::record::SuiteRecord;
use crate::eval::Difference;
use crate::eval::compare::rate_difference;
use crate::statistics::PairedCounts;

/// An item that counts for one model and not for the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flip {
    /// The item.
    pub id: String,
    /// The rate.
    pub rate: String,
    /// Whether it counts for the model; for the baseline it is the other way round.
    pub counts: bool,
}

/// A model compared with a baseline on a suite.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SuiteComparison {
    /// The suite's name.
    pub suite: String,
    /// The baseline's name.
    pub baseline: String,
    /// The model's name.
    pub model: String,
    /// Differences of rates over the items that both were scored on.
    pub rates: BTreeMap<String, Difference>,
    /// The items whose verdict flips, in the suite's order.
    pub flips: Vec<Flip>,
}

/// Compares a model with a baseline, matched by the items' ids. Items that either is not scored on are in no pair.
pub fn compare_suites(suite: &str, baseline: (&str, &[SuiteRecord]), model: (&str, &[SuiteRecord])) -> SuiteComparison {
    let before: HashMap<&str, &SuiteRecord> =
        baseline.1.iter().map(|record| (record.item.id.as_str(), record)).collect();
    let mut pairs: BTreeMap<String, Vec<(bool, bool)>> = BTreeMap::new();
    let mut flips = Vec::new();
    for after in model.1 {
        let Some(before) = before.get(after.item.id.as_str()) else {
            continue;
        };
        for (rate, counts) in &after.counts {
            let Some(pair) = before.counts.get(rate).copied().flatten().zip(*counts) else {
                continue;
            };
            pairs.entry(rate.clone()).or_default().push(pair);
            if pair.0 != pair.1 {
                flips.push(Flip { id: after.item.id.clone(), rate: rate.clone(), counts: pair.1 });
            }
        }
    }
    let rates = pairs.into_iter().filter_map(|(rate, pairs)| {
        let counts: PairedCounts = pairs.into_iter().collect();
        Some((rate, rate_difference(&counts)?))
    });
    SuiteComparison {
        suite: suite.to_owned(),
        baseline: baseline.0.to_owned(),
        model: model.0.to_owned(),
        rates: rates.collect(),
        flips,
    }
}
