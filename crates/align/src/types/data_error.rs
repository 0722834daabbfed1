//! What is wrong with a data file.

use std::path::PathBuf;

use diagnostic::{Diagnosis, Diagnostic, Kind};

/// Why a data file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The file could not be read or written; the message names it.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A line is not what it should be.
    #[error("{}:{line}: {problem}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from one.
        line: usize,
        /// What was expected and what was found.
        problem: String,
    },
    /// The user asked to stop while files were generated from a seed.
    #[error("stopped on request before all files were written")]
    Interrupted,
    /// The file holds no item at all.
    #[error("{}: no items: expected at least one JSON object, one a line, got an empty file", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

impl Diagnostic for DataError {
    fn diagnosis(&self) -> Diagnosis {
        match self {
            Self::Io(error) => error.diagnosis(),
            Self::Line { .. } | Self::Empty { .. } => Kind::Data.into(),
            Self::Interrupted => Kind::Interrupted.into(),
        }
    }
}
