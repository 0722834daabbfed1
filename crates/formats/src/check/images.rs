//! Images checked, each file once however often it is shown.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use super::content_key::{ContentKey, key_of};
use crate::image_files;
use crate::inspect::inspect;
use rows::{Image, Problem, ProblemKind};

/// The outcome for each image file that was checked, by its path's key.
pub(super) struct ImageChecks {
    folder: PathBuf,
    files: HashMap<ContentKey, (ContentKey, Rc<[Problem]>)>,
}

impl ImageChecks {
    /// For a file in a folder, which paths are relative to.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), files: HashMap::new() }
    }

    /// An image's key, which is that of its bytes where they can be read, and what is wrong with it.
    pub fn check(&mut self, image: &Image) -> (ContentKey, Vec<Problem>) {
        match image {
            Image::Bytes { bytes, name } => {
                let extension = name.as_deref().and_then(|name| Path::new(name).extension()?.to_str());
                (key_of(bytes), inspect(bytes, extension))
            }
            Image::Remote(address) => {
                let problem = Problem::new(ProblemKind::RemoteImage, format!("{address} is not fetched"));
                (key_of(address.as_bytes()), vec![problem])
            }
            Image::File(path) => {
                let path_key = key_of(path.as_os_str().as_encoded_bytes());
                let (key, problems) =
                    self.files.entry(path_key).or_insert_with(|| check_file(&self.folder, path, path_key));
                (*key, problems.to_vec())
            }
        }
    }
}

fn check_file(folder: &Path, path: &Path, path_key: ContentKey) -> (ContentKey, Rc<[Problem]>) {
    let mut problems: Vec<Problem> = escape(path).into_iter().collect();
    let resolved = folder.join(path);
    let bytes = if path.as_os_str().is_empty() || !resolved.is_file() {
        Err(format!("{}: no such file", resolved.display()))
    } else {
        image_files::read(&resolved)
    };
    match bytes {
        Ok(bytes) => {
            let extension = path.extension().and_then(|extension| extension.to_str());
            for problem in inspect(&bytes, extension) {
                let message = format!("{}: {}", path.display(), problem.message);
                problems.push(Problem::new(problem.kind, message));
            }
            (key_of(&bytes), problems.into())
        }
        Err(message) => {
            problems.push(Problem::new(ProblemKind::MissingImage, message));
            (path_key, problems.into())
        }
    }
}

/// Whether a path leads out of the file's folder, so that the file cannot be moved with its images.
fn escape(path: &Path) -> Option<Problem> {
    let mut depth = 0_i32;
    let mut is_outside = false;
    for part in path.components() {
        match part {
            Component::ParentDir => depth -= 1,
            Component::Normal(_) => depth += 1,
            _ => {}
        }
        is_outside |= depth < 0;
    }
    let what = if path.is_absolute() {
        "is absolute"
    } else if is_outside {
        "leads out of the file's folder"
    } else {
        return None;
    };
    let message = format!("{} {what}: it is lost if the file is moved", path.display());
    Some(Problem::new(ProblemKind::PathEscapes, message))
}
