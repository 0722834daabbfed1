//! Tells the program which commit it is built from, for the records of its runs.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if let Some(checkout) = Checkout::of_workspace() {
        checkout.watch();
        if let Some(commit) = checkout.git(&["rev-parse", "HEAD"]) {
            println!("cargo::rustc-env=SCRUPLE_COMMIT={commit}");
        }
    }
}

/// The git checkout that the workspace is.
struct Checkout(PathBuf);

impl Checkout {
    /// None without git, or where the sources are no checkout: they may lie within another project's, whose commits say
    /// nothing of them.
    fn of_workspace() -> Option<Self> {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().ok()?;
        let checkout = Self(workspace);
        let top = PathBuf::from(checkout.git(&["rev-parse", "--show-toplevel"])?);
        (top.canonicalize().ok()? == checkout.0).then_some(checkout)
    }

    /// What git answers; none where it is missing or fails.
    fn git(&self, arguments: &[&str]) -> Option<String> {
        let output = Command::new("git").current_dir(&self.0).args(arguments).output().ok()?;
        let answer = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| answer.trim().to_owned())
    }

    /// Has cargo run this again once another commit is checked out: HEAD names another branch, or its branch moves.
    fn watch(&self) {
        self.watch_file("HEAD");
        if let Some(branch) = self.git(&["symbolic-ref", "--quiet", "HEAD"]) {
            self.watch_file(&branch);
        }
    }

    /// Watches a file of git's folder. A branch that is packed away has none: its next commit makes one in the folder.
    fn watch_file(&self, name: &str) {
        let Some(file) = self.git(&["rev-parse", "--git-path", name]) else {
            return;
        };
        let file = self.0.join(file);
        if let Some(watched) = file.ancestors().find(|path| path.exists()) {
            println!("cargo::rerun-if-changed={}", watched.display());
        }
    }
}
