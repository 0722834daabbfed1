//! Benchmarks that must not be trained on, found among training data: by the folder in which a file lies, and by what
//! ids and splits say of items that were taken out of it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use align::types::{Item, image_paths};

use crate::suite::Suite;
use crate::suites::SUITES;

/// Looks for benchmarks that forbid training. Each folder is looked at once.
#[derive(Debug, Default)]
pub struct TestOnly {
    folders: HashMap<PathBuf, Option<&'static Suite>>,
}

impl TestOnly {
    /// The benchmark in whose folder a file lies.
    pub fn of_file(&mut self, file: &Path) -> Option<&'static Suite> {
        let file = fs_err::canonicalize(file).ok()?;
        let folder = if file.is_dir() { &file } else { file.parent()? };
        *self.folders.entry(folder.to_owned()).or_insert_with(|| of_folder(folder))
    }

    /// The benchmark that an item or one of its images is of.
    pub fn of_item(&mut self, item: &Item) -> Option<&'static Suite> {
        let named = forbidding().find(|suite| {
            let begins = |text: &str| text.strip_prefix(suite.name).is_some_and(|rest| rest.starts_with('-'));
            begins(&item.id) || item.split.as_deref().is_some_and(|split| split == suite.name || begins(split))
        });
        named.or_else(|| image_paths(&item.messages).find_map(|image| self.of_file(image)))
    }
}

impl Suite {
    /// Why it must not be trained on.
    pub fn forbids_training(&self) -> String {
        format!("{} must not be trained on: its license, {}, forbids it", self.title, self.license.name)
    }
}

fn forbidding() -> impl Iterator<Item = &'static Suite> {
    SUITES.iter().copied().filter(|suite| suite.license.forbids_training)
}

fn of_folder(folder: &Path) -> Option<&'static Suite> {
    // A folder that is called otherwise is not recognized: layouts alone would take other data for a benchmark.
    folder.ancestors().skip(1).find_map(|above| {
        let mut suites = forbidding();
        suites.find(|suite| suite.folder(above).is_ok_and(|(found, _)| found != above && folder.starts_with(found)))
    })
}
