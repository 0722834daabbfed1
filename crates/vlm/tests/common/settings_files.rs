//! The files of a fixture's model that a test may change.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use super::committed_folder;

/// A copy of a fixture's model folder without its weights.
pub fn without_weights(fixture: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs_err::read_dir(committed_folder(fixture).join("model")).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() != "model.safetensors" {
            fs_err::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
    }
    folder
}

pub fn read(folder: &Path, name: &str) -> Value {
    serde_json::from_slice(&fs_err::read(folder.join(name)).unwrap()).unwrap()
}

pub fn write(folder: &Path, name: &str, value: &Value) {
    fs_err::write(folder.join(name), value.to_string()).unwrap();
}
