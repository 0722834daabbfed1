//! What a report holds of benchmarks.

use std::collections::BTreeMap;

use align::eval::suite::{SuiteDifferences, SuiteSummary};
use align::types::{ItemKind, Message};
use align::verdict::{Judgement, judgement_record};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A benchmark: each model's figures, how they differ, and some of the items whose verdict flips.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SuiteReport {
    /// Its name.
    pub suite: String,
    /// Its title.
    pub title: String,
    /// Figures by model, the baseline first.
    pub models: Vec<SuiteSummary>,
    /// Paired differences between models that were scored alike.
    pub comparisons: Vec<ComparedModels>,
    /// Some of the items whose verdict flips, the worst first.
    pub flips: Vec<ShownFlip>,
}

/// A model compared with a baseline on a benchmark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComparedModels {
    /// The baseline's name.
    pub baseline: String,
    /// The model's name.
    pub model: String,
    /// Differences, over all items first, then by split where there are several.
    pub splits: Vec<SuiteDifferences>,
    /// How many items' verdicts flip, by rate.
    pub flips: BTreeMap<String, FlipCounts>,
}

/// How many items count for one of two models alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlipCounts {
    /// For the model.
    pub model_only: usize,
    /// For the baseline.
    pub baseline_only: usize,
}

/// An item whose verdict flips, with both responses. Long texts are shortened; image paths below the report's folder are
/// relative to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShownFlip {
    /// The baseline's name.
    pub baseline: String,
    /// The model's name.
    pub model: String,
    /// The item.
    pub id: String,
    /// Its split.
    pub split: Option<String>,
    /// Its category.
    pub category: Option<String>,
    /// How an answer to it is counted.
    pub kind: Option<ItemKind>,
    /// The rates that it counts for with one of them alone.
    pub rates: Vec<FlippedRate>,
    /// The prompt.
    pub messages: Vec<Message>,
    /// The baseline's response.
    pub before: ShownResponse,
    /// The model's.
    pub after: ShownResponse,
}

/// A rate that an item counts for with one of two models alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlippedRate {
    /// Its key.
    pub rate: String,
    /// Whether the item counts for the model; for the baseline it is the other way round.
    pub counts: bool,
}

/// A response and what was said of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShownResponse {
    /// The response; empty where there is none.
    pub response: String,
    /// The verdict, or why there is none.
    #[serde(with = "judgement_record")]
    pub judgement: Judgement<Value>,
}
