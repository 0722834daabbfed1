//! An image as a vision tower takes it: resized, cut into patches, normalized.
//!
//! [`QwenImageProcessor`] is equal to Hugging Face's slow `Qwen2VLImageProcessor` (transformers 4.57): smart resize,
//! Pillow's bicubic filter, bytes scaled and normalized in f32, the still image doubled in time, patches in the order
//! of the blocks that the merger will join.

mod decode;
mod image_size;
pub(crate) mod levels;
mod limits;
mod settings;
pub(crate) mod settings_file;

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use self::image_size::ImageSize;
pub use self::limits::{Alpha, ImageLimits};
pub use self::settings::ImageSettings;
use crate::error::Error;
use crate::resample::{CHANNELS, RgbImage};
use decode::{MAX_PIXELS, decode};
use levels::{Levels, levels};

/// Images with one side longer than the other by more than this factor are refused.
const MAX_ASPECT_RATIO: f64 = 200.0;

/// Reads and decodes an image file of at most `max_pixels`, as [`ImageProcessor::process_file`] does.
///
/// Errors: `Image` naming the file for what that refuses, and for one of more pixels.
pub fn read_image(path: &Path, max_pixels: u64) -> Result<RgbImage, Error> {
    read(path)
        .and_then(|bytes| decode(&bytes, max_pixels, Alpha::default()))
        .map_err(|problem| image_error(path, problem))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))
}

fn image_error(path: &Path, problem: String) -> Error {
    Error::Image { path: path.to_owned(), problem }
}

/// An image file, and the size that its dialogue gives it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageFile {
    /// The file.
    pub path: PathBuf,
    /// The size.
    pub size: ImageSize,
}

impl<P: Into<PathBuf>> From<P> for ImageFile {
    fn from(path: P) -> Self {
        Self { path: path.into(), size: ImageSize::default() }
    }
}

/// Turns images into the patches that a family's vision tower takes.
pub trait ImageProcessor: Debug + Send + Sync {
    /// Processes an image in memory.
    ///
    /// Errors: `Input` for one of an aspect ratio that the family does not take.
    fn process(&self, image: &RgbImage) -> Result<ImagePatches, Error>;

    /// The image at the size that its dialogue gives it.
    ///
    /// Errors: `Input` naming a setting that the family's library does not know, or that leaves the image no size.
    fn resize(&self, image: RgbImage, size: &ImageSize) -> Result<RgbImage, Error>;

    /// The same within other limits.
    ///
    /// Errors: `Input` naming a limit that the family does not know, or that leaves no image a size.
    fn within(&self, limits: &ImageLimits) -> Result<Box<dyn ImageProcessor>, Error>;

    /// The limits in use: those that the family knows.
    fn limits(&self) -> ImageLimits;

    /// What becomes of transparent pixels.
    fn alpha(&self) -> Alpha;

    /// Decodes and processes the bytes of an image file of at most `max_pixels`, as [`Self::process_file`] does.
    ///
    /// Errors: `Input` for what [`Self::process_file`] refuses, and for one of more pixels.
    fn process_bytes(&self, bytes: &[u8], max_pixels: u64, size: &ImageSize) -> Result<ImagePatches, Error> {
        let image = decode(bytes, max_pixels, self.alpha()).map_err(Error::Input)?;
        self.process(&self.resize(image, size)?)
    }

    /// Reads, decodes and processes an image file: PNG, JPEG, WebP, BMP or GIF (first frame).
    ///
    /// Transparent pixels become what [`Self::alpha`] says; grayscale and palettes become RGB; of 16-bit samples the
    /// high byte counts; EXIF orientation is applied. Differs from Pillow: it clips 16-bit grayscale to white above 255;
    /// and lossy files may differ by a few gray levels, since JPEG and WebP leave decoders some freedom.
    ///
    /// Errors: `Image` naming the file for one that is missing, no image, truncated, corrupt, too large or of an aspect
    /// ratio that the family does not take; and for what [`Self::resize`] refuses.
    fn process_file(&self, file: &ImageFile) -> Result<ImagePatches, Error> {
        let ImageFile { path, size } = file;
        let bytes = read(path).map_err(|problem| image_error(path, problem))?;
        self.process_bytes(&bytes, MAX_PIXELS, size).map_err(|error| image_error(path, error.to_string()))
    }
}

