//! Settings as runs record them: files and folders as [`resolved_relative_to`] the run's folder, so that it may be moved, and
//! resumed from any working directory.

use std::path::{Path, PathBuf};

use align::types::resolved_relative_to;

use super::tables::{ModelTable, RlData, RlSettings, SftData, SftSettings};

impl ModelTable {
    /// The same as records store it. A name on the hub stays.
    pub fn relative_to(&self, folder: &Path) -> Self {
        let mut seen = self.clone();
        for path in [&mut seen.path, &mut seen.adapter].into_iter().flatten() {
            if path.exists() {
                *path = resolved_relative_to(path, folder);
            }
        }
        seen
    }
}

impl SftSettings {
    /// The same as records store it.
    pub fn relative_to(&self, folder: &Path) -> Self {
        Self {
            model: self.model.relative_to(folder),
            data: SftData {
                train: relative(self.data.train.as_ref(), folder),
                general: relative(self.data.general.as_ref(), folder),
                image_feature_cache: relative(self.data.image_feature_cache.as_ref(), folder),
                ..self.data.clone()
            },
            ..self.clone()
        }
    }
}

impl RlSettings {
    /// The same as records store it.
    pub fn relative_to(&self, folder: &Path) -> Self {
        Self {
            model: self.model.relative_to(folder),
            data: RlData {
                prompts: relative(self.data.prompts.as_ref(), folder),
                image_feature_cache: relative(self.data.image_feature_cache.as_ref(), folder),
                ..self.data.clone()
            },
            ..self.clone()
        }
    }
}

fn relative(path: Option<&PathBuf>, folder: &Path) -> Option<PathBuf> {
    path.map(|path| resolved_relative_to(path, folder))
}
