//! Settings as runs record them: files and folders as [`seen_from`] the run's folder, so that it may be moved, and gone
//! on with from any working directory.

use std::path::{Path, PathBuf};

use align::types::seen_from;

use super::tables::{ModelTable, RlData, RlSettings, SftData, SftSettings};

impl ModelTable {
    /// The same as records name it. A name on the hub stays.
    pub fn seen_from(&self, folder: &Path) -> Self {
        let on_this_machine = |path: &PathBuf| {
            if path.exists() {
                seen_from(path, folder)
            } else {
                path.clone()
            }
        };
        Self {
            path: self.path.as_ref().map(on_this_machine),
            adapter: self.adapter.as_ref().map(on_this_machine),
            ..self.clone()
        }
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
