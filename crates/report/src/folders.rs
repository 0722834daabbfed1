//! Folders and JSON files of what a report reads.

use std::path::{Path, PathBuf};

use diagnostic::{JsonProblem, read_json};
use serde::de::DeserializeOwned;

use crate::error::ReportError;

/// The folders in a folder, by name; none where it does not exist.
///
/// Errors: `Io` naming the folder.
pub fn folders_in(folder: &Path) -> Result<Vec<(String, PathBuf)>, ReportError> {
    let mut found = Vec::new();
    if !folder.is_dir() {
        return Ok(found);
    }
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        if let Some(name) = path.file_name().filter(|_| path.is_dir()) {
            found.push((name.to_string_lossy().into_owned(), path));
        }
    }
    found.sort();
    Ok(found)
}

/// A JSON file; none where it does not exist.
///
/// Errors: `Corrupt` and `Io` naming the file.
pub fn read_file<T: DeserializeOwned>(file: &Path) -> Result<Option<T>, ReportError> {
    if !file.exists() {
        return Ok(None);
    }
    read_json(&fs_err::read(file)?).map(Some).map_err(|problem| corrupt(file, &problem))
}

/// The error of a file that is not what it should be.
pub fn corrupt(file: &Path, problem: &JsonProblem) -> ReportError {
    ReportError::Corrupt { file: file.to_owned(), problem: problem.with_line() }
}
