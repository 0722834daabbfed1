//! What tells data apart: a hash over its content.

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

    /// The hash in hexadecimal digits.
    pub fn finish(self) -> String {
        hex::encode(self.0.finalize())
    }
}
