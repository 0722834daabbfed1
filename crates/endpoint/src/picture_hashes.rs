//! Hashes of pictures' content, by which requests are named whatever their files are called.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::body::{BodyError, CHUNK_BYTES, Key};

/// Pictures whose hashes are kept at once, at some 200 bytes each.
const MOST_HASHES: usize = 200_000;

/// Hashes of pictures' content, each read once as long as there are not too many.
#[derive(Debug, Default)]
pub(crate) struct PictureHashes {
    by_path: HashMap<PathBuf, Key>,
}

impl PictureHashes {
    /// The hash of a picture's bytes.
    ///
    /// Errors: where it cannot be read.
    pub fn hash(&mut self, path: &Path) -> Result<Key, BodyError> {
        if let Some(hash) = self.by_path.get(path) {
            return Ok(*hash);
        }
        let mut hash = Sha256::new();
        let mut file = fs_err::File::open(path)?;
        let mut chunk = vec![0; CHUNK_BYTES as usize];
        loop {
            match file.read(&mut chunk)? {
                0 => break,
                length => hash.update(&chunk[..length]),
            }
        }
        let hash = hash.finalize().into();
        if self.by_path.len() >= MOST_HASHES {
            self.by_path.clear();
        }
        self.by_path.insert(path.to_owned(), hash);
        Ok(hash)
    }
}
