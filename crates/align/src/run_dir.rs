//! A run's directory: everything a run leaves behind, written so that a kill at any point loses nothing.

use std::io::Write;
use std::path::{Path, PathBuf};

/// Writes a file so that it appears whole or not at all: a temporary file beside it, flushed to disk, then renamed.
///
/// Errors: the operating system's, naming the file.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs_err::create_dir_all(folder)?;
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let partial: PathBuf = path.with_file_name(name);
    let mut file = fs_err::File::create(&partial)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs_err::rename(&partial, path)
}
