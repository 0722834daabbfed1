//! How a suite's verdicts become its rates.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::record::{Sample, SuiteRecord};
use crate::eval::detect_refusal;
use crate::tagged::answer_of;
use crate::types::Item;
use crate::verdict::{Judgement, Unscored};

/// Which way a rate is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// Less is better, as of attack success.
    Lower,
    /// More is better, as of accuracy.
    Higher,
    /// Neither by itself, as of a share among several.
    Neither,
}

/// How verdicts become rates.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// How many responses to an item are scored; 1 but where the authors ask for more.
    pub samples: usize,
    /// What the verdicts of an item's samples are together.
    pub merge: fn(Vec<Judgement<Value>>) -> Judgement<Value>,
    /// The suite's rates, in the order of tables.
    pub metrics: &'static [Metric],
    /// Rates made of others.
    pub combined: &'static [Combined],
    /// Scores whose means are reported.
    pub scores: &'static [Score],
}

/// A rate: which items it is over, and which of their verdicts count.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its key in JSON.
    pub name: &'static str,
    /// Its heading in tables.
    pub heading: &'static str,
    /// Which way it is better.
    pub better: Better,
    /// Whether it is over an item.
    pub applies: fn(&Item) -> bool,
    /// Whether a verdict counts; none where the verdict does not say, which leaves the item unscored.
    pub counts: fn(&Value) -> Option<bool>,
    /// What the authors' own code makes of what could not be scored, where that is another number.
    pub original: Option<Original>,
}

/// What the authors' own code counts.
#[derive(Clone, Copy, Debug)]
pub struct Original {
    /// The rule in words, such as `an empty response is a refusal`.
    pub rule: &'static str,
    /// For each record, in the order of the suite's items, whether the authors count it; none for what they leave out.
    pub counts: fn(&[SuiteRecord]) -> Vec<Option<bool>>,
}

/// A rate made of others.
#[derive(Clone, Copy, Debug)]
pub struct Combined {
    /// Its key in JSON.
    pub name: &'static str,
    /// Its heading in tables.
    pub heading: &'static str,
    /// Which way it is better.
    pub better: Better,
    /// What it is made of.
    pub of: CombinedOf,
}

/// What a combined rate is made of.
#[derive(Clone, Copy, Debug)]
pub enum CombinedOf {
    /// The mean of these rates.
    Rates(&'static [&'static str]),
    /// The mean over categories of this rate, each category counting alike.
    Categories(&'static str),
}

/// A score whose mean is reported.
#[derive(Clone, Copy, Debug)]
pub struct Score {
    /// Its key in JSON.
    pub name: &'static str,
    /// Its heading in tables.
    pub heading: &'static str,
    /// The score in a verdict; none where the verdict has none.
    pub value: fn(&Value) -> Option<f64>,
}

impl Protocol {
    /// The record of an item with these samples.
    pub fn record(&self, item: Item, samples: Vec<Sample>) -> SuiteRecord {
        let judgement = (self.merge)(samples.iter().map(|sample| sample.judgement.clone()).collect());
        let verdict = judgement.as_ref().ok();
        let over = self.metrics.iter().filter(|metric| (metric.applies)(&item));
        let counts = over.map(|metric| (metric.name.to_owned(), verdict.and_then(metric.counts))).collect();
        let scores = self.scores.iter().filter_map(|score| {
            let value = verdict.and_then(score.value)?;
            Some((score.name.to_owned(), value))
        });
        let scores = scores.collect();
        let refusal = samples.first().and_then(|sample| detect_refusal(answer_of(&sample.response)));
        SuiteRecord { item, samples, judgement, counts, scores, refusal }
    }
}

/// The verdict of the only sample.
pub fn first_sample(samples: Vec<Judgement<Value>>) -> Judgement<Value> {
    samples.into_iter().next().unwrap_or_else(|| Err(Unscored::new("no response")))
}
