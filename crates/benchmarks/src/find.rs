//! Where a suite's files are: in the folder that is named, or in one below it under a name that it goes by.

use std::path::{Path, PathBuf};

/// The folders in which a suite may be: those below the one named by the suite's names, snapshots of the hub's cache, and
/// the one named itself.
pub(crate) fn candidates(name: &str, others: &[&str], data: &Path) -> Vec<PathBuf> {
    let mut folders = vec![];
    for name in names(name, others) {
        let below = data.join(name);
        folders.extend(snapshots(&below));
        folders.push(below);
    }
    for name in others.iter().filter(|name| name.contains('/')) {
        folders.extend(snapshots(&data.join(format!("datasets--{}", name.replace('/', "--")))));
    }
    folders.extend(snapshots(data));
    folders.push(data.to_owned());
    folders.retain(|folder| folder.is_dir());
    folders
}

/// The names of its folder: its own, and of each of the others what follows the owner, and the whole.
pub(crate) fn names<'a>(name: &'a str, others: &[&'a str]) -> Vec<&'a str> {
    let mut names = vec![name];
    for other in others {
        names.extend(other.rsplit('/').next());
        names.push(other);
    }
    names.dedup();
    names
}

/// The snapshots in a folder of the hub's cache, first the one that it names as its main branch.
fn snapshots(folder: &Path) -> Vec<PathBuf> {
    let main = fs_err::read_to_string(folder.join("refs/main")).unwrap_or_default();
    let mut snapshots = sorted(&folder.join("snapshots"));
    snapshots.retain(|path| path.is_dir());
    snapshots.sort_by_key(|path| path.file_name().is_none_or(|name| name != main.trim()));
    snapshots
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

/// The first text that is found in these files of the authors' sources, below any of these folders.
pub(crate) fn source_text(
    folders: &[PathBuf],
    files: &[&str],
    find: impl Fn(&str) -> Option<String>,
) -> Option<String> {
    let paths = folders.iter().flat_map(|folder| files.iter().map(move |file| folder.join(file)));
    paths.filter_map(|path| text_of(&path).ok()).find_map(|text| find(&text))
}

/// A file's text without a byte order mark, with the line ends of Unix.
pub(crate) fn text_of(file: &Path) -> std::io::Result<String> {
    let text = fs_err::read_to_string(file)?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(&text).replace("\r\n", "\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_is_found_in_the_hub_s_cache_and_in_its_own_folder_there() {
        let cache = tempfile::tempdir().unwrap();
        let own = cache.path().join("datasets--owner--Name");
        let snapshot = own.join("snapshots/abc");
        fs_err::create_dir_all(&snapshot).unwrap();
        for data in [cache.path(), &own] {
            assert_eq!(candidates("name", &["owner/Name"], data), [snapshot.clone(), data.to_owned()]);
        }
    }

    #[test]
    fn variants_are_found_in_the_folder_that_is_called_as_the_whole() {
        let data = tempfile::tempdir().unwrap();
        for (variant, whole) in [
            ("figstep-pro", "figstep"),
            ("mm-safetybench-tiny", "mm-safetybench"),
            ("jailbreakv-mini", "jailbreakv"),
            ("siuo-mcq", "siuo"),
            ("siuo@scale", "siuo"),
            ("mssbench-embodied", "mssbench"),
            ("mossbench-contrast", "mossbench"),
            ("msts-text", "msts"),
        ] {
            let folder = data.path().join(whole);
            fs_err::create_dir_all(&folder).unwrap();
            assert!(crate::suite(variant).unwrap().candidates(data.path()).contains(&folder), "{variant}");
        }
    }
}
