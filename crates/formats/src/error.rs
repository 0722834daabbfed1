//! Why a file could not be read, converted or written.

use std::path::PathBuf;

use align::types::OtherContainer;
use diagnostic::{Diagnosis, Diagnostic, Kind};

use crate::problem::{Problem, ProblemKind};

/// A failure that ends the reading or writing of a file.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// The operating system's error; the message names the file.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// No format fits the file's content.
    #[error("{}: no known format fits: {looked_at}", path.display())]
    Unrecognized {
        /// The file.
        path: PathBuf,
        /// What was looked at, and what was found.
        looked_at: String,
    },
    /// The file holds no rows, or not in a way that is read.
    #[error("{}: expected JSON lines, a JSON list, CSV, TSV or parquet, got {}", path.display(), other.what)]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is.
        other: OtherContainer,
    },
    /// A row, or the file as a whole, is not as its format requires.
    #[error("{}{}: {}", path.display(), location(*row), problem.message)]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The row, counted from 1; none where the whole file is meant.
        row: Option<usize>,
        /// What was expected and what was found.
        problem: Problem,
    },
    /// The output's file extension does not belong to the format.
    #[error("{}: {format} is written as {expected}, got another extension", path.display())]
    Container {
        /// The output.
        path: PathBuf,
        /// The format's name.
        format: &'static str,
        /// The file extensions that it is written to.
        expected: String,
    },
    /// The target format is a published set's, which is read and not written.
    #[error("nothing is written in {format}, which is only read")]
    ReadOnly {
        /// The format's name.
        format: &'static str,
    },
    /// The target format can hold no row of the source.
    #[error("{}: nothing to write: {reason}", path.display())]
    Nothing {
        /// The output.
        path: PathBuf,
        /// Why no row could be written.
        reason: String,
    },
    /// The user interrupted; nothing was written.
    #[error("interrupted; nothing was written")]
    Interrupted,
    /// The parquet library could not write.
    #[error("{}: cannot be written as parquet: {reason}", path.display())]
    Parquet {
        /// The output.
        path: PathBuf,
        /// What the library says.
        reason: String,
    },
}

impl FormatError {
    /// A file that is malformed as a whole.
    pub(crate) fn malformed(path: impl Into<PathBuf>, kind: ProblemKind, message: impl Into<String>) -> Self {
        Self::Malformed { path: path.into(), row: None, problem: Problem::new(kind, message) }
    }
}

impl Diagnostic for FormatError {
    fn diagnosis(&self) -> Diagnosis {
        match self {
            Self::Io(error) => error.diagnosis(),
            Self::Unrecognized { .. } => Kind::Data.hint("name the format with `--from NAME` or `--format NAME`"),
            Self::Foreign { other, .. } => Kind::Data.hint(&other.hint),
            Self::Malformed { path, .. } => {
                Kind::Data.hint(format!("`scruple data check {}` lists all problems", path.display()))
            }
            Self::Nothing { .. } => Kind::Data.into(),
            Self::Container { .. } => Kind::Settings.into(),
            Self::ReadOnly { .. } => {
                Kind::Settings.hint("`scruple data --help` lists the formats and what they are written to")
            }
            Self::Interrupted => Kind::Interrupted.into(),
            Self::Parquet { .. } => Kind::Output.into(),
        }
    }
}

fn location(row: Option<usize>) -> String {
    row.map(|row| format!(": row {row}")).unwrap_or_default()
}
