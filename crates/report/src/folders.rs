//! Folders and JSON files of what a report reads.

use std::collections::BTreeSet;
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

/// Tells evaluations of one name apart, pairs of the model's name and the folder's: the folder's name is put behind the
/// model's where other folders have that too, but for a folder that is called as the model is.
pub fn tell_apart<'a>(evaluations: impl Iterator<Item = (&'a mut String, String)>) {
    let evaluations: Vec<(&mut String, String)> = evaluations.collect();
    let known: BTreeSet<(String, String)> =
        evaluations.iter().map(|(model, folder)| ((*model).clone(), folder.clone())).collect();
    for (model, folder) in evaluations {
        let n_folders = known.iter().filter(|(name, _)| name == model).count();
        if n_folders > 1 && *model != folder {
            *model = format!("{model} ({folder})");
        }
    }
}

/// The error of a file that is not what it should be.
pub fn corrupt(file: &Path, problem: &JsonProblem) -> ReportError {
    ReportError::Corrupt { file: file.to_owned(), problem: problem.with_line() }
}
