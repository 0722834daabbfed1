//! Published benchmarks: from their own files to items, each with the judge that reads its answers without a model.
//!
//! Everything that is known of a benchmark is in its file below [`suites`]: its name, what it measures, its files and
//! how they are read, its judge, and the responses that people have labeled. To add one, write such a file and list its
//! [`Suite`] in [`SUITES`]; the command line, `scruple curate --against` and `scruple judge --labeled` take it from
//! there. [`read_set`] reads the evaluation sets that training prompts are compared with.

mod suite;

mod options;
mod rows;
pub mod suites;

mod sets;

#[cfg(test)]
mod tests;

pub use options::{Choice, OptionMatch};
pub use sets::{SetError, read_set};
pub use suite::{Labeled, LabeledResponse, Suite};
pub use suites::{SUITES, UnknownSuite, suite};
