//! Why a file could not be read, converted or written.

use std::path::PathBuf;

use diagnostic::{Diagnosis, Diagnostic, Kind};
use rows::RowsError;

/// A failure that ends the reading or writing of a file.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// The operating system's error; the message names the file.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A file of rows could not be read or written.
    #[error(transparent)]
    Rows(#[from] RowsError),
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
}

impl Diagnostic for FormatError {
    fn diagnosis(&self) -> Diagnosis {
        match self {
            Self::Io(error) => error.diagnosis(),
            Self::Rows(error) => error.diagnosis(),
            Self::Nothing { .. } => Kind::Data.into(),
            Self::Container { .. } => Kind::Settings.into(),
            Self::ReadOnly { .. } => {
                Kind::Settings.hint("`scruple data --help` lists the formats and what they are written to")
            }
            Self::Interrupted => Kind::Interrupted.into(),
        }
    }
}