/// Turns images into patches as Qwen2-VL and its successors take them, by a folder's `preprocessor_config.json`.
#[derive(Clone)]
pub struct QwenImageProcessor {
    settings: ImageSettings,
    levels: Arc<Levels>,
    alpha: Alpha,
}

// Stored vision features are found by a hash of this form, so that it must not change. It tells how transparent pixels
// are shown where they are not dropped, as all were once.
impl Debug for QwenImageProcessor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut form = formatter.debug_struct("ImageProcessor");
        form.field("settings", &self.settings).field("levels", &self.levels);
        if self.alpha != Alpha::Drop {
            form.field("alpha", &self.alpha);
        }
        form.finish()
    }
}

impl QwenImageProcessor {
    /// A processor with the given settings.
    pub fn new(settings: ImageSettings) -> Self {
        let levels = levels(settings.rescale_factor, settings.image_mean, settings.image_std);
        Self { settings, levels, alpha: Alpha::default() }
    }

    /// The settings in use.
    pub fn settings(&self) -> &ImageSettings {
        &self.settings
    }
}

impl ImageProcessor for QwenImageProcessor {
    /// Errors: `Input` if one side is longer than the other by a factor of more than 200.
    fn process(&self, image: &RgbImage) -> Result<ImagePatches, Error> {
        let settings = &self.settings;
        let factor = settings.patch_size * settings.merge_size;
        let limits = (settings.min_pixels, settings.max_pixels);
        let (height, width) = smart_resize(image.height(), image.width(), factor, limits)?;
        let resized = image.resize_bicubic(width, height);
        Ok(ImagePatches {
            bytes: patch_bytes(&resized, settings.patch_size, settings.merge_size),
            grid: [1, height / settings.patch_size, width / settings.patch_size],
            patch_area: settings.patch_size * settings.patch_size,
            frames: settings.temporal_patch_size,
            merge_size: settings.merge_size,
            levels: self.levels.clone(),
        })
    }

    fn resize(&self, image: RgbImage, size: &ImageSize) -> Result<RgbImage, Error> {
        if size.is_empty() {
            return Ok(image);
        }
        let factor = self.settings.patch_size * self.settings.merge_size;
        let (height, width) = size.resized(image.height(), image.width(), factor)?;
        Ok(image.resize_bicubic(width, height))
    }

    fn limits(&self) -> ImageLimits {
        let ImageSettings { min_pixels, max_pixels, .. } = self.settings;
        let (min_pixels, max_pixels) = (Some(min_pixels), Some(max_pixels));
        ImageLimits { min_pixels, max_pixels, max_dynamic_patch: None, alpha: self.alpha }
    }

    fn within(&self, limits: &ImageLimits) -> Result<Box<dyn ImageProcessor>, Error> {
        limits.only(["min_pixels", "max_pixels"])?;
        let settings = ImageSettings {
            min_pixels: limits.min_pixels.unwrap_or(self.settings.min_pixels),
            max_pixels: limits.max_pixels.unwrap_or(self.settings.max_pixels),
            ..self.settings.clone()
        };
        settings.check().map_err(|(name, problem)| Error::Input(format!("`{name}`: {problem}")))?;
        Ok(Box::new(Self { alpha: limits.alpha, ..Self::new(settings) }))
    }

    fn alpha(&self) -> Alpha {
        self.alpha
    }
}

/// Height and width of the resized image: multiples of `factor`, near the original's aspect ratio, with an area within
/// `limits` (least and most pixels) wherever `factor` allows.
///
/// Source: `smart_resize` of transformers' `image_processing_qwen2_vl.py`; sides are rounded half to even, as Python
/// does.
///
/// Errors: `Input` if one side is longer than the other by a factor of more than 200, or is zero.
pub fn smart_resize(
    height: usize,
    width: usize,
    factor: usize,
    limits: (usize, usize),
) -> Result<(usize, usize), Error> {
    let rounded = rounded_sides((height, width), factor)?;
    // The short side stays at the factor, whatever the limit.
    let [height, width] = within_limits((height, width), rounded, factor, limits).map(|side| side.max(factor));
    Ok((height, width))
}

/// Both sides at the nearest multiple of `factor`.
///
/// Errors: as [`smart_resize`].
fn rounded_sides((height, width): (usize, usize), factor: usize) -> Result<[usize; 2], Error> {
    let ratio = height.max(width) as f64 / height.min(width) as f64;
    if ratio.is_nan() || ratio > MAX_ASPECT_RATIO {
        return Err(Error::Input(format!(
            "an image of {width} x {height} pixels: expected sides that differ by a factor of at most \
             {MAX_ASPECT_RATIO}, got {ratio:.1}"
        )));
    }
    Ok([height, width].map(|side| (side as f64 / factor as f64).round_ties_even() as usize * factor))
}

