//! What a file of results was begun with, kept beside it, so that a later call resumes in the same way or not at all.

use std::path::{Path, PathBuf};

use align::run_dir::{RunError, keep_settings, write_json};
use serde_json::Value;

use crate::errors::{Failure, Result};

/// The settings of a file of results, and the file beside it that keeps them.
#[derive(Debug)]
pub struct ResultSettings {
    results: PathBuf,
    file: PathBuf,
    settings: Value,
}

impl ResultSettings {
    /// `OUT.settings.json` beside `OUT`; none where the results go to a pipe or a device, beside which nothing belongs.
    pub fn beside(results: &Path, settings: Value) -> Option<Self> {
        if is_device(results) {
            return None;
        }
        let mut name = results.file_name().unwrap_or_default().to_owned();
        name.push(".settings.json");
        Some(Self {
            results: results.to_owned(),
            file: results.with_file_name(name),
            settings,
        })
    }

    /// Makes sure that the results were begun with the same settings.
    ///
    /// Errors: of usage naming the first that differs, or the file where there is none to tell.
    pub fn check(&self) -> Result {
        if !self.file.exists() {
            let (results, file) = (self.results.display(), self.file.display());
            let problem =
                format!("{results}: expected the settings that it was begun with in {file}, got no such file");
            let hint = "bring that file along if the results were moved; otherwise choose another `--out`, or add \
                        `--restart` to start over";
            return Err(Failure::settings(problem).hint(hint));
        }
        Ok(keep_settings(&self.file, &self.settings)?)
    }

    /// Keeps the settings of results that begin anew.
    ///
    /// Errors: `Io` naming the file.
    pub fn keep(&self) -> Result<(), RunError> {
        write_json(&self.file, &self.settings)
    }
}

/// Whether results go to a pipe or a device. `/dev/stdout` is one even where it leads to a file.
fn is_device(path: &Path) -> bool {
    let folder = path.parent().and_then(|folder| fs_err::canonicalize(folder).ok());
    let among_devices = folder.is_some_and(|folder| folder == Path::new("/dev") || folder.starts_with("/proc"));
    among_devices || fs_err::metadata(path).is_ok_and(|metadata| !metadata.is_file())
}
