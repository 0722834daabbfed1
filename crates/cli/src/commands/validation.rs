//! Samples validated before training begins: those that cannot be trained are left out, each with row and reason, and
//! too many of them end the run.

use std::path::{Path, PathBuf};

use align::types::Item;
use engine::{Inspector, SampleSize};
use rayon::prelude::*;
use serde::Serialize;

use crate::context::Context;
use crate::errors::{Failure, Result};
use crate::lines::write_whole;
use crate::output_folder::remove_results;

/// What is left out, a line each, in the run's folder.
const REJECTED_FILE: &str = "rejected.jsonl";

/// A sample that cannot be trained.
#[derive(Clone, Debug, Serialize)]
pub struct Rejected {
    file: PathBuf,
    /// Its line in the file, counted from one.
    row: usize,
    id: String,
    reason: String,
}

/// The samples of one or several files that can be trained.
#[derive(Debug, Default)]
pub struct Validation {
    /// How many samples were looked at.
    pub n_seen: usize,
    /// Those left out.
    pub rejected: Vec<Rejected>,
}

/// What can be trained of a file, and what each sample's sequences weigh.
#[derive(Debug, Default)]
pub struct Validated {
    /// The samples.
    pub items: Vec<Item>,
    /// Of each, its sequences.
    pub sizes: Vec<Vec<SampleSize>>,
}

/// The samples of a training run.
pub struct Samples {
    /// Looks at samples as the model's processor does.
    pub inspector: Inspector,
    /// What was left out.
    pub validation: Validation,
    /// What is trained on.
    pub items: Validated,
    /// General questions that are mixed in.
    pub general: Validated,
}

impl Validation {
    /// Looks at the items of a file, each with its line, on all cores; `measure` says what one weighs, or why it cannot be
    /// trained.
    pub fn validate(
        &mut self,
        path: &Path,
        items: Vec<(usize, Item)>,
        measure: impl Fn(&Item) -> Result<Vec<SampleSize>, String> + Sync,
    ) -> Validated {
        let outcomes: Vec<_> = items.par_iter().map(|(_, item)| measure(item)).collect();
        self.n_seen += items.len();
        let mut validated = Validated::default();
        for ((row, item), outcome) in items.into_iter().zip(outcomes) {
            match outcome {
                Ok(sizes) => {
                    validated.items.push(item);
                    validated.sizes.push(sizes);
                }
                Err(reason) => self.rejected.push(Rejected { file: path.to_owned(), row, id: item.id, reason }),
            }
        }
        validated
    }

    /// Writes what was left out into the run's folder and reports it.
    ///
    /// Errors: of data where all samples or a larger share than `max_rejected` were left out; of output when the file
    /// cannot be written.
    pub fn conclude(&self, out: &Path, max_rejected: f64, context: &Context) -> Result {
        let list = out.join(REJECTED_FILE);
        let Some(first) = self.rejected.first() else {
            return remove_results(out, &[REJECTED_FILE]);
        };
        write_whole(&list, &self.rejected)?;
        let (n_seen, n_rejected) = (self.n_seen, self.rejected.len());
        let summary = format!("{n_rejected} of {n_seen} samples cannot be trained, the first: {}", first.text());
        let hint = format!("{} lists them all", list.display());
        if n_rejected == n_seen {
            return Err(Failure::data(summary).hint(hint));
        }
        if n_rejected as f64 > max_rejected * n_seen as f64 {
            let problem = format!("{summary}; `data.max_rejected` allows a share of {max_rejected}");
            return Err(Failure::data(problem).hint(hint));
        }
        if !context.global.quiet {
            eprintln!("{summary}; they are left out ({hint})");
        }
        Ok(())
    }
}

impl Rejected {
    /// The sample and the reason, as messages show them.
    pub fn text(&self) -> String {
        let Self { file, row, id, reason } = self;
        format!("{}:{row}: item `{id}`: {reason}", file.display())
    }
}
