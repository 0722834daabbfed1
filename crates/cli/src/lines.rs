//! Files of results, a JSON line each: what is kept beside one, and how it is written.

use std::io::Write;
use std::path::{Path, PathBuf};

use align::files::{write_lines, write_streamed};
use align::run_dir::{check_kept_settings, write_json};
use serde::Serialize;
use serde_json::Value;

use crate::errors::{Failure, Result};
use crate::output_folder::{OutputFolder, remove_results};

/// A file of JSON lines that are made from models' answers. Beside it are the settings that it is made with
/// (`FILE.settings.json`) and the journal of the answers (`FILE.journal.sqlite`), so that the same command resumes after a
/// stop; beside a pipe or a device there is nothing.
pub struct ResultFile {
    path: PathBuf,
    is_device: bool,
    settings: Value,
}

impl ResultFile {
    /// The file at `path` for results made with these settings. Nothing is touched.
    pub fn new(path: &Path, settings: Value) -> Self {
        Self { is_device: is_device(path), path: path.to_owned(), settings }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the folder that the file goes into.
    ///
    /// Errors: of output where it cannot be made.
    pub fn folder(&self) -> Result<OutputFolder> {
        OutputFolder::make_for(&self.path)
    }

    /// Whether results are kept in a file; a pipe or a device only passes them on.
    pub fn is_kept(&self) -> bool {
        !self.is_device
    }

    /// Makes sure that what is there was made with the same settings. Settings without results or answers bind nobody.
    ///
    /// Errors: of settings naming the first that differs.
    pub fn check(&self, has_answers: bool) -> Result {
        if !self.is_device && (has_answers || self.path.exists()) {
            check_kept_settings(&self.beside("settings.json"), &self.settings)?;
        }
        Ok(())
    }

    /// Where the journal is; none where it is only held.
    pub fn journal(&self) -> Option<PathBuf> {
        (!self.is_device).then(|| self.beside("journal.sqlite"))
    }

    /// Keeps the settings; with `restart` the results that are there go first.
    ///
    /// Errors: of output naming the file.
    pub fn begin(&self, restart: bool) -> Result {
        if self.is_device {
            return Ok(());
        }
        if restart {
            remove_results(Path::new(""), &[&self.path])?;
        }
        Ok(write_json(&self.beside("settings.json"), &self.settings)?)
    }

    /// Writes the lines that `work` makes. A file appears when all are there; a pipe or a device gets them as they come.
    ///
    /// Errors: those of `work`; a [`Failure`] of output naming the file.
    pub fn write(&self, work: impl FnOnce(&mut Lines) -> Result) -> Result {
        if !self.is_device {
            return write_streamed(&self.path, |file| work(&mut Lines::to(&self.path, file)));
        }
        let opened = fs_err::OpenOptions::new().write(true).open(&self.path);
        let mut file = opened.map_err(|error| self.problem(&error))?;
        work(&mut Lines::to(&self.path, &mut file))
    }

    fn problem(&self, error: &std::io::Error) -> Failure {
        Failure::output(format!("{}: cannot be written", self.path.display())).because(error)
    }

    /// `out.jsonl` → `out.jsonl.<ending>`.
    fn beside(&self, ending: &str) -> PathBuf {
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{ending}"));
        self.path.with_file_name(name)
    }
}

/// Lines on their way into a file.
pub struct Lines<'f> {
    path: &'f Path,
    file: &'f mut dyn Write,
    n_written: usize,
}

impl<'f> Lines<'f> {
    fn to(path: &'f Path, file: &'f mut dyn Write) -> Self {
        Self { path, file, n_written: 0 }
    }

    /// Writes a line.
    ///
    /// Errors: a [`Failure`] of output naming the file.
    pub fn write(&mut self, mut line: String) -> Result {
        line.push('\n');
        self.file.write_all(line.as_bytes()).map_err(|error| {
            let problem = format!("{}: cannot write after {} lines", self.path.display(), self.n_written);
            let hint = "free some space and repeat the command to resume, or choose another `--out`";
            Failure::output(problem).hint(hint).because(&error)
        })?;
        self.n_written += 1;
        Ok(())
    }
}

/// Writes a file of JSON lines that appears whole or not at all.
///
/// Errors: a [`Failure`] of output naming the file.
pub fn write_whole(path: &Path, values: &[impl Serialize]) -> Result {
    let written = write_lines(path, values);
    written.map_err(|error| Failure::output(format!("{}: cannot be written", path.display())).because(&error))
}

/// Whether results go to a pipe or a device. `/dev/stdout` is one even where it leads to a file.
fn is_device(path: &Path) -> bool {
    let folder = path.parent().and_then(|folder| fs_err::canonicalize(folder).ok());
    let among_devices = folder.is_some_and(|folder| folder == Path::new("/dev") || folder.starts_with("/proc"));
    among_devices || fs_err::metadata(path).is_ok_and(|metadata| !metadata.is_file())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use diagnostic::Kind;

    fn write(path: &Path, settings: Value, restart: bool, lines: &[&str]) -> Result {
        let file = ResultFile::new(path, settings);
        let _folder = file.folder()?;
        if !restart {
            file.check(false)?;
        }
        file.begin(restart)?;
        file.write(|out| lines.iter().try_for_each(|line| out.write((*line).to_owned())))
    }

    #[test]
    fn results_are_replaced_whole_under_the_settings_that_they_were_begun_with() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/out.jsonl");
        write(&path, json!({"seed": 1}), false, &["a"]).unwrap();
        write(&path, json!({"seed": 1}), false, &["a", "b"]).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a\nb\n");
        let error = write(&path, json!({"seed": 2}), false, &["c"]).unwrap_err();
        assert_eq!(error.kind(), Kind::Settings);
        let message = error.to_string();
        assert!(
            message.contains("out.jsonl.settings.json: `seed` differs from the run's: expected 1, got 2"),
            "{message}"
        );
        write(&path, json!({"seed": 2}), true, &["c"]).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "c\n");
    }

    #[test]
    fn what_fails_leaves_the_results_that_were_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.jsonl");
        write(&path, json!({}), false, &["old"]).unwrap();
        let file = ResultFile::new(&path, json!({}));
        let failed = file.write(|out| {
            out.write("new".to_owned())?;
            Err(Failure::data("stopped"))
        });
        assert!(failed.is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old\n");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_output_failure_that_names_the_file() {
        let error = write(Path::new("/dev/full"), json!({}), false, &["line"]).unwrap_err();
        assert_eq!(error.kind(), Kind::Output);
        assert!(error.to_string().starts_with("/dev/full: cannot write after 0 lines"), "{error}");
        assert!(!Path::new("/dev/full.settings.json").exists());
    }
}
