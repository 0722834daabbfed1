//! Stages' files. A stage's file holds every draft that entered it, those that it rejected with the reason; it appears
//! whole or not at all. A resumed run reads the files that are there and does the other stages: what models answered
//! before is in their own journals, so that nothing is asked twice and all ends in the same bytes.

use std::path::{Path, PathBuf};

use super::draft::Draft;
use super::job::ForgeError;
use super::stages::{STAGES, Stage};
use crate::files::write_lines;
use crate::json_lines::read_json_lines;

/// The file of a stage.
pub fn file_of(folder: &Path, stage: &Stage) -> PathBuf {
    folder.join(format!("{}.jsonl", stage.name))
}

/// Runs a stage unless its file is there; returns every draft that entered it.
///
/// Errors: whatever the stage meets; `Data` naming the file.
pub(super) fn run(
    folder: &Path,
    stage: &Stage,
    work: impl FnOnce() -> Result<Vec<Draft>, ForgeError>,
) -> Result<Vec<Draft>, ForgeError> {
    let path = file_of(folder, stage);
    if path.exists() {
        return Ok(read_json_lines(&path)?);
    }
    let drafts = work()?;
    write_lines(&path, &drafts)?;
    Ok(drafts)
}

/// Removes the stages' files, so that they run again with what models have answered by then.
///
/// Errors: the operating system's, naming the file.
pub fn forget(folder: &Path) -> std::io::Result<()> {
    for stage in &STAGES {
        let path = file_of(folder, stage);
        if path.exists() {
            fs_err::remove_file(path)?;
        }
    }
    Ok(())
}
