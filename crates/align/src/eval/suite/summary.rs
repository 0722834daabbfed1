//! From records to rates by split and category, with intervals, bounds and what the authors' own code would count.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::protocol::{Better, CombinedOf, Metric, Protocol};
use super::record::{Ended, SuiteRecord};
use crate::eval::{Rate, Refusal};
use crate::statistics::{Z, mean, standard_deviation, weighted_interval};

/// The split of items that name none, and of all of them together.
pub(super) const ALL: &str = "all";

/// The field of a verdict in which judges say how far a response goes along with what could do harm.
pub const JUDGED_CLASS: &str = "response_class";

/// A rate with what it could be at most and at least.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BoundedRate {
    /// The share among the items that were scored.
    #[serde(flatten)]
    pub rate: Rate,
    /// How many items it is over, scored or not.
    pub items: usize,
    /// The rate in % if no unscored item counted.
    pub lowest: Option<f64>,
    /// The rate in % if every unscored item counted.
    pub highest: Option<f64>,
    /// What the authors' own code makes of it, where that is another number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_original: Option<AsOriginal>,
}

/// What the authors' own code makes of a rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AsOriginal {
    /// Their rule for what could not be scored.
    pub rule: String,
    /// Their rate in %.
    pub percent: Option<f64>,
    /// How many items they count it over.
    pub n: usize,
}

/// The mean of a score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MeanScore {
    /// How many items have it.
    pub n: usize,
    /// The mean; none of nothing.
    pub mean: Option<f64>,
    /// Lower end of its 95 % interval by the normal approximation; none for fewer than two.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// How many items have each value.
    #[serde(default)]
    pub counts: BTreeMap<String, usize>,
}

/// The figures of a group of items: all, a split, or a category.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GroupSummary {
    /// The split; `all` where it is all of them.
    pub split: String,
    /// The category, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Items.
    pub n: usize,
    /// Those that some rate is over and that are not scored for it.
    pub unscored: usize,
    /// Those with a response that the token limit ended.
    pub truncated: usize,
    /// Those that the endpoint refused to answer.
    pub refused_by_endpoint: usize,
    /// Responses that refuse, refuse in part, and comply, by their words; empty ones are in none.
    pub refusals: BTreeMap<Refusal, usize>,
    /// The same by judges, where they were asked: `full_compliance`, `safe_completion`, `partial_refusal`, `full_refusal`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub judged_refusals: BTreeMap<String, usize>,
    /// Rates by name.
    pub rates: BTreeMap<String, BoundedRate>,
    /// Means of scores by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scores: BTreeMap<String, MeanScore>,
}

/// What tables need to know of a rate or a score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RateInfo {
    /// Its key.
    pub name: String,
    /// Its heading in tables.
    pub heading: String,
    /// Which way it is better.
    pub better: Better,
}

/// A figure that was published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Published {
    /// The model, as published.
    pub model: String,
    /// The split; `all` where it is over all items.
    pub split: String,
    /// The rate, by our name.
    pub rate: String,
    /// The figure in %.
    pub percent: f64,
    /// Who judged.
    pub judge: String,
    /// Where it is published.
    pub source: String,
}

/// Something that was not done as the authors did it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deviation {
    /// What.
    pub setting: String,
    /// As the authors have it.
    pub authors: String,
    /// As it was here.
    pub here: String,
}

/// A prompt that judges answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PromptUsed {
    /// What it asks for.
    pub question: String,
    /// `official`, from the user's copy of the authors' repository; or `ours`, a wording of this project.
    pub wording: String,
    /// The first twelve hexadecimal digits of its SHA-256.
    pub hash: String,
}

/// One model's results on a suite; `summary.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SuiteSummary {
    /// The suite's name.
    pub suite: String,
    /// Its title.
    pub title: String,
    /// The model's name in tables.
    pub model: String,
    /// The rule or the judges.
    pub scored_by: String,
    /// The prompts that the judges answered; empty for a rule.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prompts: Vec<PromptUsed>,
    /// The suites that this is the mean of; empty where it is a suite's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mean_of: Vec<String>,
    /// The suite's rates, in the order of tables, those made of others last.
    pub rates: Vec<RateInfo>,
    /// Its scores.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scores: Vec<RateInfo>,
    /// All items first, then splits, then categories.
    pub groups: Vec<GroupSummary>,
    /// Items that could not be asked about, since an image of theirs is missing.
    pub missing_items: usize,
    /// What differs from how the authors do it.
    pub deviations: Vec<Deviation>,
    /// Published figures to stand beside.
    pub published: Vec<Published>,
    /// Versions, hashes and settings: what the figures were made with.
    pub made_with: Value,
}

