//! Safety-aware rollout: draw a group of responses, judge them, let unsafe ones reflect and correct themselves.

use serde::{Deserialize, Serialize};

use crate::types::{ItemKind, Message};
use crate::verdict::Judgement;

/// What became of one response of a group; one line of `rollouts.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RolloutRecord {
    /// The training step that drew it.
    pub step: usize,
    /// The item it answers.
    pub item_id: String,
    /// How the item is counted.
    pub kind: Option<ItemKind>,
    /// The dialogue it answers, with image references.
    pub messages: Vec<Message>,
    /// Its place in the group.
    pub member: usize,
    /// The response as drawn.
    pub response: String,
    /// What the judge says of it.
    pub judgement: Judgement,
    /// Its reward; none when unscored.
    pub reward: Option<f64>,
    /// The reflection and correction, where the response was unsafe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correction: Option<CorrectionRecord>,
    /// The advantage of the member that was trained; none when nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advantage: Option<f64>,
}

/// A reflection on an unsafe response and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CorrectionRecord {
    /// The reflection's text.
    pub reflection: String,
    /// The corrected response.
    pub response: String,
    /// What the judge says of it.
    pub judgement: Judgement,
    /// Its reward; none when unscored.
    pub reward: Option<f64>,
    /// Whether it took a place in the group.
    pub accepted: bool,
}
