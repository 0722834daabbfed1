//! JSON files of a model's folder.

use std::path::Path;

use serde_json::Value;

use crate::error::Error;
use crate::stored_file::read_stored;

/// Reads a JSON file of a model's folder; `None` if there is none.
///
/// Errors: `Io` when it cannot be read; `File` when it is not JSON, or a pointer of Git LFS.
pub(crate) fn read_json(path: &Path) -> Result<Option<Value>, Error> {
    if !path.is_file() {
        return Ok(None);
    }
    diagnostic::read_json(&read_stored(path)?)
        .map(Some)
        .map_err(|problem| Error::file(path, format!("expected JSON: {}", problem.with_line())))
}
