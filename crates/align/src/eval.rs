//! Evaluation: responses in, rates with intervals and unscored counts out.
//!
//! [`run()`] has every item answered and judged. [`summarize`] turns judged responses into rates. [`compare()`] compares
//! two models item by item. Responses that a judge could not score are in no rate; they are counted beside it.

mod compare;
mod rates;
mod refusal;
mod run;
pub mod suite;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use compare::{Comparison, Difference, SplitComparison, compare};
pub use rates::{RATES, RateDefinition, SAFE_THRESHOLD, summarize};
pub use refusal::{KeywordRefusal, Refusal, detect_refusal};
pub use run::{EvalConfig, EvalError, EvalOutcome, Evaluation, RefusalBy, run};

use crate::types::Item;
use crate::verdict::{Judgement, judgement_record};

/// One response to one item and what the judge says of it; one line of `responses.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JudgedResponse {
    /// The item.
    pub item: Item,
    /// The model's response; empty, and unscored, where it gave none.
    pub response: String,
    /// What the judge says of it.
    #[serde(with = "judgement_record")]
    pub judgement: Judgement,
}

/// A share of scored responses in %, with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// The share in %; none where nothing was scored.
    pub percent: Option<f64>,
    /// Lower end of the 95 % interval in %.
    pub low: Option<f64>,
    /// Upper end of the 95 % interval in %.
    pub high: Option<f64>,
    /// How many responses it is over.
    pub n: usize,
}

/// One model's results on one split. Unscored responses are in no rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SplitSummary {
    /// The split.
    pub split: String,
    /// How many responses there are, scored or not.
    pub n: usize,
    /// How many of them the judge could not score.
    pub unscored: usize,
    /// Rates by name, those of [`RATES`] that apply to the split.
    pub rates: BTreeMap<String, Rate>,
    /// Mean score by reward dimension, such as `think/grounding`, 0..10.
    pub dimensions: BTreeMap<String, f64>,
}

/// One model's results; `summary.json` of an evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvalSummary {
    /// The model's name in tables.
    pub model: String,
    /// The judge's name.
    pub judge: String,
    /// One entry per split: easy, hard, real, benign, verb, black, general, others in the order they come, and
    /// last, where there are several, `all`.
    pub splits: Vec<SplitSummary>,
}

impl EvalSummary {
    /// The results on a split.
    pub fn split(&self, name: &str) -> Option<&SplitSummary> {
        self.splits.iter().find(|split| split.split == name)
    }

    /// A rate in %, where the split was evaluated and anything was scored.
    pub fn percent(&self, split: &str, rate: &str) -> Option<f64> {
        self.split(split)?.rates.get(rate)?.percent
    }

    /// The names of the rates of any split.
    pub fn rate_names(&self) -> Vec<String> {
        let names: BTreeSet<&String> = self.splits.iter().flat_map(|split| split.rates.keys()).collect();
        names.into_iter().cloned().collect()
    }
}

#[cfg(test)]
mod samples;
