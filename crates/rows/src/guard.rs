//! Decoders of others, kept from taking the program down with them.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs a decoder on bytes that may be damaged. Decoders of images and of parquet pages panic on some damaged input,
/// which is an error of the input; nothing of a decoder is used after it panicked.
pub fn guarded<T, E>(work: impl FnOnce() -> Result<T, E>, damaged: impl FnOnce() -> E) -> Result<T, E> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(damaged()))
}
