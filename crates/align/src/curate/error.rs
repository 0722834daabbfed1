//! Why a curation did not come to its end.

use std::path::PathBuf;

use diagnostic::{Diagnosis, Diagnostic, Kind};

use super::pool::Shard;
use crate::chat::ChatError;
use crate::run_dir::RunError;
use crate::settings::SettingError;
use crate::types::DataError;

/// Why a curation did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum CurateError {
    /// A setting cannot be used.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// There are no prompts.
    #[error("no prompts to curate: expected at least one item, got none")]
    NoItems,
    /// Not one prompt lies in the box. `curation.jsonl` has been written and tells why.
    #[error("{}: no prompt is left to train on: of {n_prompts} prompts, {dropped}", file.display())]
    NothingKept {
        /// `curation.jsonl`.
        file: PathBuf,
        /// How many prompts there were.
        n_prompts: usize,
        /// How many went, by reason, in words.
        dropped: String,
    },
    /// Not one sample has a score. The file says why of each.
    #[error("{}: none of {n_samples} samples could be scored; the first: {reason}", file.display())]
    NothingScored {
        /// The file of samples.
        file: PathBuf,
        /// How many there are.
        n_samples: usize,
        /// Why the first was not.
        reason: String,
    },
    /// A policy or the judge stopped early. What they answered is in their journals.
    #[error(transparent)]
    Chat(#[from] ChatError),
    /// A folder of samples is not what it should be, or does not belong to the others.
    #[error("{}: {problem}", folder.display())]
    Shard {
        /// The folder.
        folder: PathBuf,
        /// What was expected and what was found.
        problem: String,
    },
    /// A shard was not given.
    #[error("shard {0} is missing: expected the folders of all {of} shards", of = .0.of)]
    MissingShard(Shard),
    /// The settings differ from those that the samples were made with, or a file of the folder is damaged.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A data file could not be read or written.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A file could not be written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl Diagnostic for CurateError {
    fn diagnosis(&self) -> Diagnosis {
        match self {
            Self::Setting(error) => error.diagnosis(),
            Self::Chat(error) => error.diagnosis(),
            Self::Run(error) => error.diagnosis(),
            Self::Data(error) => error.diagnosis(),
            Self::Io(error) => error.diagnosis(),
            Self::NoItems | Self::NothingKept { .. } | Self::Shard { .. } => Kind::Data.into(),
            Self::NothingScored { .. } => Kind::Model
                .hint("each line says why; once the cause is mended, `--retry-failed` repeats the calls that failed"),
            Self::MissingShard(shard) => {
                Kind::Settings.hint(format!("add `--merge DIR` with the folder of shard {shard}"))
            }
        }
    }
}
