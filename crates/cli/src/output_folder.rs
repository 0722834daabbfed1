//! The folder that a command leaves its results in, made before the work begins, so that one that cannot be is reported at
//! once.

use std::path::{Path, PathBuf};

use crate::errors::Failure;

/// A folder for results. Where nothing was put in it, as when a command fails early, it goes again, and with it those
/// above it that were made for it.
#[derive(Debug)]
pub struct OutputFolder {
    /// The innermost first.
    made: Vec<PathBuf>,
}

impl OutputFolder {
    /// Makes the folder, and those above it, where they do not exist.
    ///
    /// Errors: of output naming the folder.
    pub fn make(folder: &Path) -> Result<Self, Failure> {
        let missing = folder.ancestors().filter(|path| !path.as_os_str().is_empty());
        let output = Self { made: missing.take_while(|path| !path.exists()).map(Path::to_owned).collect() };
        fs_err::create_dir_all(folder).map_err(|error| {
            let problem = format!("{}: cannot be made a folder for results", folder.display());
            Failure::output(problem).hint("choose another `--out`").because(&error)
        })?;
        Ok(output)
    }

    /// Makes the folder that a file of results goes into.
    ///
    /// Errors: as [`Self::make`]; of output where a folder is in the file's place.
    pub fn make_for(file: &Path) -> Result<Self, Failure> {
        if file.is_dir() {
            let problem = format!("{}: expected a file for results, got a folder", file.display());
            return Err(Failure::output(problem).hint("choose another `--out`"));
        }
        Self::make(file.parent().unwrap_or(Path::new("")))
    }
}

/// Removes these files and folders of an earlier call, those that there are.
///
/// Errors: of output naming the one that cannot be removed.
pub fn remove_results(folder: &Path, names: &[impl AsRef<Path>]) -> Result<(), Failure> {
    for path in names.iter().map(|name| folder.join(name)) {
        let removed = match fs_err::metadata(&path) {
            Err(_) => Ok(()),
            Ok(metadata) if metadata.is_dir() => fs_err::remove_dir_all(&path),
            Ok(_) => fs_err::remove_file(&path),
        };
        removed.map_err(|error| Failure::output(format!("{}: cannot be removed", path.display())).because(&error))?;
    }
    Ok(())
}

impl Drop for OutputFolder {
    fn drop(&mut self) {
        // One that holds something cannot be removed, nor can those above it.
        for folder in &self.made {
            if fs_err::remove_dir(folder).is_err() {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_stays_empty_goes_again() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a/b");
        let made = OutputFolder::make(&folder).unwrap();
        assert!(folder.is_dir());
        drop(made);
        assert!(!root.path().join("a").exists());
    }

    #[test]
    fn results_stay_and_so_does_what_was_there() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a");
        let made = OutputFolder::make(&folder).unwrap();
        fs_err::write(folder.join("result"), "1").unwrap();
        drop(made);
        fs_err::remove_file(folder.join("result")).unwrap();
        drop(OutputFolder::make(&folder).unwrap());
        assert!(folder.is_dir());
    }

    #[test]
    fn a_file_in_the_way_is_a_failure_of_output() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs_err::write(&file, "").unwrap();
        for folder in [file.clone(), file.join("below")] {
            let error = OutputFolder::make(&folder).unwrap_err();
            assert_eq!(error.kind(), diagnostic::Kind::Output);
            assert!(error.to_string().starts_with(&folder.display().to_string()), "{error}");
        }
    }
}
