//! MIS data from seeds (section 3.1): a taxonomy with neutral seeds goes in; items whose harm shows only when
//! images and text are read together come out, with splits, twins and labels.
//!
//! The work is a list of stages ([`STAGES`]), each with a file in the run's folder. Whatever a stage rejects is in
//! `rejected.jsonl` with the stage and the reason; what people decided afterwards ([`Reviews`]) takes items out of the
//! results in the same way, and out of no stage's file. Differs from MIS: two or more images, twins, a share of neutral
//! items to train on, labels that the judge has found good, near-duplicates by machine; what people did there (dropping
//! what is pointless) the judge does, and people review it (`scruple review`).

mod asking;
mod balance;
mod classes;
mod config;
mod contaminated;
mod draft;
mod duplicates;
mod elements;
mod illustrate;
mod job;
mod labels;
mod output;
mod prompt;
mod review;
mod run;
mod seed;
mod splits;
pub mod stage;
mod stages;
mod summary;
mod taxonomy;
mod twins;
mod wording;

pub use config::{ForgeConfig, LabelConfig, LabelMethod};
pub use draft::{Draft, Maker, Probe, Rejection, Split};
pub use job::{Forge, ForgeError, Reviews, Truth};
pub use prompt::PromptTemplate;
pub use run::run;
pub use seed::Seed;
pub use stages::{STAGES, Stage};
pub use summary::{ForgeSummary, StageCounts, SubcategoryCounts};
pub use taxonomy::{Category, Subcategory, Taxonomy, TaxonomyError};
