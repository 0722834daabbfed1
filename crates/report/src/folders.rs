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

/// An evaluation in a report.
pub struct Named<'a> {
    /// The model's name.
    pub model: &'a mut String,
    /// The benchmark; empty where it is none.
    pub suite: String,
    /// The folder's name.
    pub folder: String,
}

/// Tells models of one name apart that were evaluated on the same in several folders: the folder's name is put behind
/// the model's, but for a folder that is called as the model is.
pub fn tell_apart<'a>(evaluations: impl Iterator<Item = Named<'a>>) {
    let evaluations: Vec<Named> = evaluations.collect();
    let mut known = BTreeSet::new();
    let mut clashing = BTreeSet::new();
    for Named { model, suite, .. } in &evaluations {
        if !known.insert(((*model).clone(), suite.clone())) {
            clashing.insert((*model).clone());
        }
    }
    for Named { model, folder, .. } in evaluations {
        if clashing.contains(model) && *model != folder {
            *model = format!("{model} ({folder})");
        }
    }
}

/// The error of a file that is not what it should be.
pub fn corrupt(file: &Path, problem: &JsonProblem) -> ReportError {
    ReportError::Corrupt { file: file.to_owned(), problem: problem.with_line() }
}
