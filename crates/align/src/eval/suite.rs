//! Evaluation on a published suite: every item answered, scored by the suite's own rule or by models as its authors ask
//! them, and summed up to the suite's own rates.
//!
//! What a suite is, its items, prompts and judges, is told by whoever calls [`run()`]; a [`Protocol`] says how verdicts
//! become rates. A verdict is a JSON object with the fields that the suite's rates look at. Whatever was not scored is in
//! no rate; each rate has beside it what it would be if all of that counted, and if none did.

mod compare;
mod mean;
mod protocol;
mod record;
mod run;
mod summary;
#[cfg(test)]
mod tests;

pub use compare::{ComparedItem, ComparedRecord, Flip, SuiteComparison, SuiteDifferences, compare_suites};
pub use mean::mean_over;
pub use protocol::{Better, Combined, CombinedOf, Metric, Original, Protocol, Score, first_sample};
pub use record::{Ended, Sample, SuiteRecord};
pub use run::{Scored, Scorer, SuiteEvaluation, SuiteOutcome, rehearse, run};
pub use summary::{
    AsOriginal, BoundedRate, Deviation, GroupSummary, JUDGED_CLASS, MeanScore, PromptUsed, Published, RateInfo,
    SuiteSummary, summarize,
};
