//! Stages' files. A stage's file holds every draft that entered it, those that it rejected with the reason; it appears
//! whole or not at all. Each call goes through all stages and writes their files anew: models answer from their journals
//! what they answered before, so that no call is made twice and all ends in the same bytes.

use std::path::{Path, PathBuf};

use super::stages::{STAGES, Stage};

/// The file of a stage.
pub fn file_of(folder: &Path, stage: &Stage) -> PathBuf {
    folder.join(format!("{}.jsonl", stage.name))
}

/// The files of all stages.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    STAGES.iter().map(|stage| file_of(folder, stage)).collect()
}
