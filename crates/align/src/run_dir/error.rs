//! What is wrong with a run's directory.

use std::path::PathBuf;

use diagnostic::{Diagnosis, Diagnostic, Kind};

/// Why a run's directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The file system failed; the message names the file.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A new run would overwrite one.
    #[error("{}: a run is already there", folder.display())]
    Exists {
        /// The folder.
        folder: PathBuf,
    },
    /// The run was started with other settings.
    #[error("{}: `{key}` differs from the run's: expected {expected}, got {got}", file.display())]
    SettingDiffers {
        /// The run's settings.
        file: PathBuf,
        /// The setting, tables dotted.
        key: String,
        /// The run's value, as JSON; `nothing` where the run has no such key.
        expected: String,
        /// The value now, as JSON; `nothing` where it is missing now.
        got: String,
    },
    /// A file of the run is not what was written.
    #[error("{}: {problem}", file.display())]
    Corrupt {
        /// The file.
        file: PathBuf,
        /// What was expected and what was found.
        problem: String,
    },
}

impl Diagnostic for RunError {
    fn diagnosis(&self) -> Diagnosis {
        match self {
            Self::Io(error) => error.diagnosis(),
            Self::Exists { .. } => Kind::Settings.hint("add `--restart` to start over, or choose another `--out`"),
            Self::SettingDiffers { .. } => Kind::Settings
                .hint("give the same settings to resume, add `--restart` to start over, or choose another `--out`"),
            Self::Corrupt { .. } => Kind::Data.into(),
        }
    }
}
