//! Evaluation sets that training prompts are compared with: our own files of items, and published benchmarks.

use std::path::{Path, PathBuf};

use align::types::{DataError, Item, read_items};
use diagnostic::{Diagnosis, Diagnostic, Kind};

use crate::images::Images;
use crate::suites::{UnknownSuite, suite};

/// Why an evaluation set cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// A file of it could not be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A folder was given under a name that no benchmark has.
    #[error("{}: expected a file of items, got a folder; {problem}", path.display())]
    Unknown {
        /// The folder.
        path: PathBuf,
        /// The name and those that there are.
        problem: UnknownSuite,
    },
}

impl Diagnostic for SetError {
    fn diagnosis(&self) -> Diagnosis {
        match self {
            Self::Data(error) => error.diagnosis(),
            Self::Unknown { .. } => Kind::Settings.into(),
        }
    }
}

/// Reads an evaluation set: a file of items, or the folder of the benchmark of this name, or the folder above. Images that
/// come as bytes go where `images` says.
///
/// Errors: [`SetError`] naming the file or folder.
pub fn read_set(name: &str, path: &Path, images: &mut Images) -> Result<Vec<Item>, SetError> {
    if !path.is_dir() {
        return Ok(read_items(path)?);
    }
    let suite = suite(name).map_err(|problem| SetError::Unknown { path: path.to_owned(), problem })?;
    let loaded = suite.load_any(path, images)?;
    // Texts can be compared with texts, where the images are published nowhere.
    if loaded.unshown.is_none() {
        loaded.check_complete()?;
    }
    Ok(loaded.items)
}
