//! Results written line by line: each line is on disk before the next begins, and a failed write leaves only whole
//! lines behind.

mod settings;

use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use align::files::write_lines;
use align::run_dir::RunError;
use serde::Serialize;
use serde_json::Value;

use crate::errors::{Failure, Result};
use crate::output_folder::OutputFolder;
use settings::ResultSettings;

/// A file of JSON lines that grows as results come.
pub struct LineWriter {
    path: PathBuf,
    settings: Option<ResultSettings>,
    resume: bool,
    file: Option<fs_err::File>,
    bytes: u64,
    lines: usize,
    _folder: OutputFolder,
}

impl LineWriter {
    /// A writer to `path` of results made with `settings`, which are kept beside it, and how many lines each id has
    /// there already. Nothing is touched before the first line is there to be written, so a command that fails early
    /// leaves an older file alone; after that the file is replaced, or with `resume` appended to. A torn last line,
    /// left by a kill, is cut off before.
    ///
    /// Errors: of settings where the results to resume were begun with other settings; of data naming file and line
    /// where they are none; of output where their folder cannot be made.
    pub fn open(path: &Path, settings: Value, resume: bool) -> Result<(Self, HashMap<String, usize>)> {
        let settings = ResultSettings::beside(path, settings);
        // A pipe or a device holds nothing to resume from.
        let resume = resume && settings.is_some();
        let written = match settings.as_ref().filter(|_| resume) {
            Some(settings) => written_before(path, settings)?,
            None => HashMap::new(),
        };
        let writer = Self {
            _folder: OutputFolder::make_for(path)?,
            path: path.to_owned(),
            settings,
            resume,
            file: None,
            bytes: 0,
            lines: 0,
        };
        Ok((writer, written))
    }

    /// Appends lines, all in one write.
    ///
    /// Errors: a [`Failure`] of output naming the file; the file then ends as it did before the call.
    pub fn write(&mut self, values: &[impl Serialize]) -> Result {
        let mut text = Vec::new();
        for value in values {
            serde_json::to_writer(&mut text, value).map_err(std::io::Error::from)?;
            text.push(b'\n');
        }
        let outcome = self.file().and_then(|file| Ok(file.write_all(&text)?));
        if let Err(error) = outcome {
            return Err(self.give_up(error));
        }
        self.bytes += text.len() as u64;
        self.lines += values.len();
        Ok(())
    }

    /// Flushes the file to disk.
    ///
    /// Errors: a [`Failure`] of output naming the file.
    pub fn finish(mut self) -> Result {
        let outcome = self.file().and_then(|file| {
            // Pipes and devices cannot be synced, and need not be.
            if file.metadata()?.is_file() {
                file.sync_all()?;
            }
            Ok(())
        });
        outcome.map_err(|error| self.give_up(error))
    }

    /// The file, opened when it is first needed.
    fn file(&mut self) -> Result<&mut fs_err::File, RunError> {
        let file = match self.file.take() {
            Some(file) => file,
            None => self.open_file()?,
        };
        Ok(self.file.insert(file))
    }

    fn open_file(&mut self) -> Result<fs_err::File, RunError> {
        let mut options = fs_err::OpenOptions::new();
        options.create(true).write(true).truncate(!self.resume);
        let mut file = options.open(&self.path)?;
        if self.resume {
            self.bytes = file.seek(SeekFrom::End(0))?;
        }
        // Only an empty file takes on other settings, so that a kill in between leaves no line under those of others.
        if let Some(settings) = self.settings.as_ref().filter(|_| self.bytes == 0) {
            settings.keep()?;
        }
        Ok(file)
    }

    fn give_up(&mut self, error: RunError) -> Failure {
        if let Some(file) = &self.file {
            // Cuts a torn line off; a device or pipe cannot be cut, and holds no torn line to go on from.
            let _ = file.set_len(self.bytes);
        }
        let problem = format!("{}: cannot write after {} lines", self.path.display(), self.lines);
        let hint =
            "what is written is kept: free some space and repeat the command to resume, or choose another `--out`";
        Failure::output(problem).hint(hint).because(&error)
    }
}