/// Height and width as they are rounded where their area is within the limits, and else those of the original scaled
/// to an area within them.
fn within_limits(
    (height, width): (usize, usize),
    rounded: [usize; 2],
    factor: usize,
    (min_pixels, max_pixels): (usize, usize),
) -> [usize; 2] {
    let sides = [height as f64, width as f64];
    let (area, unit) = (sides[0] * sides[1], factor as f64);
    if rounded[0] * rounded[1] > max_pixels {
        let shrink = (area / max_pixels as f64).sqrt();
        sides.map(|side| (side / shrink / unit).floor() as usize * factor)
    } else if rounded[0] * rounded[1] < min_pixels {
        let grow = (min_pixels as f64 / area).sqrt();
        sides.map(|side| (side * grow / unit).ceil() as usize * factor)
    } else {
        rounded
    }
}

/// The image's bytes patch by patch, each channel by channel; `merge_size * merge_size` neighbors come together.
pub(crate) fn patch_bytes(image: &RgbImage, patch_size: usize, merge_size: usize) -> Vec<u8> {
    let (rows, columns) = (image.height() / patch_size, image.width() / patch_size);
    let mut bytes = Vec::with_capacity(image.pixels().len());
    for block_y in (0..rows).step_by(merge_size) {
        for block_x in (0..columns).step_by(merge_size) {
            for in_block in 0..merge_size * merge_size {
                let row = block_y + in_block / merge_size;
                let column = block_x + in_block % merge_size;
                push_patch(&mut bytes, image, row * patch_size, column * patch_size, patch_size);
            }
        }
    }
    bytes
}

/// Adds the patch whose upper left corner is at (`left`, `top`): all red bytes, all green, all blue.
fn push_patch(bytes: &mut Vec<u8>, image: &RgbImage, top: usize, left: usize, patch_size: usize) {
    for channel in 0..CHANNELS {
        for y in top..top + patch_size {
            let start = (y * image.width() + left) * CHANNELS;
            let row = &image.pixels()[start..start + patch_size * CHANNELS];
            bytes.extend(row.iter().skip(channel).step_by(CHANNELS));
        }
    }
}

/// A processed image, kept as bytes: an eighth of the size of its normalized and doubled pixels.
#[derive(Clone)]
pub struct ImagePatches {
    /// Patch by patch, channel by channel.
    pub(crate) bytes: Vec<u8>,
    /// Patches in time (or tiles), height and width.
    pub(crate) grid: [usize; 3],
    /// Pixels of a patch.
    pub(crate) patch_area: usize,
    /// How often a patch is repeated in time.
    pub(crate) frames: usize,
    /// Side of the square of patches that make one image token.
    pub(crate) merge_size: usize,
    pub(crate) levels: Arc<Levels>,
}

impl ImagePatches {
    /// Patches in time, height and width (`image_grid_thw`); where images are cut into tiles, their number is in the
    /// place of time.
    pub fn grid(&self) -> [usize; 3] {
        self.grid
    }

    /// Patches altogether: the rows of [`Self::pixel_values`].
    pub fn n_patches(&self) -> usize {
        self.grid.iter().product()
    }

    /// Image tokens in a prompt, after the merger.
    pub fn n_tokens(&self) -> usize {
        self.n_patches() / (self.merge_size * self.merge_size)
    }

    /// Values of a patch: channel x frame x patch height x patch width.
    pub fn row_length(&self) -> usize {
        CHANNELS * self.frames * self.patch_area
    }

    /// Size in memory, in bytes.
    pub fn n_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The normalized pixels, `[n_patches, row_length]`, row by row.
    pub fn pixel_values(&self) -> Vec<f32> {
        let mut values = Vec::new();
        self.append_pixel_values(&mut values);
        values
    }

    /// Adds the rows of [`Self::pixel_values`] to those of other images.
    pub fn append_pixel_values(&self, values: &mut Vec<f32>) {
        values.reserve(self.n_patches() * self.row_length());
        for (index, plane) in self.bytes.chunks_exact(self.patch_area).enumerate() {
            let levels = &self.levels[index % CHANNELS];
            let start = values.len();
            values.extend(plane.iter().map(|&byte| levels[byte as usize]));
            for _ in 1..self.frames {
                values.extend_from_within(start..start + self.patch_area);
            }
        }
    }
}

