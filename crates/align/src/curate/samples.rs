//! The file of samples: every answer and what the judge says of it, prompt after prompt in the order of the pool.
//!
//! Since the order is the pool's, the file is read beside the pool and never held.

use std::iter::Peekable;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::decontamination::Contamination;
use crate::json_lines::JsonLinesReader;
use crate::types::DataError;
use crate::verdict::{Judgement, judgement_record};

/// The file of samples.
pub(super) const SAMPLES: &str = "samples.jsonl";

/// One answer; one line of `samples.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Sample {
    /// The prompt's id.
    pub(super) id: String,
    /// The sample's number among the prompt's: the first policy's come first.
    pub(super) number: usize,
    /// Who answered; nobody is named where one local model answers alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) policy: Option<String>,
    /// The answer; none where the policy gave none.
    pub(super) response: Option<String>,
    /// What the judge says of it.
    #[serde(with = "judgement_record")]
    pub(super) judgement: Judgement,
}

/// A line of a file that is in the order of the pool.
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

/// A file read beside the pool.
pub(super) struct Cursor<T: OfPrompt> {
    lines: Peekable<JsonLinesReader<T>>,
}

impl<T: OfPrompt> Cursor<T> {
    /// Opens a file; one that does not exist is empty.
    pub(super) fn open(path: &Path) -> Result<Self, DataError> {
        Ok(Self { lines: JsonLinesReader::open(path)?.peekable() })
    }

    /// The next line if it is of this prompt.
    pub(super) fn next_of(&mut self, id: &str) -> Result<Option<T>, DataError> {
        let next = self.lines.next_if(|line| line.as_ref().map_or(true, |line| line.id() == id));
        next.transpose()
    }

    /// All next lines that are of this prompt.
    pub(super) fn all_of(&mut self, id: &str) -> Result<Vec<T>, DataError> {
        let mut lines = Vec::new();
        while let Some(line) = self.next_of(id)? {
            lines.push(line);
        }
        Ok(lines)
    }
}
