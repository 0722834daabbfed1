//! Our figures as `inspect_ai`'s metrics, all in %.

use std::collections::BTreeMap;

use align::eval::suite::{GroupSummary, SuiteSummary};
use align::eval::{EvalSummary, Rate};
use serde_json::{Map, Value, json};

/// The figures of a benchmark, by rate and score: all items first, then splits.
pub fn of_suite(summary: &SuiteSummary) -> Vec<Value> {
    let groups: Vec<&GroupSummary> = summary.groups.iter().filter(|group| group.category.is_none()).collect();
    let mut scores = Vec::new();
    for info in &summary.rates {
        let found = groups.iter().filter_map(|group| Some((group.split.as_str(), group.rates.get(&info.name)?)));
        let (mut metrics, mut counts, mut rule) = (Map::new(), None, None);
        for (split, rate) in found {
            counts.get_or_insert((rate.rate.n, rate.items - rate.rate.n));
            add_rate(&mut metrics, split, &rate.rate);
            let original = rate.as_original.as_ref();
            rule = rule.or(original.map(|original| original.rule.clone()));
            let bounds = [("lowest", rate.lowest), ("highest", rate.highest)];
            add(&mut metrics, split, bounds.into_iter().chain([("as_original", original.and_then(|one| one.percent))]));
        }
        scores.extend(counts.map(|counts| score(&info.name, counts, &metrics, &json!({ "as_original": rule }))));
    }
    for info in &summary.scores {
        let found = groups.iter().filter_map(|group| Some((*group, group.scores.get(&info.name)?)));
        let (mut metrics, mut counts) = (Map::new(), None);
        for (group, mean) in found {
            counts.get_or_insert((mean.n, group.n - mean.n));
            add(&mut metrics, &group.split, [("mean", mean.mean), ("low", mean.low), ("high", mean.high)]);
        }
        scores.extend(counts.map(|counts| score(&info.name, counts, &metrics, &json!({}))));
    }
    scores
}

/// The figures of an evaluation on items, by rate: all items first, then splits.
pub fn of_items(summary: &EvalSummary) -> Vec<Value> {
    let mut by_rate: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let (all, others): (Vec<_>, Vec<_>) = summary.splits.iter().partition(|split| split.split == "all");
    for split in all.into_iter().chain(others) {
        for (name, rate) in &split.rates {
            counts.entry(name).or_insert(rate.n);
            add_rate(by_rate.entry(name).or_default(), &split.split, rate);
        }
    }
    let scores = by_rate.into_iter().map(|(name, metrics)| {
        let scored = counts.get(name).copied().unwrap_or_default();
        json!({ "name": name, "scorer": name, "scored_samples": scored, "params": {}, "metrics": metrics })
    });
    scores.collect()
}

fn add_rate(metrics: &mut Map<String, Value>, split: &str, rate: &Rate) {
    add(metrics, split, [("percent", rate.percent), ("low", rate.low), ("high", rate.high)]);
}

/// Adds the figures that there are, as `percent` over all items and `split/percent` over a split.
fn add(metrics: &mut Map<String, Value>, split: &str, figures: impl IntoIterator<Item = (&'static str, Option<f64>)>) {
    for (name, value) in figures {
        let Some(value) = value else { continue };
        let key = if split == "all" { name.to_owned() } else { format!("{split}/{name}") };
        metrics.insert(key.clone(), json!({ "name": key, "value": value, "params": {} }));
    }
}

fn score(name: &str, (scored, unscored): (usize, usize), metrics: &Map<String, Value>, metadata: &Value) -> Value {
    json!({
        "name": name, "scorer": name, "scored_samples": scored, "unscored_samples": unscored, "params": {},
        "metrics": metrics, "metadata": metadata,
    })
}
