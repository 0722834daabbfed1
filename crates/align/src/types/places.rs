//! Where files lie, as data and records name them, so that they may be moved and read from any working directory.

use std::path::{Component, Path, PathBuf};

use super::{Message, Part};

/// The path as seen from the folder: climbing as far as a working directory that both are relative to, or at most two
/// folders where both are absolute; otherwise the absolute path.
pub fn relative_to(path: &Path, folder: &Path) -> PathBuf {
    let plain = |path: &Path| -> PathBuf { path.components().filter(|part| *part != Component::CurDir).collect() };
    let (path, folder) = (plain(path), plain(folder));
    let reaches_up = folder.components().any(|part| part == Component::ParentDir);
    let most = if reaches_up || path.is_absolute() != folder.is_absolute() {
        0
    } else if folder.is_absolute() {
        3
    } else {
        usize::MAX
    };
    let mut ancestors = folder.ancestors().enumerate().take(most);
    let from_folder = ancestors.find_map(|(climbed, ancestor)| {
        let below = path.strip_prefix(ancestor).ok()?;
        Some(
            std::iter::repeat_n(Path::new(".."), climbed)
                .collect::<PathBuf>()
                .join(below),
        )
    });
    from_folder.or_else(|| std::path::absolute(&path).ok()).unwrap_or(path)
}

/// Where a path leads, as records name it: as seen from a folder up to two folders higher, and from the root beyond.
/// That is the same from whatever working directory and however both are spelled, and where both are moved together.
pub fn seen_from(path: &Path, folder: &Path) -> PathBuf {
    relative_to(&located(path), &located(folder))
}

/// The messages with image paths as [`seen_from`] a folder.
pub fn messages_seen_from(messages: &[Message], folder: &Path) -> Vec<Message> {
    let folder = located(folder);
    let mut messages = messages.to_vec();
    for part in messages.iter_mut().flat_map(|message| &mut message.content) {
        if let Part::Image { image } = part {
            *image = relative_to(&located(image), &folder);
        }
    }
    messages
}

/// The path from the root, its folders' links followed as far as they exist. A link to a file stays: its name says more
/// than that of what it leads to.
fn located(path: &Path) -> PathBuf {
    let here = Path::new(".");
    let path = if path.as_os_str().is_empty() { here } else { path };
    let folders = path.ancestors().skip(usize::from(!path.is_dir()));
    let mut known = folders.filter_map(|folder| {
        let real = fs_err::canonicalize(if folder.as_os_str().is_empty() { here } else { folder });
        Some(real.ok()?.join(path.strip_prefix(folder).ok()?))
    });
    known.next().unwrap_or_else(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_from_a_files_folder_to_the_picture() {
        let check = |path: &str, folder: &str, expected: &str| {
            assert_eq!(
                relative_to(Path::new(path), Path::new(folder)),
                Path::new(expected),
                "{path} from {folder}"
            );
        };
        check("world/images/a.png", "world", "images/a.png");
        check("world/images/a.png", "world/labels", "../images/a.png");
        check("world/images/a.png", "runs/curated", "../../world/images/a.png");
        check("./world/images/a.png", "./runs", "../world/images/a.png");
        check("images/a.png", "", "images/a.png");
        check("/data/world/images/a.png", "/data/world/labels", "../images/a.png");
        check("/data/world/a.png", "/out/runs/one/two", "/data/world/a.png");
        check("/data/world/a.png", "runs", "/data/world/a.png");
        let absolute = std::path::absolute("a.png").unwrap();
        check("a.png", "../runs", absolute.to_str().unwrap());
    }

    #[test]
    fn records_name_a_file_the_same_however_it_is_spelled_and_wherever_all_of_it_is_moved() {
        let parent = tempfile::tempdir().unwrap();
        let (here, there) = (parent.path().join("here"), parent.path().join("there"));
        std::fs::create_dir_all(here.join("world/images")).unwrap();
        let check = |root: &Path, path: &str, expected: &Path| {
            let seen = seen_from(&root.join(path), &root.join("eval/./base"));
            assert_eq!(seen, expected, "{path}");
        };
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
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("blobs")).unwrap();
        std::fs::create_dir(at("images")).unwrap();
        std::fs::write(at("blobs/1"), "").unwrap();
        std::os::unix::fs::symlink(at("blobs/1"), at("images/a.png")).unwrap();
        std::os::unix::fs::symlink(at("images"), at("linked")).unwrap();
        assert_eq!(seen_from(&at("linked/a.png"), folder.path()), Path::new("images/a.png"));
        assert_eq!(seen_from(&at("linked"), folder.path()), Path::new("images"));
    }
}
