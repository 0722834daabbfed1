//! Why a file could not be converted, or not even looked at.

use std::path::PathBuf;

use diagnostic::{Diagnosis, Diagnostic, Kind};
/// A failure that ends the reading or writing of a file.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// The operating system said no; the message names the file.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// No layout fits what stands in the file.
    #[error("{}: no known format fits: {looked_at}", path.display())]
    Unrecognised {
        /// The file.
        path: PathBuf,
        /// What was looked at, and what was found.
        looked_at: String,
    },
    /// A row, or the file as a whole, is not what the layout says.
    #[error("{}{}: {problem}", path.display(), place(*row))]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The row, counted from one; none where the whole file is meant.
        row: Option<usize>,
        /// What was expected and what was found.
        problem: String,
    },
    /// The output's name says another container than the format is held in.
    #[error("{}: {format} is written as {expected}, got another ending", path.display())]
    Container {
        /// The output.
        path: PathBuf,
        /// The format's name.
        format: &'static str,
        /// The endings that it is written to.
        expected: String,
    },
    /// No row of the source has a place in the target.
    #[error("{}: nothing to write: {problem}", path.display())]
    Nothing {
        /// The output.
        path: PathBuf,
        /// Why no row could be written.
        problem: String,
    },
    /// The user asked to stop; nothing was written.
    #[error("stopped on request; nothing was written")]
    Interrupted,
    /// The parquet library could not write.
    #[error("{}: cannot be written as parquet: {problem}", path.display())]
    Parquet {
        /// The output.
        path: PathBuf,
        /// What the library says.
        problem: String,
    },
}

impl Diagnostic for FormatError {
    fn diagnosis(&self) -> Diagnosis {
        match self {
            Self::Io(error) => error.diagnosis(),
            Self::Unrecognised { .. } => Kind::Data.hint("name the format with `--from NAME` or `--format NAME`"),
            Self::Malformed { path, .. } => {
                Kind::Data.hint(format!("`scruple data check {}` lists all errors", path.display()))
            }
            Self::Nothing { .. } => Kind::Data.into(),
            Self::Container { .. } => Kind::Settings.into(),
            Self::Interrupted => Kind::Interrupted.into(),
            Self::Parquet { .. } => Kind::Output.into(),
        }
    }
}

fn place(row: Option<usize>) -> String {
    row.map(|row| format!(": row {row}")).unwrap_or_default()
}