/// Writes a file of JSON lines that appears whole or not at all.
///
/// Errors: a [`Failure`] of output naming the file.
pub fn write_whole(path: &Path, values: &[impl Serialize]) -> Result {
    write_lines(path, values)
        .map_err(|error| Failure::output(format!("{}: cannot be written", path.display())).because(&error))
}

/// How many lines each id has in a file of results that is gone on with; none where it was not begun.
fn written_before(path: &Path, settings: &ResultSettings) -> Result<HashMap<String, usize>> {
    if !fs_err::metadata(path).is_ok_and(|metadata| metadata.len() > 0) {
        return Ok(HashMap::new());
    }
    settings.check()?;
    lines_by_id(path)
}

/// How many lines each id has in a file of results. A torn last line is cut off.
fn lines_by_id(path: &Path) -> Result<HashMap<String, usize>> {
    let mut counts = HashMap::new();
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

fn id_of(path: &Path, line_number: usize, line: &str) -> Result<String> {
    let value: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
    value
        .get("id")
        .and_then(|id| id.as_str())
        .map(str::to_owned)
        .ok_or_else(|| {
            let message = format!("{}:{line_number}: expected a JSON object with an `id`", path.display());
            Failure::data(message).hint("add `--restart` to start over, or choose another `--out`")
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use diagnostic::Kind;

    /// Writes a line under these settings, after those that were there.
    fn write_one(path: &Path, settings: Value, resume: bool) -> Result {
        let (mut writer, _) = LineWriter::open(path, settings, resume)?;
        writer.write(&[json!({"id": "a"})])?;
        writer.finish()
    }

    #[test]
    fn a_new_writer_replaces_and_a_resumed_one_appends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/out.jsonl");
        for (resume, n_lines) in [(true, 1), (false, 1), (true, 2)] {
            write_one(&path, json!({}), resume).unwrap();
            let expected = "{\"id\":\"a\"}\n".repeat(n_lines);
            assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
        }
    }

    #[test]
    fn results_are_gone_on_with_under_the_settings_that_they_were_begun_with() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.jsonl");
        write_one(&path, json!({"seed": 1}), false).unwrap();
        write_one(&path, json!({"seed": 2}), false).unwrap();
        write_one(&path, json!({"seed": 2}), true).unwrap();
        let refused = |settings| {
            let error = write_one(&path, settings, true).unwrap_err();
            assert_eq!(error.kind(), Kind::Settings);
            error.to_string()
        };
        let differs = refused(json!({"seed": 1}));
        assert!(
            differs.contains("out.jsonl.settings.json: `seed` differs from the run's: expected 2, got 1"),
            "{differs}"
        );
        std::fs::remove_file(folder.path().join("out.jsonl.settings.json")).unwrap();
        let unknown = refused(json!({"seed": 2}));
        assert!(
            unknown.contains("out.jsonl: expected the settings that it was begun with in "),
            "{unknown}"
        );
        // A file without a line holds nothing that could be mixed.
        std::fs::write(&path, "").unwrap();
        write_one(&path, json!({"seed": 3}), true).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 1);
    }

    #[test]
    fn an_old_file_stays_until_the_first_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.jsonl");
        std::fs::write(&path, "old").unwrap();
        drop(LineWriter::open(&path, json!({}), false).unwrap());
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
        let (mut writer, _) = LineWriter::open(Path::new("/dev/full"), json!({}), false).unwrap();
        let error = writer.write(&["line"]).unwrap_err();
        assert_eq!(error.kind(), Kind::Output);
        assert!(
            error.to_string().starts_with("/dev/full: cannot write after 0 lines"),
            "{error}"
        );
        assert!(!Path::new("/dev/full.settings.json").exists());
        assert!(LineWriter::open(Path::new("/dev/full"), json!({}), true).is_ok());
    }
}
