//! What keeps a server from starting, and what ends it before its work is done.

use std::io;
use std::path::PathBuf;

use align::types::DataError;
use diagnostic::{Diagnosis, Diagnostic, Kind};

/// Why a server did not start, or stopped early.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A setting that the model or the memory does not allow.
    #[error("{setting}: expected {expected}, got {got}")]
    Setting {
        /// The flag.
        setting: &'static str,
        /// What it may be.
        expected: String,
        /// What it is.
        got: usize,
    },
    /// Sequences are to be longer than the KV cache.
    #[error("--max-model-len: expected at most {fitting}, for which there is memory, got {wanted}")]
    KvCacheTooSmall {
        /// Tokens of a sequence that fit.
        fitting: usize,
        /// Tokens that were requested.
        wanted: usize,
    },
    /// The address cannot be listened on.
    #[error("{flags}: {source}")]
    Address {
        /// The flags that name it.
        flags: String,
        /// The operating system's error.
        source: io::Error,
    },
    /// The model's vocabulary cannot be laid out for grammars.
    #[error("{0}")]
    Vocabulary(String),
    /// The server was stopped while requests were running.
    #[error("stopped on request; {n_requests} requests were truncated")]
    RequestsTruncated {
        /// Requests that were not answered to the end.
        n_requests: usize,
    },
    /// The review was stopped before all was decided.
    #[error("stopped on request; {n_left} are left, every decision is kept")]
    ReviewStopped {
        /// Cases without a decision.
        n_left: usize,
    },
    /// The file holds nothing that can be reviewed.
    #[error("{}: nothing to review", path.display())]
    NothingToReview {
        /// The file.
        path: PathBuf,
    },
    /// The data to be reviewed, or the journal of decisions, cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The operating system's error.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Diagnostic for ServeError {
    fn diagnosis(&self) -> Diagnosis {
        match self {
            Self::Setting { .. } | Self::Address { .. } => Kind::Settings.into(),
            Self::KvCacheTooSmall { .. } => {
                Kind::Settings.hint("--kv-cache-memory-bytes says how much memory there is")
            }
            Self::Vocabulary(_) => Kind::Model.into(),
            Self::RequestsTruncated { .. } => Kind::Interrupted.hint("--shutdown-timeout gives them more time"),
            Self::ReviewStopped { .. } => Kind::Interrupted.hint("the same command resumes"),
            Self::NothingToReview { .. } => Kind::Data.into(),
            Self::Data(error) => error.diagnosis(),
            Self::Io(error) => error.diagnosis(),
        }
    }
}
