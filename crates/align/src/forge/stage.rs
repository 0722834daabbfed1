//! Stages and their files. A stage's file holds every draft that entered it, those that it rejected with the reason; it
//! appears whole or not at all. A run that is gone on with reads the files that are there and does the other stages:
//! what models answered before is in their own journals, so that nothing is asked twice and all ends in the same bytes.

use std::path::{Path, PathBuf};

use super::{Draft, ForgeError};
use crate::run_dir::{read_journal, write_lines};

/// The stages, in order.
pub const STAGES: [&str; 10] = [
    "elements",
    "instructions",
    "queries",
    "twins",
    "pictures",
    "classes",
    "unique",
    "balanced",
    "splits",
    "labels",
];

/// The file of a stage.
pub fn file_of(folder: &Path, stage: &str) -> PathBuf {
    folder.join(format!("{stage}.jsonl"))
}

/// Runs a stage unless its file is there; returns every draft that entered it.
///
/// Errors: whatever the stage meets; `Data` naming the file.
pub(super) fn run(
    folder: &Path,
    stage: &str,
    work: impl FnOnce() -> Result<Vec<Draft>, ForgeError>,
) -> Result<Vec<Draft>, ForgeError> {
    let path = file_of(folder, stage);
    if path.exists() {
        return Ok(read_journal(&path)?);
    }
    let drafts = work()?;
    write_lines(&path, &drafts)?;
    Ok(drafts)
}

/// The drafts that go on.
pub(super) fn kept(drafts: &[Draft]) -> Vec<Draft> {
    drafts.iter().filter(|draft| draft.is_kept()).cloned().collect()
}

/// A hazardous item and its twins go on together or not at all: rejects those whose partner is rejected.
pub(super) fn keep_pairs(drafts: &mut [Draft], stage: &str) {
    let rejected: std::collections::HashMap<String, String> = drafts
        .iter()
        .filter_map(|draft| {
            let rejection = draft.rejected.as_ref()?;
            Some((draft.root().to_owned(), format!("{}: {}", draft.id, rejection.reason)))
        })
        .collect();
    for draft in drafts {
        if let Some(because) = rejected.get(draft.root()) {
            draft.reject(stage, "its hazardous item or twin was rejected", because.clone());
        }
    }
}

/// Forgets what the stages made, so that they are gone through again with what models have answered by then.
///
/// Errors: the operating system's, naming the file.
pub fn forget(folder: &Path) -> std::io::Result<()> {
    for stage in STAGES {
        let path = file_of(folder, stage);
        if path.exists() {
            fs_err::remove_file(path)?;
        }
    }
    Ok(())
}
