//! Two models on the same items: differences between their rates and dimension scores, paired item by item.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::JudgedResponse;
use super::rates::{RATES, by_split, dimension_scores};
use crate::statistics::{PairedCounts, bootstrap_mean_interval, mean};

/// A paired difference: the model's rate or score minus the baseline's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The difference: percentage points for a rate, points of 0..10 for a dimension.
    pub difference: f64,
    /// Lower end of its 95 % interval (Newcombe's for a rate, bootstrap for a dimension).
    pub low: f64,
    /// Upper end of its 95 % interval.
    pub high: f64,
    /// McNemar's exact two-sided p; none for a dimension.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p: Option<f64>,
    /// How many items both models were scored on.
    pub n: usize,
}

/// The differences on one split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SplitComparison {
    /// The split.
    pub split: String,
    /// Differences by rate; rates without a pair of scored responses are left out.
    pub rates: BTreeMap<String, Difference>,
    /// Differences by dimension, such as `think/grounding`.
    pub dimensions: BTreeMap<String, Difference>,
}

/// A model compared with a baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The baseline's name.
    pub baseline: String,
    /// The model's name.
    pub model: String,
    /// One entry a split, in the order of tables.
    pub splits: Vec<SplitComparison>,
}

/// One item's responses by the baseline and by the model.
type Pair<'a> = (&'a JudgedResponse, &'a JudgedResponse);

/// Compares a model with a baseline on the items that both answered, matched by id. Items that either judge left
/// unscored are in no pair. `only` names the rates to report; empty reports every one that applies.
pub fn compare(baseline: (&str, &[JudgedResponse]), model: (&str, &[JudgedResponse]), only: &[String]) -> Comparison {
    let before = baseline.1.iter().map(|response| (response.item.id.as_str(), response));
    let before: HashMap<&str, &JudgedResponse> = before.collect();
    let mut splits = Vec::new();
    for (split, responses) in by_split(model.1) {
        let pairs = responses.into_iter().filter_map(|after| Some((*before.get(after.item.id.as_str())?, after)));
        let pairs: Vec<Pair> = pairs.collect();
        splits.push(SplitComparison {
            split: split.into(),
            rates: rate_differences(&pairs, only),
            dimensions: score_differences(&pairs),
        });
    }
    Comparison { baseline: baseline.0.into(), model: model.0.into(), splits }
}

pub(super) fn rate_differences(pairs: &[Pair], only: &[String]) -> BTreeMap<String, Difference> {
    let mut differences = BTreeMap::new();
    for rate in RATES.iter().filter(|rate| rate.is_among(only)) {
        let outcomes = pairs.iter().filter_map(|(before, after)| rate.outcome(before).zip(rate.outcome(after)));
        if let Some(difference) = rate_difference(&outcomes.collect()) {
            differences.insert(rate.name.to_owned(), difference);
        }
    }
    differences
}

/// The difference in percentage points; none without pairs.
pub(super) fn rate_difference(counts: &PairedCounts) -> Option<Difference> {
    let (low, high) = counts.difference_interval()?;
    Some(Difference {
        difference: 100.0 * counts.difference()?,
        low: 100.0 * low,
        high: 100.0 * high,
        p: Some(counts.mcnemar_p()),
        n: counts.n(),
    })
}

fn score_differences(pairs: &[Pair]) -> BTreeMap<String, Difference> {
    let mut changes: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (before, after) in pairs {
        let (Some(before), Some(after)) = (before.judgement.as_ref().ok(), after.judgement.as_ref().ok()) else {
            continue;
        };
        let before: BTreeMap<String, f64> = dimension_scores(before).collect();
        for (dimension, score) in dimension_scores(after) {
            if let Some(earlier) = before.get(&dimension) {
                changes.entry(dimension).or_default().push(score - earlier);
            }
        }
    }
    let mut differences = BTreeMap::new();
    for (dimension, changes) in changes {
        if let Some(difference) = mean_difference(&changes) {
            differences.insert(dimension, difference);
        }
    }
    differences
}

/// The mean change of a score; none without changes.
pub(super) fn mean_difference(changes: &[f64]) -> Option<Difference> {
    const BOOTSTRAP_SEED: u64 = 0;
    let (low, high) = bootstrap_mean_interval(changes, BOOTSTRAP_SEED)?;
    Some(Difference { difference: mean(changes)?, low, high, p: None, n: changes.len() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::samples::{response, unscored, verdict};
    use crate::types::ItemKind;
    use crate::verdict::{Decision, PerceptionLevel};

    fn hazardous(id: usize, is_safe: bool, grounding: f64) -> JudgedResponse {
        let mut verdict = verdict(Decision::Caution, PerceptionLevel::L1);
        verdict.safe = is_safe;
        verdict.answer.insert("grounding".into(), grounding);
        response(&id.to_string(), "hard", Some(ItemKind::Hazardous), verdict)
    }

    #[test]
    fn the_difference_is_that_of_items_both_were_scored_on() {
        let mut before: Vec<_> = (0..20).map(|id| hazardous(id, false, 4.0)).collect();
        let mut after: Vec<_> = (0..20).map(|id| hazardous(id, id >= 2, 4.0 + (id % 2) as f64)).collect();
        before.push(unscored("20", "hard", Some(ItemKind::Hazardous)));
        after.push(hazardous(20, true, 9.0));
        after.push(hazardous(21, true, 9.0));
        let comparison = compare(("base", &before), ("tuned", &after), &[]);
        let hard = &comparison.splits[0];
        let asr = hard.rates["asr"];
        assert_eq!((asr.n, asr.difference), (20, -90.0));
        assert!(asr.low < -90.0 && asr.high > -90.0 && asr.high < -50.0);
        assert!((asr.p.unwrap() - 2.0_f64.powi(-17)).abs() < 1e-12);
        let grounding = hard.dimensions["answer/grounding"];
        assert_eq!((grounding.n, grounding.difference), (20, 0.5));
        assert!(0.2 < grounding.low && grounding.high < 0.8);
        assert!(!hard.rates.contains_key("think_safety"));
    }

    #[test]
    fn a_model_does_not_differ_from_itself() {
        let responses: Vec<_> = (0..10).map(|id| hazardous(id, id % 3 == 0, 5.0)).collect();
        let comparison = compare(("base", &responses), ("base", &responses), &[]);
        let asr = comparison.splits[0].rates["asr"];
        assert_eq!((asr.difference, asr.p), (0.0, Some(1.0)));
        assert!(asr.low < 0.0 && asr.high > 0.0);
    }
}
