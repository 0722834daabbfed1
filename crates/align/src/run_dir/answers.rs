//! The folder in which a policy's answers are journalled as they come.

use std::path::Path;

use serde_json::Value;

use super::error::RunError;
use super::settings::keep_settings;
use crate::files::remove_if_exists;

/// Where the answers of one policy go, and whether some may be there already.
#[derive(Clone, Copy, Debug)]
pub struct AnswerFolder<'a> {
    /// The folder.
    pub path: &'a Path,
    /// Who answers, told apart by more than a name: its folder, and its adapter's. Answers of another are never taken
    /// for its own.
    pub policy: &'a str,
    /// Go on with the answers that are there.
    pub resume: bool,
}

impl AnswerFolder<'_> {
    /// Makes the folder ready: `journal` holds its answers, `file` the settings they were drawn with.
    ///
    /// Errors: `Exists` where there are answers and they are not to be gone on with; `SettingDiffers` where they are
    /// another policy's or were drawn with other settings; `Corrupt` or `Io` naming the file.
    pub(crate) fn open(&self, journal: &str, file: &str, mut settings: Value) -> Result<(), RunError> {
        let has_answers = self.path.join(journal).exists();
        if has_answers && !self.resume {
            return Err(RunError::Exists {
                folder: self.path.to_owned(),
            });
        }
        fs_err::create_dir_all(self.path)?;
        if !has_answers {
            // Settings without answers are left from a run that got nowhere.
            remove_if_exists(&self.path.join(file))?;
        }
        settings["policy"] = self.policy.into();
        keep_settings(&self.path.join(file), &settings)
    }
}
