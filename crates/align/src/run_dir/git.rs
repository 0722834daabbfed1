//! Which commit the working directory stands at, read from `.git` without running git.

use std::path::{Path, PathBuf};

/// The commit checked out in `folder` or the nearest folder above it that is a git checkout; none where there is no
/// checkout or it cannot be read, since a run must not fail for want of git.
pub fn commit_of(folder: &Path) -> Option<String> {
    let git = folder
        .ancestors()
        .map(|ancestor| ancestor.join(".git"))
        .find(|git| git.exists())?;
    let git = follow_link(git)?;
    let head = read_trimmed(&git.join("HEAD"))?;
    let Some(reference) = head.strip_prefix("ref: ") else {
        return Some(head);
    };
    // A linked worktree keeps its HEAD apart and shares the branches of the main checkout.
    let shared = read_trimmed(&git.join("commondir")).map_or_else(|| git.clone(), |path| git.join(path));
    [&git, &shared]
        .into_iter()
        .find_map(|folder| read_trimmed(&folder.join(reference)))
        .or_else(|| packed(&shared.join("packed-refs"), reference))
}

/// A linked worktree's `.git` is a file that says where the folder is.
fn follow_link(git: PathBuf) -> Option<PathBuf> {
    if git.is_dir() {
        return Some(git);
    }
    let target = read_trimmed(&git)?.strip_prefix("gitdir: ")?.to_owned();
    Some(git.parent()?.join(target))
}

fn packed(path: &Path, reference: &str) -> Option<String> {
    read_trimmed(path)?.lines().find_map(|line| match line.split_once(' ') {
        Some((commit, name)) if name == reference => Some(commit.to_owned()),
        _ => None,
    })
}

fn read_trimmed(path: &Path) -> Option<String> {
    fs_err::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    fn write(path: &Path, text: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn loose_packed_detached_and_linked_checkouts_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let git = folder.path().join("main/.git");
        let inside = folder.path().join("main/crates/deep");
        write(&git.join("HEAD"), "ref: refs/heads/main\n");
        assert_eq!(commit_of(&inside), None);
        write(
            &git.join("packed-refs"),
            &format!("# pack-refs with: peeled\n{COMMIT} refs/heads/main\n"),
        );
        assert_eq!(commit_of(&inside).as_deref(), Some(COMMIT));
        let newer = COMMIT.replace('0', "f");
        write(&git.join("refs/heads/main"), &format!("{newer}\n"));
        assert_eq!(commit_of(&inside).as_deref(), Some(newer.as_str()));

        write(&git.join("worktrees/side/HEAD"), "ref: refs/heads/main\n");
        write(&git.join("worktrees/side/commondir"), "../..\n");
        write(
            &folder.path().join("side/.git"),
            "gitdir: ../main/.git/worktrees/side\n",
        );
        assert_eq!(commit_of(&folder.path().join("side")).as_deref(), Some(newer.as_str()));

        write(&git.join("HEAD"), COMMIT);
        assert_eq!(commit_of(&inside).as_deref(), Some(COMMIT));
    }
}
