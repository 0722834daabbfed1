//! The journal of samples: every answer and what the judge says of it, prompt after prompt in the order of the pool.
//!
//! Since the order is the pool's, the journal is read beside the pool and never held.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::decontamination::Contamination;
use crate::json_lines::JsonLinesReader;
use crate::run_dir::RunError;
use crate::types::DataError;
use crate::verdict::{Judgement, judgement_record};

/// One answer; one line of `samples.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Sample {
    /// The prompt's id.
    pub(super) id: String,
    /// The sample's number among the prompt's: the first policy's come first.
    pub(super) number: usize,
    /// Who answered; nobody is named where the local engine alone answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) policy: Option<String>,
    /// The answer; none where the policy gave none.
    pub(super) response: Option<String>,
    /// What the judge says of it.
    #[serde(with = "judgement_record")]
    pub(super) judgement: Judgement,
}

/// A line of a journal that is in the order of the pool.
pub(super) trait OfPrompt: DeserializeOwned {
    /// The prompt's id.
    fn id(&self) -> &str;
}

impl OfPrompt for Sample {
    fn id(&self) -> &str {
        &self.id
    }
}

impl OfPrompt for Contamination {
    fn id(&self) -> &str {
        &self.id
    }
}

/// A journal read beside the pool.
pub(super) struct Cursor<T: OfPrompt> {
    path: PathBuf,
    lines: Peekable<JsonLinesReader<T>>,
}

impl<T: OfPrompt> Cursor<T> {
    /// Opens a journal; one that does not exist is empty.
    pub(super) fn open(path: &Path) -> Result<Self, DataError> {
        Ok(Self {
            path: path.to_owned(),
            lines: JsonLinesReader::open(path)?.peekable(),
        })
    }

    /// The next line if it is of this prompt.
    pub(super) fn next_of(&mut self, id: &str) -> Result<Option<T>, DataError> {
        let is_next = |line: &Result<T, DataError>| line.as_ref().map_or(true, |line| line.id() == id);
        self.lines.next_if(is_next).transpose()
    }

    /// Fails unless every line was taken: what is left is of no prompt, or out of place. `id` is the prompt at which
    /// the journal should have come to its end.
    pub(super) fn check_ended(&mut self, id: &str) -> Result<(), RunError> {
        match self.lines.peek() {
            None => Ok(()),
            Some(line) => {
                let found = line.as_ref().map_or("a damaged line", |line| line.id());
                Err(RunError::Corrupt {
                    file: self.path.clone(),
                    problem: format!(
                        "expected the prompts in the order of the pool: `{id}` is not complete, yet there is a line of `{found}`"
                    ),
                })
            }
        }
    }
}

impl Cursor<Sample> {
    /// The samples of a prompt, by number.
    pub(super) fn samples_of(&mut self, id: &str) -> Result<BTreeMap<usize, Sample>, DataError> {
        let mut samples = BTreeMap::new();
        while let Some(sample) = self.next_of(id)? {
            samples.insert(sample.number, sample);
        }
        Ok(samples)
    }
}