impl SuiteSummary {
    /// The figures of a split, over all categories; `all` is all of it.
    pub fn split(&self, name: &str) -> Option<&GroupSummary> {
        self.groups.iter().find(|group| group.split == name && group.category.is_none())
    }
}

/// The figures of all records, then by split where there are several, then by category where there are several.
pub fn summarize(records: &[SuiteRecord], protocol: &Protocol) -> Vec<GroupSummary> {
    let originals: Vec<Option<Vec<Option<bool>>>> =
        protocol.metrics.iter().map(|metric| metric.original.map(|original| (original.counts)(records))).collect();
    let everything: Vec<usize> = (0..records.len()).collect();
    let view = View { records, protocol, originals: &originals };
    let mut groups = vec![view.group(ALL, None, &everything)];
    let splits = grouped(&everything, |index| records[index].item.split.as_deref());
    if splits.len() > 1 {
        groups.extend(splits.iter().map(|(split, members)| view.group(split, None, members)));
    }
    for (split, members) in &splits {
        let categories = grouped(members, |index| records[index].item.category.as_deref());
        if categories.len() > 1 {
            groups.extend(categories.iter().map(|(category, members)| view.group(split, Some(category), members)));
        }
    }
    groups
}

/// Members by a name, in the order in which names first come.
fn grouped<'a>(members: &[usize], name: impl Fn(usize) -> Option<&'a str>) -> Vec<(&'a str, Vec<usize>)> {
    let mut groups: Vec<(&str, Vec<usize>)> = Vec::new();
    for index in members {
        let name = name(*index).unwrap_or(ALL);
        match groups.iter_mut().find(|(known, _)| *known == name) {
            Some((_, members)) => members.push(*index),
            None => groups.push((name, vec![*index])),
        }
    }
    groups
}

/// The records, and what the authors count of each by metric.
struct View<'a> {
    records: &'a [SuiteRecord],
    protocol: &'a Protocol,
    originals: &'a [Option<Vec<Option<bool>>>],
}

impl View<'_> {
    fn group(&self, split: &str, category: Option<&str>, members: &[usize]) -> GroupSummary {
        let records: Vec<&SuiteRecord> = members.iter().map(|index| &self.records[*index]).collect();
        let n_ended = |ended| records.iter().filter(|record| record.has_ended(ended)).count();
        let mut refusals = BTreeMap::new();
        for refusal in records.iter().filter_map(|record| record.refusal) {
            *refusals.entry(refusal).or_insert(0) += 1;
        }
        let mut judged_refusals = BTreeMap::new();
        for verdict in records.iter().filter_map(|record| record.judgement.as_ref().ok()) {
            if let Some(class) = verdict[JUDGED_CLASS].as_str() {
                *judged_refusals.entry(class.to_owned()).or_insert(0) += 1;
            }
        }
        let mut rates = self.rates(members);
        for combined in self.protocol.combined {
            if let Some(rate) = self.combined(combined.of, &rates, members) {
                rates.insert(combined.name.to_owned(), rate);
            }
        }
        GroupSummary {
            split: split.to_owned(),
            category: category.map(str::to_owned),
            n: records.len(),
            unscored: records.iter().filter(|record| record.is_unscored()).count(),
            truncated: n_ended(Ended::Length),
            refused_by_endpoint: n_ended(Ended::Refused),
            refusals,
            judged_refusals,
            rates,
            scores: scores(self.protocol, &records),
        }
    }

    /// The rates that are over a member.
    fn rates(&self, members: &[usize]) -> BTreeMap<String, BoundedRate> {
        let records: Vec<&SuiteRecord> = members.iter().map(|index| &self.records[*index]).collect();
        let mut rates = BTreeMap::new();
        for (metric, original) in self.protocol.metrics.iter().zip(self.originals) {
            if let Some(mut rate) = rate(metric.name, &records) {
                rate.as_original = original.as_ref().and_then(|counts| as_original(metric, counts, members, &rate));
                rates.insert(metric.name.to_owned(), rate);
            }
        }
        rates
    }

    /// A rate made of others; none where one of them is over no item.
    fn combined(
        &self,
        of: CombinedOf,
        rates: &BTreeMap<String, BoundedRate>,
        members: &[usize],
    ) -> Option<BoundedRate> {
        match of {
            CombinedOf::Rates(names) => {
                let parts: Option<Vec<BoundedRate>> = names.iter().map(|name| rates.get(*name).cloned()).collect();
                mean_of(&parts?)
            }
            CombinedOf::Categories(name) => {
                let categories = grouped(members, |index| self.records[index].item.category.as_deref());
                let parts = categories.iter().filter_map(|(_, members)| self.rates(members).remove(name));
                mean_of(&parts.collect::<Vec<_>>())
            }
        }
    }
}

