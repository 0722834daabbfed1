//! Paths relative to a folder, as data and records store them, so that both can be moved and read from any working
//! directory.

use std::path::{Component, Path, PathBuf};

use super::{Message, Part};

/// The path relative to the folder: climbing as far as a working directory that both are relative to, or at most two
/// folders where both are absolute; otherwise the absolute path.
pub fn relative_to(path: &Path, folder: &Path) -> PathBuf {
    let [path, folder] = [path, folder].map(|path| -> PathBuf {
        let parts = path.components();
        parts.filter(|part| *part != Component::CurDir).collect()
    });
    let reaches_up = folder.components().any(|part| part == Component::ParentDir);
    let most = if reaches_up || path.is_absolute() != folder.is_absolute() {
        0
    } else if folder.is_absolute() {
        3
    } else {
        usize::MAX
    };
    for (climbed, ancestor) in folder.ancestors().enumerate().take(most) {
        if let Ok(below) = path.strip_prefix(ancestor) {
            return std::iter::repeat_n(Path::new(".."), climbed).collect::<PathBuf>().join(below);
        }
    }
    std::path::absolute(&path).unwrap_or(path)
}

/// The path as records store it: both resolved first, then relative to the folder where it leads at most two folders
/// up, and absolute beyond. The result is the same from any working directory, however both are spelled, and after both
/// are moved together.
pub fn resolved_relative_to(path: &Path, folder: &Path) -> PathBuf {
    relative_to(&resolved(path), &resolved(folder))
}

/// The messages with image paths relative to a folder, as [`resolved_relative_to`] makes them.
pub fn messages_relative_to(messages: &[Message], folder: &Path) -> Vec<Message> {
    let folder = resolved(folder);
    let mut messages = messages.to_vec();
    for part in messages.iter_mut().flat_map(|message| &mut message.content) {
        if let Part::Image { image, .. } = part {
            *image = relative_to(&resolved(image), &folder);
        }
    }
    messages
}

/// The absolute path, its folders' links followed as far as they exist. A link to a file stays: its name says more than
/// that of its target.
fn resolved(path: &Path) -> PathBuf {
    let here = Path::new(".");
    let path = if path.as_os_str().is_empty() { here } else { path };
    for folder in path.ancestors().skip(usize::from(!path.is_dir())) {
        let real = fs_err::canonicalize(if folder.as_os_str().is_empty() { here } else { folder });
        if let (Ok(real), Ok(rest)) = (real, path.strip_prefix(folder)) {
            return real.join(rest);
        }
    }
    path.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_from_a_files_folder_to_the_image() {
        let absolute = std::path::absolute("a.png").unwrap();
        for (path, folder, expected) in [
            ("world/images/a.png", "world", "images/a.png"),
            ("world/images/a.png", "world/labels", "../images/a.png"),
            ("world/images/a.png", "runs/curated", "../../world/images/a.png"),
            ("./world/images/a.png", "./runs", "../world/images/a.png"),
            ("images/a.png", "", "images/a.png"),
            ("/data/world/images/a.png", "/data/world/labels", "../images/a.png"),
            ("/data/world/a.png", "/out/runs/one/two", "/data/world/a.png"),
            ("/data/world/a.png", "runs", "/data/world/a.png"),
            ("a.png", "../runs", absolute.to_str().unwrap()),
        ] {
            let relative = relative_to(Path::new(path), Path::new(folder));
            assert_eq!(relative, Path::new(expected), "{path} from {folder}");
        }
    }

    #[test]
    fn records_store_one_path_however_it_is_spelled_and_wherever_all_is_moved() {
        fn check(root: &Path, path: &str, expected: &Path) {
            let stored = resolved_relative_to(&root.join(path), &root.join("eval/./base"));
            assert_eq!(stored, expected, "{path}");
        }
        let parent = tempfile::tempdir().unwrap();
        let (here, there) = (parent.path().join("here"), parent.path().join("there"));
        std::fs::create_dir_all(here.join("world/images")).unwrap();
        let expected = Path::new("../../world/images/a.png");
        check(&here, "world/images/a.png", expected);
        std::fs::create_dir_all(here.join("eval/base")).unwrap();
        check(&here, "world/../world/./images/a.png", expected);
        std::fs::rename(&here, &there).unwrap();
        check(&there, "world/images/a.png", expected);
        let far = parent.path().canonicalize().unwrap().join("a.png");
        check(&there, "../a.png", &far);
    }

    #[cfg(unix)]
    #[test]
    fn links_of_folders_are_followed_and_those_of_files_are_not() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path();
        std::fs::create_dir(folder.join("blobs")).unwrap();
        std::fs::create_dir(folder.join("images")).unwrap();
        std::fs::write(folder.join("blobs/1"), "").unwrap();
        std::os::unix::fs::symlink(folder.join("blobs/1"), folder.join("images/a.png")).unwrap();
        std::os::unix::fs::symlink(folder.join("images"), folder.join("linked")).unwrap();
        for (path, stored) in [("linked/a.png", "images/a.png"), ("linked", "images")] {
            assert_eq!(resolved_relative_to(&folder.join(path), folder), Path::new(stored));
        }
    }
}
