//! Results written line by line: each line is on disk before the next begins, and a failed write leaves only whole
//! lines behind.

use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use align::run_dir::write_lines;
use serde::Serialize;

use crate::errors::Failure;

/// A file of JSON lines that grows as results come.
pub struct LineWriter {
    path: PathBuf,
    resume: bool,
    file: Option<fs_err::File>,
    bytes: u64,
    lines: usize,
}

impl LineWriter {
    /// A writer to `path`. Nothing is touched before the first line is there to be written, so a command that fails
    /// early leaves an older file alone; after that the file is replaced, or with `resume` appended to.
    pub fn new(path: &Path, resume: bool) -> Self {
        Self {
            path: path.to_owned(),
            resume,
            file: None,
            bytes: 0,
            lines: 0,
        }
    }

    /// Appends lines, all in one write.
    ///
    /// Errors: a [`Failure`] of output naming the file; the file then ends as it did before the call.
    pub fn write(&mut self, values: &[impl Serialize]) -> anyhow::Result<()> {
        let mut text = Vec::new();
        for value in values {
            serde_json::to_writer(&mut text, value)?;
            text.push(b'\n');
        }
        let outcome = self.open().and_then(|file| file.write_all(&text));
        if let Err(error) = outcome {
            return Err(self.give_up(error).into());
        }
        self.bytes += text.len() as u64;
        self.lines += values.len();
        Ok(())
    }

    /// Flushes the file to disk.
    ///
    /// Errors: a [`Failure`] of output naming the file.
    pub fn finish(mut self) -> anyhow::Result<()> {
        let outcome = self.open().and_then(|file| {
            // Pipes and devices cannot be synced, and need not be.
            if file.metadata()?.is_file() {
                file.sync_all()
            } else {
                Ok(())
            }
        });
        outcome.map_err(|error| self.give_up(error).into())
    }

    fn open(&mut self) -> std::io::Result<&mut fs_err::File> {
        if self.file.is_none() {
            if let Some(folder) = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                fs_err::create_dir_all(folder)?;
            }
            let mut options = fs_err::OpenOptions::new();
            options.create(true).write(true).truncate(!self.resume);
            let mut file = options.open(&self.path)?;
            if self.resume {
                self.bytes = file.seek(SeekFrom::End(0))?;
            }
            self.file = Some(file);
        }
        self.file
            .as_mut()
            .ok_or_else(|| std::io::Error::other("the file was not opened"))
    }

    fn give_up(&mut self, error: std::io::Error) -> Failure {
        if let Some(file) = &self.file {
            // Cuts a torn line off; a device or pipe cannot be cut, and holds no torn line to go on from.
            let _ = file.set_len(self.bytes);
        }
        let problem = format!("{}: cannot write after {} lines", self.path.display(), self.lines);
        let hint = "what is written is kept: free some space and add `--resume` to go on, or choose another `--out`";
        Failure::output(problem).hint(hint).because(error)
    }
}

/// Writes a file of JSON lines that appears whole or not at all.
///
/// Errors: a [`Failure`] of output naming the file.
pub fn write_whole(path: &Path, values: &[impl Serialize]) -> anyhow::Result<()> {
    let problem = |error| Failure::output(format!("{}: cannot be written", path.display())).because(error);
    Ok(write_lines(path, values).map_err(problem)?)
}

/// How many lines each id has in a file of results, for going on with it. A torn last line, left by a kill, is cut off.
///
/// Errors: a [`Failure`] of data naming file and line when an earlier line is no result.
pub fn lines_by_id(path: &Path) -> anyhow::Result<HashMap<String, usize>> {
    let mut counts = HashMap::new();
    if !path.exists() {
        return Ok(counts);
    }
    let mut file = fs_err::OpenOptions::new().read(true).write(true).open(path)?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    file.set_len(whole as u64)?;
    for (index, line) in text[..whole].lines().enumerate() {
        *counts.entry(id_of(path, index + 1, line)?).or_default() += 1;
    }
    Ok(counts)
}

fn id_of(path: &Path, line_number: usize, line: &str) -> anyhow::Result<String> {
    let value: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
    value
        .get("id")
        .and_then(|id| id.as_str())
        .map(str::to_owned)
        .ok_or_else(|| {
            let message = format!("{}:{line_number}: expected a JSON object with an `id`", path.display());
            Failure::data(message)
                .hint("`--resume` goes on with a file that the same command wrote before")
                .into()
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errors::{Category, category_of};

    #[test]
    fn a_new_writer_replaces_and_a_resumed_one_appends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/out.jsonl");
        for (resume, expected) in [(false, "{\"id\":\"a\"}\n"), (true, "{\"id\":\"a\"}\n{\"id\":\"a\"}\n")] {
            let mut writer = LineWriter::new(&path, resume);
            writer.write(&[serde_json::json!({"id": "a"})]).unwrap();
            writer.finish().unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
        }
    }

    #[test]
    fn an_old_file_stays_until_the_first_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.jsonl");
        std::fs::write(&path, "old").unwrap();
        drop(LineWriter::new(&path, false));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
    }

    #[test]
    fn a_torn_last_line_is_cut_off_and_its_id_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.jsonl");
        std::fs::write(&path, "{\"id\":\"a\"}\n{\"id\":\"b\"}\n{\"id\":\"c").unwrap();
        let counts = lines_by_id(&path).unwrap();
        assert_eq!(counts, HashMap::from([("a".to_owned(), 1), ("b".to_owned(), 1)]));
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "{\"id\":\"a\"}\n{\"id\":\"b\"}\n"
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_output_failure_that_names_the_file() {
        let mut writer = LineWriter::new(Path::new("/dev/full"), false);
        let error = writer.write(&["line"]).unwrap_err();
        assert_eq!(category_of(&error), Category::Output);
        assert!(
            error.to_string().starts_with("/dev/full: cannot write after 0 lines"),
            "{error}"
        );
    }
}