impl Debug for ImagePatches {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ImagePatches").field("grid", &self.grid).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: (usize, usize) = (56 * 56, 1280 * 28 * 28);

    #[test]
    fn the_form_that_stored_features_are_found_by_stays() {
        let white = QwenImageProcessor::new(ImageSettings::default());
        let form = format!("{:?}", QwenImageProcessor { alpha: Alpha::Drop, ..white.clone() });
        let expected =
            "ImageProcessor { settings: ImageSettings { min_pixels: 3136, max_pixels: 1003520, patch_size: 14,";
        assert!(form.starts_with(expected) && form.contains("levels: [[-1.7922626, "), "{form}");
        assert_eq!(format!("{white:?}"), form.replace("]] }", "]], alpha: White }"));
    }

    #[test]
    fn sides_are_rounded_half_to_even() {
        // 70 / 28 = 2.5 and 98 / 28 = 3.5: Python's round gives 2 and 4.
        assert_eq!(smart_resize(70, 98, 28, (0, usize::MAX)).unwrap(), (56, 112));
    }

    #[test]
    fn too_small_and_too_large_images_come_within_the_limits() {
        assert_eq!(smart_resize(1, 1, 28, LIMITS).unwrap(), (56, 56));
        assert_eq!(smart_resize(10, 100, 28, LIMITS).unwrap(), (28, 196));
        assert_eq!(smart_resize(4000, 6000, 28, LIMITS).unwrap(), (812, 1204));
        // The short side stays at the factor, whatever the limit.
        assert_eq!(smart_resize(3000, 20, 28, (1, 56 * 56)).unwrap(), (672, 28));
    }

    #[test]
    fn an_image_thin_as_a_thread_is_refused() {
        assert!(smart_resize(200, 1, 28, LIMITS).is_ok());
        let problem = smart_resize(201, 1, 28, LIMITS).unwrap_err().to_string();
        assert!(problem.contains("1 x 201") && problem.contains("at most 200") && problem.contains("201.0"));
        assert!(smart_resize(0, 5, 28, LIMITS).is_err() && smart_resize(0, 0, 28, LIMITS).is_err());
    }

    proptest! {
        #[test]
        fn resized_sides_are_multiples_and_the_area_fits(
            height in 1usize..3000, width in 1usize..3000, factor in 1usize..40, min in 1usize..40_000, more in 0usize..1_000_000,
        ) {
            prop_assume!(height.max(width) <= 200 * height.min(width));
            let max = min + more;
            let (high, wide) = smart_resize(height, width, factor, (min, max)).unwrap();
            prop_assert!(high % factor == 0 && wide % factor == 0 && high > 0 && wide > 0);
            // A side never falls below the factor and growing rounds up, so only then the most may be exceeded.
            let grown = height * width < min + 2 * factor * (height + width + factor);
            prop_assert!(high * wide <= max || high == factor || wide == factor || grown);
            prop_assert!(high * wide >= min || height * width > max.saturating_sub(factor * (height + width)));
        }
    }

    #[test]
    fn rows_are_channel_frame_y_x_and_blocks_come_together() {
        let settings = ImageSettings {
            patch_size: 2,
            merge_size: 2,
            min_pixels: 1,
            rescale_factor: 1.0,
            image_mean: [0.0; 3],
            image_std: [1.0; 3],
            ..ImageSettings::default()
        };
        // Red holds the pixel's number, green 100 more, blue 200.
        let pixels = (0..32u8).flat_map(|number| [number, number + 100, number + 200]).collect();
        let patches =
            QwenImageProcessor::new(settings).process(&RgbImage::new(8, 4, pixels).unwrap()).expect("a plain image");
        assert_eq!((patches.grid(), patches.n_tokens(), patches.row_length()), ([1, 2, 4], 2, 24));
        let values = patches.pixel_values();
        let rows: Vec<&[f32]> = values.chunks(24).collect();
        assert_eq!(rows[0][..8], [0., 1., 8., 9., 0., 1., 8., 9.]);
        assert_eq!(rows[0][8..12], [100., 101., 108., 109.]);
        let first_red: Vec<f32> = rows.iter().map(|row| row[0]).collect();
        assert_eq!(first_red, [0., 2., 16., 18., 4., 6., 20., 22.]);
    }
}
