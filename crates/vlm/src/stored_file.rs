//! Files of a folder as they are stored, told from what Git LFS leaves in their place.

use std::path::Path;

use crate::error::Error;

/// How a pointer begins that Git LFS leaves where a file was not downloaded.
const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";

/// The problem of a file of these bytes, if they are a pointer of Git LFS.
pub(crate) fn pointer_problem(bytes: &[u8]) -> Option<&'static str> {
    bytes.starts_with(POINTER).then_some(
        "a Git LFS pointer in place of the file: run `git lfs pull` in its folder, or download the file anew",
    )
}

/// Reads a file of a folder.
///
/// Errors: `Io` when it cannot be read; `File` when it is a pointer of Git LFS.
pub(crate) fn read_stored(path: &Path) -> Result<Vec<u8>, Error> {
    let bytes = fs_err::read(path)?;
    match pointer_problem(&bytes) {
        Some(problem) => Err(Error::file(path, problem)),
        None => Ok(bytes),
    }
}
