//! Images that come within a suite's files, as bytes or base64: they become files once, named by their content.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use align::files::write_atomically;
use align::types::{image_file_name, image_size};

/// Where images that come as bytes go.
#[derive(Debug)]
pub enum Images {
    /// Into this folder, as files.
    Kept(PathBuf),
    /// Nowhere: only their sizes are noted, for listings and estimates.
    Sized(HashMap<PathBuf, Option<(u32, u32)>>),
    /// Nowhere: nobody will look at them, and it does not matter which are there.
    Unneeded,
}

impl Images {
    /// Images that are only counted and measured.
    pub fn sized() -> Self {
        Self::Sized(HashMap::new())
    }

    /// The path of an image that came as bytes.
    ///
    /// Errors: `Io` naming the file that cannot be written.
    pub fn path_of(&mut self, bytes: &[u8]) -> std::io::Result<PathBuf> {
        let name = image_file_name(bytes);
        match self {
            Self::Kept(folder) => {
                let path = folder.join(name);
                if !path.is_file() {
                    write_atomically(&path, bytes)?;
                }
                Ok(path)
            }
            Self::Sized(sizes) => {
                let path = PathBuf::from(name);
                sizes.entry(path.clone()).or_insert_with(|| image_size(bytes));
                Ok(path)
            }
            Self::Unneeded => Ok(PathBuf::from(name)),
        }
    }

    /// Whether there is such an image.
    pub fn has(&self, path: &Path) -> bool {
        match self {
            Self::Sized(sizes) if sizes.contains_key(path) => true,
            Self::Unneeded => true,
            Self::Kept(_) | Self::Sized(_) => path.is_file(),
        }
    }

    /// An image's width and height (pixels), by the head of its file; none where they cannot be read.
    pub fn size(&self, path: &Path) -> Option<(u32, u32)> {
        if let Self::Sized(sizes) = self
            && let Some(size) = sizes.get(path)
        {
            return *size;
        }
        image_size(&fs_err::read(path).ok()?)
    }
}
