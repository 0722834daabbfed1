//! Pictures looked at, each file once however often it is shown.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use super::rows::{Key, key_of};
use crate::fault::{Fault, FaultKind};
use crate::picture::inspect;
use crate::picture_files;
use crate::record::Picture;

/// What is known of pictures that were looked at.
pub(super) struct PictureChecks {
    folder: PathBuf,
    files: HashMap<Key, (Key, Rc<[Fault]>)>,
}

impl PictureChecks {
    /// For a file in a folder, which paths are relative to.
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            files: HashMap::new(),
        }
    }

    /// A picture's key, which is its content's where it can be read, and what is wrong with it.
    pub fn look(&mut self, picture: &Picture) -> (Key, Vec<Fault>) {
        match picture {
            Picture::Bytes { bytes, name } => {
                let extension = name.as_deref().and_then(|name| Path::new(name).extension());
                let extension = extension.and_then(|extension| extension.to_str());
                (key_of(bytes), inspect(bytes, extension))
            }
            Picture::Remote(address) => {
                let fault = Fault::new(FaultKind::RemoteImage, format!("{address} is not fetched"));
                (key_of(address.as_bytes()), vec![fault])
            }
            Picture::File(path) => {
                let known = key_of(path.as_os_str().as_encoded_bytes());
                let (key, faults) = self
                    .files
                    .entry(known)
                    .or_insert_with(|| look_at_file(&self.folder, path));
                (*key, faults.to_vec())
            }
        }
    }
}

fn look_at_file(folder: &Path, path: &Path) -> (Key, Rc<[Fault]>) {
    let mut faults: Vec<Fault> = escape(path).into_iter().collect();
    let resolved = folder.join(path);
    let named = key_of(path.as_os_str().as_encoded_bytes());
    if path.as_os_str().is_empty() || !resolved.is_file() {
        let problem = format!("{}: no such file", resolved.display());
        faults.push(Fault::new(FaultKind::MissingImage, problem));
        return (named, faults.into());
    }
    match picture_files::read(&resolved) {
        Ok(bytes) => {
            let extension = path.extension().and_then(|extension| extension.to_str());
            let of_picture = inspect(&bytes, extension).into_iter().map(|fault| Fault {
                problem: format!("{}: {}", path.display(), fault.problem),
                ..fault
            });
            faults.extend(of_picture);
            (key_of(&bytes), faults.into())
        }
        Err(problem) => {
            faults.push(Fault::new(FaultKind::MissingImage, problem));
            (named, faults.into())
        }
    }
}

/// Whether a path leads out of the file's folder, so that the file cannot be moved with its pictures.
fn escape(path: &Path) -> Option<Fault> {
    let mut depth = 0_i32;
    let mut outside = false;
    for part in path.components() {
        match part {
            Component::ParentDir => depth -= 1,
            Component::Normal(_) => depth += 1,
            _ => {}
        }
        outside |= depth < 0;
    }
    let what = if path.is_absolute() {
        "is absolute"
    } else if outside {
        "leads out of the file's folder"
    } else {
        return None;
    };
    let problem = format!("{} {what}: it is lost where the file is moved", path.display());
    Some(Fault::new(FaultKind::PathEscapes, problem))
}
