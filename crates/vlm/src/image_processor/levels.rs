//! Bytes of an image as the numbers that a vision tower takes.

use std::sync::Arc;

use crate::config::fields::ConfigFields;
use crate::error::Error;
use crate::resample::CHANNELS;

/// For each channel, what each byte becomes: `(byte * rescale_factor - mean) / std`.
pub(crate) type Levels = [[f32; 256]; CHANNELS];

/// transformers multiplies in f64, rounds to f32, then subtracts and divides in f32.
pub(crate) fn levels(rescale_factor: f64, mean: [f32; CHANNELS], std: [f32; CHANNELS]) -> Arc<Levels> {
    Arc::new(std::array::from_fn(|channel| {
        std::array::from_fn(|byte| ((byte as f64 * rescale_factor) as f32 - mean[channel]) / std[channel])
    }))
}

/// How bytes become numbers, by a folder's settings.
pub(crate) struct Normalization {
    pub rescale_factor: f64,
    pub image_mean: [f32; CHANNELS],
    pub image_std: [f32; CHANNELS],
}

impl Normalization {
    /// Errors: `File` naming the key that holds no number for each channel, or a deviation of zero.
    pub fn read(fields: &ConfigFields) -> Result<Self, Error> {
        let [image_mean, image_std] = ["image_mean", "image_std"].map(|name| fields.channels(name));
        let (image_mean, image_std) = (image_mean?, image_std?);
        if image_std.contains(&0.0) {
            return Err(fields.expected("image_std", "numbers other than zero"));
        }
        Ok(Self { rescale_factor: fields.number("rescale_factor")?, image_mean, image_std })
    }

    /// What each byte becomes.
    pub fn levels(&self) -> Arc<Levels> {
        levels(self.rescale_factor, self.image_mean, self.image_std)
    }
}
