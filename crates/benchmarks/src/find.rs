//! Where a suite's files are: in the folder that is named, or in one below it under a name that it goes by.

use std::path::{Path, PathBuf};

use align::types::DataError;

use crate::suite::Suite;

/// The suite's folder: the first of those it may be in that is in a known layout.
pub(crate) fn folder_of(suite: &Suite, data: &Path) -> Result<PathBuf, DataError> {
    let found = candidates(suite, data)
        .into_iter()
        .find(|folder| suite.layouts.iter().any(|layout| !matching(folder, layout).is_empty()));
    found.ok_or_else(|| {
        let expected = suite.layouts.join("`, or `");
        let problem = format!(
            "{}: {} is not there: expected `{expected}`, in this folder or in one named {}",
            data.display(),
            suite.title,
            names(suite).collect::<Vec<_>>().join(", ")
        );
        std::io::Error::new(std::io::ErrorKind::NotFound, problem).into()
    })
}

/// The folders in which a suite may be: the one named, those below it by the suite's names, and snapshots of the hub's
/// cache.
pub(crate) fn candidates(suite: &Suite, data: &Path) -> Vec<PathBuf> {
    let mut folders = vec![];
    for name in names(suite) {
        let below = data.join(name);
        folders.extend(snapshots(&below));
        folders.push(below);
    }
    for name in suite.folders.iter().filter(|name| name.contains('/')) {
        folders.extend(snapshots(&data.join(format!("datasets--{}", name.replace('/', "--")))));
    }
    folders.push(data.to_owned());
    folders.retain(|folder| folder.is_dir());
    folders
}

/// The names of its folder: its own, and of each of the others the whole and what follows the owner.
fn names(suite: &Suite) -> impl Iterator<Item = &'static str> {
    let others = suite.folders.iter().flat_map(|name| {
        let short = name.rsplit('/').next().unwrap_or(name);
        [short].into_iter().chain((*name != short).then_some(*name))
    });
    std::iter::once(suite.name).chain(others)
}

/// The snapshots in a folder of the hub's cache.
fn snapshots(folder: &Path) -> Vec<PathBuf> {
    sorted(&folder.join("snapshots")).into_iter().filter(|path| path.is_dir()).collect()
}

/// The files and folders of a path in which `*` stands for any letters of a name, in the order of their names.
pub(crate) fn matching(folder: &Path, pattern: &str) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    for part in pattern.split('/') {
        let mut next = Vec::new();
        for path in found {
            match part.split_once('*') {
                None => next.push(path.join(part)),
                Some((before, after)) => {
                    next.extend(sorted(&path).into_iter().filter(|path| is_between(path, before, after)));
                }
            }
        }
        found = next;
    }
    found.retain(|path| path.exists());
    found
}

fn is_between(path: &Path, before: &str, after: &str) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.strip_prefix(before).is_some_and(|rest| rest.ends_with(after))
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let entries = fs_err::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}
