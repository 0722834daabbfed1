//! Pictures of requests: decoded, encoded once a prompt is known to fit, and bounded while they wait for the model.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use burn::tensor::{Tensor, TensorData};
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use vlm::cache::Cache;
use vlm::error::Error;
use vlm::image_processor::{ImagePatches, Pictures};
use vlm::model::Vlm;

use super::metrics::Metrics;

/// Memory for decoded pictures that are kept, and for encoded ones.
const CACHE_BYTES: usize = 128 << 20;
/// Memory for pictures of requests that wait for the model.
pub const WAITING_BYTES: usize = 1 << 30;
/// Bytes are counted in these.
const UNIT: usize = 1 << 10;

/// A decoded picture.
pub struct Shown {
    // The hash of its file's bytes.
    key: [u8; 32],
    /// Its patches.
    pub patches: Arc<ImagePatches>,
}

/// Decodes and encodes pictures, and keeps those met last.
pub struct Studio {
    model: Vlm,
    metrics: Arc<Metrics>,
    patches: Cache<[u8; 32], ImagePatches>,
    // `[m, d]` each.
    rows: Cache<[u8; 32], Tensor<2>>,
}

impl Studio {
    /// Of `model` only the vision tower is used.
    pub fn new(model: Vlm, metrics: Arc<Metrics>) -> Self {
        let n_bytes = |rows: &Tensor<2>| rows.dims().iter().product::<usize>() * size_of::<f32>();
        Self {
            model,
            metrics,
            patches: Cache::new(CACHE_BYTES, ImagePatches::n_bytes),
            rows: Cache::new(CACHE_BYTES, n_bytes),
        }
    }

    /// A picture's file decoded, or as it is kept.
    ///
    /// Errors: as [`Pictures::process_bytes`].
    pub fn decode(&self, bytes: &[u8], pictures: &dyn Pictures, most_pixels: u64) -> Result<Shown, Error> {
        let key = Sha256::digest(bytes).into();
        let patches = self
            .patches
            .get_or_insert(&key, || pictures.process_bytes(bytes, most_pixels))?;
        Ok(Shown { key, patches })
    }

    /// The rows of pictures one after the other, `[m, d]`; none for no picture. Each is encoded alone: sums may be
    /// taken in another order in company.
    ///
    /// Errors: as [`Vlm::encode_images`].
    pub fn encode(&self, pictures: &[Shown]) -> Result<Option<Tensor<2>>, Error> {
        let rows = pictures.iter().map(|picture| self.rows_of(picture));
        let rows: Vec<Tensor<2>> = rows.collect::<Result<_, _>>()?;
        Ok((!rows.is_empty()).then(|| Tensor::cat(rows, 0)))
    }

    fn rows_of(&self, picture: &Shown) -> Result<Tensor<2>, Error> {
        let rows = self.rows.get_or_insert(&picture.key, || {
            let patches = &picture.patches;
            let shape = [patches.n_patches(), patches.row_length()];
            let pixels = TensorData::new(patches.pixel_values(), shape);
            let pixels = Tensor::from_data(pixels, &self.model.device());
            self.metrics.pictures_encoded.fetch_add(1, Ordering::Relaxed);
            self.model.encode_images(pixels, &[patches.grid()])
        })?;
        Ok(Tensor::clone(&rows))
    }

    /// Bytes that decoded pictures and their rows take together.
    pub fn n_bytes(&self, pictures: &[Shown]) -> usize {
        let bytes_per_token = self.model.config().text.hidden_size * size_of::<f32>();
        let n_bytes = |picture: &Shown| picture.patches.n_bytes() + picture.patches.n_tokens() * bytes_per_token;
        pictures.iter().map(n_bytes).sum()
    }
}

/// How many pictures may wait: those decoded whose size is just being found out, by the number of their requests; then,
/// until the model takes their rows, by their bytes. First come, first served.
pub struct WaitingRoom {
    turns: Arc<Semaphore>,
    units: Arc<Semaphore>,
    n_units: u32,
}

/// Held by a request while its pictures take part of the room.
pub type Place = OwnedSemaphorePermit;

impl WaitingRoom {
    /// Room for so many bytes, and for so many requests before they are counted.
    pub fn new(n_bytes: usize, n_turns: usize) -> Self {
        let n_units = u32::try_from(n_bytes / UNIT).unwrap_or(u32::MAX).max(1);
        Self {
            turns: Arc::new(Semaphore::new(n_turns.max(1))),
            units: Arc::new(Semaphore::new(n_units as usize)),
            n_units,
        }
    }

    /// Waits for a turn to decode pictures, to be kept until they have a place. None is never given in practice: it
    /// would mean that the room was closed.
    pub async fn turn(&self) -> Option<Place> {
        self.turns.clone().acquire_owned().await.ok()
    }

    /// Waits for room for so many bytes; more than there are wait until all is theirs. None as for [`Self::turn`].
    pub async fn place(&self, n_bytes: usize) -> Option<Place> {
        let n_units = u32::try_from(n_bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
        let n_units = n_units.min(self.n_units);
        self.units.clone().acquire_many_owned(n_units).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn pictures_wait_until_those_before_them_have_left() {
        let room = WaitingRoom::new(10 << 10, 1);
        let soon = |n_bytes| tokio::time::timeout(Duration::from_millis(20), room.place(n_bytes));
        let first = soon(6 << 10).await.unwrap();
        assert!(soon(5 << 10).await.is_err(), "six and five of ten");
        let second = soon(4 << 10).await.unwrap();
        drop(first);
        // What is larger than the whole room has it to itself.
        assert!(soon(1 << 30).await.is_err());
        drop(second);
        let whole = soon(1 << 30).await.unwrap();
        assert!(soon(1).await.is_err());
        drop(whole);
        assert!(soon(1).await.is_ok());
    }
}
