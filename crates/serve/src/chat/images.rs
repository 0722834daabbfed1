//! Images of requests: decoded, encoded once a prompt is known to fit, and bounded while they wait for the model.

use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use vlm::cache::Cache;
use vlm::error::Error;
use vlm::image_processor::{ImagePatches, ImageProcessor, ImageSize};
use vlm::model::Vlm;

use super::metrics::Metrics;

/// Memory for decoded images that are kept, and for encoded ones.
const CACHE_BYTES: usize = 128 << 20;
/// Memory for images of requests that wait for the model.
pub const WAITING_BYTES: usize = 1 << 30;
/// Bytes are counted in these.
const UNIT: usize = 1 << 10;

/// A decoded image.
pub struct DecodedImage {
    // The hash of its file's bytes and its size.
    key: [u8; 32],
    /// Its patches.
    pub patches: Arc<ImagePatches>,
}

/// Decodes and encodes images, and keeps those used last.
pub struct ImageEncoder {
    model: Vlm,
    metrics: Arc<Metrics>,
    patches: Cache<[u8; 32], ImagePatches>,
    // `[m, d]` each.
    rows: Cache<[u8; 32], Tensor<2>>,
}

impl ImageEncoder {
    /// Of `model` only the vision tower is used.
    pub fn new(model: Vlm, metrics: Arc<Metrics>) -> Self {
        Self {
            model,
            metrics,
            patches: Cache::new(CACHE_BYTES, ImagePatches::n_bytes),
            rows: Cache::new(CACHE_BYTES, |rows| rows.dims().iter().product::<usize>() * size_of::<f32>()),
        }
    }

    /// An image's file decoded and given its size, or as it is kept.
    ///
    /// Errors: as [`ImageProcessor::process_bytes`].
    pub fn decode(
        &self,
        bytes: &[u8],
        size: &ImageSize,
        processor: &dyn ImageProcessor,
        max_pixels: u64,
    ) -> Result<DecodedImage, Error> {
        let key = Sha256::new().chain_update(bytes).chain_update(format!("{size:?}")).finalize().into();
        let patches = self.patches.get_or_insert(&key, || processor.process_bytes(bytes, max_pixels, size))?;
        Ok(DecodedImage { key, patches })
    }

    /// The rows of images one after the other, `[m, d]`; none for no image. Each is encoded alone: sums may be taken in
    /// another order in company.
    ///
    /// Errors: as [`Vlm::encode_images`].
    pub fn encode(&self, images: &[DecodedImage]) -> Result<Option<Tensor<2>>, Error> {
        let mut rows = Vec::with_capacity(images.len());
        for image in images {
            let encoded = self.rows.get_or_insert(&image.key, || self.encode_one(&image.patches))?;
            rows.push(Tensor::clone(&encoded));
        }
        Ok((!rows.is_empty()).then(|| Tensor::cat(rows, 0)))
    }

    fn encode_one(&self, patches: &ImagePatches) -> Result<Tensor<2>, Error> {
        let shape = [patches.n_patches(), patches.row_length()];
        let pixels = TensorData::new(patches.pixel_values(), shape);
        let pixels = Tensor::from_data(pixels, &self.model.device());
        self.metrics.images_encoded.inc();
        self.model.encode_images(pixels, &[patches.grid()])
    }

    /// Bytes that decoded images and their rows take together.
    pub fn n_bytes(&self, images: &[DecodedImage]) -> usize {
        let bytes_per_token = self.model.config().text.hidden_size * size_of::<f32>();
        images.iter().map(|image| image.patches.n_bytes() + image.patches.n_tokens() * bytes_per_token).sum()
    }
}

/// How many images may wait: those decoded whose size is not known yet, by the number of their requests; then, until
/// the model takes their rows, by their bytes. First come, first served.
pub struct ImageQueue {
    requests: Arc<Semaphore>,
    units: Arc<Semaphore>,
    n_units: u32,
}

/// Kept by a request while its images count.
pub type Permit = OwnedSemaphorePermit;

impl ImageQueue {
    /// A queue of at most so many bytes, and of at most so many requests before they are counted.
    pub fn new(n_bytes: usize, n_requests: usize) -> Self {
        let n_units = u32::try_from(n_bytes / UNIT).unwrap_or(u32::MAX).max(1);
        Self {
            requests: Arc::new(Semaphore::new(n_requests.max(1))),
            units: Arc::new(Semaphore::new(n_units as usize)),
            n_units,
        }
    }

    /// Waits until one more request may decode images; the permit is kept until [`Self::reserve`] gives another. None
    /// is never given in practice: it would mean that the semaphore was closed.
    pub async fn admit(&self) -> Option<Permit> {
        self.requests.clone().acquire_owned().await.ok()
    }

    /// Waits until so many bytes are free; more than there are wait until all are. None as for [`Self::admit`].
    pub async fn reserve(&self, n_bytes: usize) -> Option<Permit> {
        let n_units = u32::try_from(n_bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
        let n_units = n_units.min(self.n_units);
        self.units.clone().acquire_many_owned(n_units).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A permit, if there is one soon.
    async fn soon(queue: &ImageQueue, n_bytes: usize) -> Option<Permit> {
        let permit = tokio::time::timeout(Duration::from_millis(20), queue.reserve(n_bytes));
        permit.await.ok().flatten()
    }

    #[tokio::test]
    async fn images_wait_until_those_before_them_have_left() {
        let queue = ImageQueue::new(10 << 10, 1);
        let first = soon(&queue, 6 << 10).await.unwrap();
        assert!(soon(&queue, 5 << 10).await.is_none(), "six and five of ten");
        let second = soon(&queue, 4 << 10).await.unwrap();
        drop(first);
        // What is larger than the whole queue has it to itself.
        assert!(soon(&queue, 1 << 30).await.is_none());
        drop(second);
        let whole = soon(&queue, 1 << 30).await.unwrap();
        assert!(soon(&queue, 1).await.is_none());
        drop(whole);
        assert!(soon(&queue, 1).await.is_some());
    }
}
