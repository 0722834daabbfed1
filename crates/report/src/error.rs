//! Why there is no report.

use std::path::PathBuf;

use align::types::DataError;
use diagnostic::{Diagnosis, Diagnostic, Kind};

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The folder holds nothing that a report shows.
    #[error("{}: nothing to report: expected eval/<model>/summary.json, runs/<name>/metrics.jsonl or curate/summary.json", folder.display())]
    Nothing {
        /// The folder.
        folder: PathBuf,
    },
    /// A file is not what it should be.
    #[error("{}: {problem}", file.display())]
    Corrupt {
        /// The file.
        file: PathBuf,
        /// What was expected and what was found.
        problem: String,
    },
    /// A plot could not be made.
    #[error("{}: {problem}", file.display())]
    Plot {
        /// The plot's file.
        file: PathBuf,
        /// What went wrong.
        problem: String,
    },
    /// A file of lines could not be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A file could not be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl Diagnostic for ReportError {
    fn diagnosis(&self) -> Diagnosis {
        match self {
            Self::Nothing { .. } | Self::Corrupt { .. } => Kind::Data.into(),
            Self::Plot { .. } => Kind::Output.into(),
            Self::Data(error) => error.diagnosis(),
            Self::Io(error) => error.diagnosis(),
        }
    }
}