/// A rate over the records that it is over; none where there are none.
fn rate(name: &str, records: &[&SuiteRecord]) -> Option<BoundedRate> {
    let counts: Vec<Option<bool>> = records.iter().filter_map(|record| record.counts.get(name).copied()).collect();
    if counts.is_empty() {
        return None;
    }
    let scored: Vec<bool> = counts.iter().copied().flatten().collect();
    let (items, n, yes) = (counts.len(), scored.len(), scored.iter().filter(|counts| **counts).count());
    let percent = |count: usize| Some(100.0 * count as f64 / items as f64);
    Some(BoundedRate {
        rate: Rate::of(yes, n),
        items,
        lowest: percent(yes),
        highest: percent(yes + items - n),
        as_original: None,
    })
}

/// What the authors count among the members; none where it is the same as here.
fn as_original(metric: &Metric, counts: &[Option<bool>], members: &[usize], ours: &BoundedRate) -> Option<AsOriginal> {
    let counted: Vec<bool> = members.iter().filter_map(|index| *counts.get(*index)?).collect();
    let (n, yes) = (counted.len(), counted.iter().filter(|counts| **counts).count());
    let percent = (n > 0).then(|| 100.0 * yes as f64 / n as f64);
    let is_same = n == ours.rate.n && percent == ours.rate.percent;
    let rule = metric.original.map_or("", |original| original.rule).to_owned();
    (!is_same).then_some(AsOriginal { rule, percent, n })
}

/// The mean of rates, each counting alike; its interval is of independent shares. Where nothing was scored for one of
/// them, it has bounds alone.
pub(super) fn mean_of(parts: &[BoundedRate]) -> Option<BoundedRate> {
    if parts.is_empty() {
        return None;
    }
    let mean_over = |of: fn(&BoundedRate) -> Option<f64>| {
        let values: Option<Vec<f64>> = parts.iter().map(of).collect();
        mean(&values?)
    };
    let weight = 1.0 / parts.len() as f64;
    let shares = parts.iter().map(|part| Some((weight, part.rate.percent?, (part.rate.low?, part.rate.high?))));
    let interval = shares.collect::<Option<Vec<_>>>().map(|shares| weighted_interval(&shares));
    let n = parts.iter().map(|part| part.rate.n).sum();
    let percent = mean_over(|part| part.rate.percent);
    let rate = Rate { percent, low: interval.map(|ends| ends.0), high: interval.map(|ends| ends.1), n };
    Some(BoundedRate {
        rate,
        items: parts.iter().map(|part| part.items).sum(),
        lowest: mean_over(|part| part.lowest),
        highest: mean_over(|part| part.highest),
        as_original: mean_as_original(parts, mean_over(original_percent)),
    })
}

/// A part as the authors have it, which is as here where nothing else is said.
fn original_percent(part: &BoundedRate) -> Option<f64> {
    part.as_original.as_ref().map_or(part.rate.percent, |original| original.percent)
}

/// What the authors' code makes of a mean; none where no part is another number.
fn mean_as_original(parts: &[BoundedRate], percent: Option<f64>) -> Option<AsOriginal> {
    let mut rules: Vec<&str> = Vec::new();
    for original in parts.iter().filter_map(|part| part.as_original.as_ref()) {
        if !rules.contains(&original.rule.as_str()) {
            rules.push(&original.rule);
        }
    }
    let n = parts.iter().map(|part| part.as_original.as_ref().map_or(part.rate.n, |original| original.n)).sum();
    (!rules.is_empty()).then(|| AsOriginal { rule: rules.join("; "), percent, n })
}

/// Adds counts by name to others.
pub(super) fn add_counts<K: Clone + Ord>(to: &mut BTreeMap<K, usize>, more: &BTreeMap<K, usize>) {
    for (name, count) in more {
        *to.entry(name.clone()).or_insert(0) += count;
    }
}

fn scores(protocol: &Protocol, records: &[&SuiteRecord]) -> BTreeMap<String, MeanScore> {
    let mut means = BTreeMap::new();
    for score in protocol.scores {
        let values: Vec<f64> = records.iter().filter_map(|record| record.scores.get(score.name).copied()).collect();
        let (n, middle) = (values.len(), mean(&values));
        // The deviation divides by n; an interval's by n - 1.
        let half =
            standard_deviation(&values).filter(|_| n > 1).map(|deviation| Z * deviation / (n as f64 - 1.0).sqrt());
        let (low, high) = (middle.zip(half).map(|(m, h)| m - h), middle.zip(half).map(|(m, h)| m + h));
        let mut counts = BTreeMap::new();
        for value in &values {
            *counts.entry(value.to_string()).or_insert(0) += 1;
        }
        means.insert(score.name.to_owned(), MeanScore { n, mean: middle, low, high, counts });
    }
    means
}
