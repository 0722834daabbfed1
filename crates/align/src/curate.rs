//! Curation by quality and instability (QI-Box): prompts in, those worth training on out.
//!
//! Each prompt is answered several times and every answer is judged. Prompts whose answers are always good or always
//! bad teach a policy nothing; those of middling quality on which it wavers do. Source: SaFeR-VLM (arXiv
//! 2510.06871), which keeps 10 K of 159 K prompts so; its exact rules are not published, [`selection`] states ours.
//!
//! Prompts are read, answered and judged batch by batch; of each a line of figures goes to a file without a name in the
//! run's folder, and what must be in order is sorted there. So a pool of any size takes the same memory, but for names
//! of strata, and may be dealt out to [`Shard`]s whose samples [`merge`] puts together again.
//!
//! ```text
//! samples.jsonl         every answer and what the judge says of it; once it is there, only the selection is made again
//! sampling.json         the settings that it was made with
//! contaminated.jsonl    prompts dropped because they stand in an evaluation set, and what matched
//! curation.jsonl        every prompt: q, i, flip_rate, n_scored, kept, reason
//! curated.jsonl         the prompts kept, as they were read
//! summary.json          counts and the bounds of the box
//! ```

mod config;
mod curation;
mod error;
mod ledger;
mod merging;
mod policies;
mod pool;
mod records;
mod run;
mod samples;
mod sampling;
pub mod selection;
mod sorting;
mod summary;

#[cfg(test)]
mod tests;

pub use config::{CurateConfig, Stratum};
pub use curation::{Curation, ShardSummary};
pub use error::CurateError;
pub use ledger::{ContaminationCounts, PolicyCounts};
pub use policies::Policy;
pub use pool::{Pool, Shard};
pub use records::{CurationRecord, DropReason};
pub use run::{RECORDS, merge, run, run_shard};
pub use selection::{QiBox, Spread, spread};
pub use summary::CurationSummary;
