//! Why a file of rows could not be read or written.

use std::path::PathBuf;

use align::types::OtherContainer;
use diagnostic::{Diagnosis, Diagnostic, Kind};

use crate::problem::{Problem, ProblemKind};

/// A failure that ends the reading or writing of a file.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
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
    /// The parquet library could not write.
    #[error("{}: cannot be written as parquet: {reason}", path.display())]
    Parquet {
        /// The output.
        path: PathBuf,
        /// What the library says.
        reason: String,
    },
}

impl RowsError {
    /// A file that is malformed as a whole.
    pub fn malformed(path: impl Into<PathBuf>, kind: ProblemKind, message: impl Into<String>) -> Self {
        Self::Malformed { path: path.into(), row: None, problem: Problem::new(kind, message) }
    }
}

impl Diagnostic for RowsError {
    fn diagnosis(&self) -> Diagnosis {
        match self {
            Self::Io(error) => error.diagnosis(),
            Self::Unrecognized { .. } => Kind::Data.hint("name the format with `--from NAME` or `--format NAME`"),
            Self::Foreign { other, .. } => Kind::Data.hint(&other.hint),
            Self::Malformed { path, .. } => {
                Kind::Data.hint(format!("`scruple data check {}` lists all problems", path.display()))
            }
            Self::Parquet { .. } => Kind::Output.into(),
        }
    }
}

fn location(row: Option<usize>) -> String {
    row.map(|row| format!(": row {row}")).unwrap_or_default()
}
