//! What is kept of each item: its responses, and what was made of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::eval::Refusal;
use crate::types::Item;
use crate::verdict::{Judgement, judgement_record};

/// How a response ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// The model ended it.
    Stop,
    /// The token limit did.
    Length,
    /// There is none: the endpoint refused the request, or broke the response off, as harmful.
    Refused,
    /// There is none for another reason.
    Failed,
}

/// One response to an item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The response; empty where there is none.
    pub response: String,
    /// How it ended.
    pub ended: Ended,
    /// What the suite's rule or the judges together say of it.
    #[serde(with = "judgement_record")]
    pub judgement: Judgement<Value>,
    /// What each judge says, where there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_judge: Vec<Value>,
}

/// An item with its responses and what they count; a line of `responses.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SuiteRecord {
    /// The item; image paths are relative to the folder of results.
    pub item: Item,
    /// The responses.
    pub samples: Vec<Sample>,
    /// What is said of the item by all its samples.
    #[serde(with = "judgement_record")]
    pub judgement: Judgement<Value>,
    /// Whether it counts, by rate; null where the rate is over the item and the item is unscored.
    pub counts: BTreeMap<String, Option<bool>>,
    /// Its scores by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scores: BTreeMap<String, f64>,
    /// What the first response does by its words: complies, refuses, or refuses in part. None for an empty one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
}

impl SuiteRecord {
    /// The first response; empty where there is none.
    pub fn response(&self) -> &str {
        self.samples.first().map_or("", |sample| &sample.response)
    }

    /// Whether a rate is over it that it is not scored for.
    pub fn is_unscored(&self) -> bool {
        self.judgement.is_err() || self.counts.values().any(Option::is_none)
    }

    /// Whether any of its responses ended so.
    pub fn has_ended(&self, ended: Ended) -> bool {
        self.samples.iter().any(|sample| sample.ended == ended)
    }
}
