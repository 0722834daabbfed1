//! What tells data apart: a hash over its content.

use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::Serialize;
use sha2::{Digest, Sha256};

/// A hash over values in their order, for the settings of results that are made from them.
#[derive(Default)]
pub struct ContentHash(Sha256);

impl ContentHash {
    /// Adds a value by its JSON.
    ///
    /// Errors: a value that JSON cannot hold.
    pub fn add(&mut self, value: &impl Serialize) -> std::io::Result<()> {
        self.0.update(serde_json::to_vec(value)?);
        Ok(())
    }

    /// The hash of a file's bytes, in hexadecimal digits.
    ///
    /// Errors: `Io` naming the file.
    pub fn of_file(path: &Path) -> std::io::Result<String> {
        let mut hash = Self::default();
        let mut file = BufReader::new(fs_err::File::open(path)?);
        loop {
            let bytes = file.fill_buf()?;
            if bytes.is_empty() {
                return Ok(hash.finish());
            }
            hash.0.update(bytes);
            let n_bytes = bytes.len();
            file.consume(n_bytes);
        }
    }

    /// The hash in hexadecimal digits.
    pub fn finish(self) -> String {
        hex::encode(self.0.finalize())
    }
}
