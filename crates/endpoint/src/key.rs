//! Hashes that name requests, and the hashes of images' content in them, whatever the images' files are called.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// The hash of all that determines an answer: the role, the model, the dialogue with its images' content, and how it is
/// to be answered.
pub(crate) type Key = [u8; 32];

/// Images whose hashes are kept at once, at some 200 bytes each.
const MOST_HASHES: usize = 200_000;
/// Bytes of an image that are read at once.
const CHUNK_BYTES: usize = 48 << 10;

/// Hashes of images' content, each read once as long as there are not too many.
#[derive(Debug, Default)]
pub(crate) struct ImageHashes {
    by_path: HashMap<PathBuf, Key>,
}

impl ImageHashes {
    /// The hash of an image's bytes.
    ///
    /// Errors: the operating system's, naming the file.
    pub fn hash(&mut self, path: &Path) -> std::io::Result<Key> {
        if let Some(hash) = self.by_path.get(path) {
            return Ok(*hash);
        }
        let mut hash = Sha256::new();
        let mut file = fs_err::File::open(path)?;
        let mut chunk = vec![0; CHUNK_BYTES];
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
