//! What a curation leaves on record of each prompt.

use serde::{Deserialize, Serialize};

use crate::types::ItemKind;

/// Why a prompt is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DropReason {
    /// Fewer than two of its samples could be scored.
    TooFewScored,
    /// Its quality lies in the lowest share.
    LowQuality,
    /// Its quality lies in the highest share.
    HighQuality,
    /// It lies in the box, but enough others of its stratum are less stable.
    LowInstability,
    /// It stands in an evaluation set, or cannot be compared with one; `contaminated.jsonl` says what matched.
    Contaminated,
}

/// What became of one prompt; one line of `curation.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurationRecord {
    /// The prompt's id.
    pub id: String,
    /// How it is counted.
    pub kind: Option<ItemKind>,
    /// The stratum it was ranked in.
    pub stratum: String,
    /// Mean score Q, 0..10; none when nothing was scored.
    pub q: Option<f64>,
    /// Standard deviation I of the scores, 0..5.
    pub i: Option<f64>,
    /// Share of pairs of samples of which one is safe and the other is not.
    pub flip_rate: Option<f64>,
    /// How many of its samples were scored.
    pub n_scored: usize,
    /// Whether it is kept.
    pub kept: bool,
    /// Why it is not.
    pub reason: Option<DropReason>,
}

impl CurationRecord {
    /// Whether the prompt counts towards the benign share, as general questions do too.
    pub fn is_benign(&self) -> bool {
        matches!(self.kind, Some(ItemKind::Benign | ItemKind::General))
    }
}
