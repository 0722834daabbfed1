//! Files that appear whole or not at all, and lines of JSON.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

/// Writes a file so that it appears whole or not at all: a temporary file beside it, flushed to disk, then renamed.
///
/// Errors: the operating system's, naming the file.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    write_streamed(path, |file| file.write_all(bytes))
}

/// As [`write_atomically`], for content that need not fit in memory. Where `write` fails the file does not appear.
///
/// Errors: those of `write`; the operating system's, naming the file.
pub fn write_streamed<E: From<std::io::Error>>(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<fs_err::File>) -> Result<(), E>,
) -> Result<(), E> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs_err::create_dir_all(folder)?;
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let partial: PathBuf = path.with_file_name(name);
    let mut file = BufWriter::new(fs_err::File::create(&partial)?);
    write(&mut file)?;
    file.flush()?;
    file.get_ref().sync_all()?;
    Ok(fs_err::rename(&partial, path)?)
}

/// Writes a file of JSON lines, whole or not at all.
///
/// Errors: the operating system's, naming the file.
pub fn write_lines(path: &Path, values: impl IntoIterator<Item = impl Serialize>) -> std::io::Result<()> {
    try_write_lines(path, values.into_iter().map(Ok))
}

/// As [`write_lines`], of values that may fail; after the first that does the file does not appear.
///
/// Errors: the first of the values' own; the operating system's, naming the file.
pub(crate) fn try_write_lines<E: From<std::io::Error>>(
    path: &Path,
    values: impl IntoIterator<Item = Result<impl Serialize, E>>,
) -> Result<(), E> {
    write_streamed(path, |file| {
        for value in values {
            write_line(file, &value?)?;
        }
        Ok(())
    })
}

/// Writes a value as one JSON line.
pub(crate) fn write_line(file: &mut (impl Write + ?Sized), value: &impl Serialize) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    file.write_all(&line)
}

/// Removes a file, where there is one.
///
/// Errors: the operating system's, naming the file.
pub(crate) fn remove_if_exists(path: &Path) -> std::io::Result<()> {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
