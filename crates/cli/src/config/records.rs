//! Settings as runs record them: files and folders as [`seen_from`] the run's folder, so that it may be moved, and
//! resumed from any working directory.

use std::path::{Path, PathBuf};

use align::types::seen_from;

use super::tables::{ModelTable, RlData, RlSettings, SftData, SftSettings};

impl ModelTable {
    /// The same as records name it. A name on the hub stays.
    pub fn seen_from(&self, folder: &Path) -> Self {
        let mut seen = self.clone();
        for path in [&mut seen.path, &mut seen.adapter].into_iter().flatten() {
            if path.exists() {
                *path = seen_from(path, folder);
            }
        }
        seen
    }
}

impl SftSettings {
    /// The same as records name it.
    pub fn seen_from(&self, folder: &Path) -> Self {
        Self {
            model: self.model.seen_from(folder),
            data: SftData {
                train: seen(self.data.train.as_ref(), folder),
                general: seen(self.data.general.as_ref(), folder),
                image_feature_cache: seen(self.data.image_feature_cache.as_ref(), folder),
                ..self.data.clone()
            },
            ..self.clone()
        }
    }
}

impl RlSettings {
    /// The same as records name it.
    pub fn seen_from(&self, folder: &Path) -> Self {
        Self {
            model: self.model.seen_from(folder),
            data: RlData {
                prompts: seen(self.data.prompts.as_ref(), folder),
                image_feature_cache: seen(self.data.image_feature_cache.as_ref(), folder),
                ..self.data.clone()
            },
            ..self.clone()
        }
    }
}

fn seen(path: Option<&PathBuf>, folder: &Path) -> Option<PathBuf> {
    path.map(|path| seen_from(path, folder))
}
