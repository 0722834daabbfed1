//! Published benchmarks: from their own files to items, and from responses to the rates that their authors report.
//!
//! Everything that is known of a benchmark is in its file below [`suites`]: its name, paper and license, its layouts and
//! how they are read, how its authors have models answer, who judges and how, its rates, and what was published. To add
//! one, write such a file and list its [`Suite`] in [`SUITES`]; commands take it from there.
//!
//! [`reader`] is what suites read their files with, [`scoring`] says who scores a response, and [`JudgeScorer`] puts a
//! suite's questions to models. [`responses`] reads what was answered elsewhere. [`read_set`] reads the evaluation sets
//! that training prompts are compared with.

mod find;
mod harm;
mod image_labels;
mod images;
mod interleaved;
mod judged;
mod lettered;
mod mmmu_parser;
mod options;
mod python_list;
mod python_text;
pub mod reader;
pub mod refusal;
pub mod responses;
mod scale;
pub mod scoring;
mod sets;
mod shown_harm;
mod suite;
pub mod suites;
mod test_only;
mod vlmevalkit;
mod vlmevalkit_match;

#[cfg(test)]
mod tests;

pub use images::Images;
pub use judged::{JudgeScorer, PutQuestion, put_questions};
pub use options::Choice;
pub use reader::{Loaded, Missing};
pub use sets::{SetError, read_set};
pub use suite::{Figure, Generation, Group, Labeled, LabeledResponse, License, Suite};
pub use suites::{SUITES, UnknownSuite, suite, suites_of};
pub use test_only::TestOnly;
