//! What is curated, and by whom.

use serde_json::Value;

use super::config::CurateConfig;
use super::pool::Pool;
use crate::decontamination::Decontaminator;
use crate::reward::RewardConfig;
use crate::verdict::Judge;

/// What to curate, and who judges.
#[derive(Clone, Copy)]
pub struct Curation<'a> {
    /// The pool of prompts.
    pub pool: Pool<'a>,
    /// Who judges the answers.
    pub judge: &'a dyn Judge,
    /// Scores thinking and answer.
    pub reward: &'a RewardConfig,
    /// The settings.
    pub config: &'a CurateConfig,
    /// Drops prompts that stand in evaluation sets before they are sampled; none lets all pass.
    pub decontaminator: Option<&'a Decontaminator<'a>>,
    /// Who answers, by more than names; a part of the settings that are kept.
    pub policy: &'a Value,
    /// Whether samples that are there are made again, by what models answer now.
    pub sample_again: bool,
}

/// What sampling a shard did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardSummary {
    /// How many prompts are in it.
    pub n_prompts: usize,
    /// How many samples they have.
    pub n_samples: usize,
    /// How many of them have no score.
    pub n_unscored: usize,
}
