//! What is wrong with a data file.

use std::path::PathBuf;

use diagnostic::{Diagnosis, Diagnostic, JsonProblem, Kind};

use super::container::OtherContainer;

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
    /// A line is no JSON, or not the object that it should be.
    #[error("{}:{line}: {problem}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The line, counted from one.
        line: usize,
        /// What was expected and what was found.
        problem: JsonProblem,
    },
    /// The file is no file of JSON lines.
    #[error("{}: expected JSON lines, one object a line with {wanted}, got {}", path.display(), other.what)]
    Container {
        /// The file.
        path: PathBuf,
        /// What its objects should hold.
        wanted: &'static str,
        /// What it is.
        other: OtherContainer,
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
            Self::Json { problem, .. } => Diagnosis { hint: problem.hint.clone(), ..Kind::Data.into() },
            Self::Container { other, .. } => Kind::Data.hint(&other.hint),
            Self::Interrupted => Kind::Interrupted.into(),
        }
    }
}
