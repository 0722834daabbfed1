//! Evaluation: responses in, rates with intervals and unscored counts out.

use serde::{Deserialize, Serialize};

use crate::types::Item;
use crate::verdict::Judgement;

/// One response to one item and what the judge says of it; one line of `responses.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JudgedResponse {
    /// The item.
    pub item: Item,
    /// The model's response.
    pub response: String,
    /// What the judge says of it.
    pub judgement: Judgement,
}

/// A share of scored responses, in per cent, with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// The share in per cent; none when nothing was scored.
    pub percent: Option<f64>,
    /// Lower end of the 95 % interval, in per cent.
    pub low: Option<f64>,
    /// Upper end of the 95 % interval, in per cent.
    pub high: Option<f64>,
    /// How many responses count.
    pub n: usize,
}

/// The figures of one split of one model. Rates leave unscored responses out of both counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SplitSummary {
    /// The split.
    pub split: String,
    /// How many responses there are, scored or not.
    pub n: usize,
    /// How many of them the judge could not score.
    pub unscored: usize,
    /// Named rates, each present where it has a meaning: `asr`, `hr`, `rsr`, `rr`, `over_refusal`, `accuracy`,
    /// `think_safety`, `hallucination`, `contradiction`.
    pub rates: std::collections::BTreeMap<String, Rate>,
    /// Mean score by reward dimension, such as `think/grounding`, 0..10.
    pub dimensions: std::collections::BTreeMap<String, f64>,
}

/// One model's figures; `summary.json` of an evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvalSummary {
    /// The model's name in tables.
    pub model: String,
    /// The judge's name.
    pub judge: String,
    /// One entry a split, in the order evaluated.
    pub splits: Vec<SplitSummary>,
}
