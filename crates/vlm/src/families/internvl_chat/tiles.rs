//! Images cut into square tiles, and a thumbnail of the whole.
//!
//! Source: `dynamic_preprocess` of OpenGVLab/InternVL. An image is resized to the grid of tiles whose aspect ratio is
//! nearest to its own, with Pillow's bicubic filter, and cut.

use std::sync::{Arc, LazyLock};

use super::config::VisionConfig;
use crate::config::fields::ConfigFields;
use crate::error::Error;
use crate::image_processor::levels::{Levels, levels};
use crate::image_processor::{Alpha, ImageLimits, ImagePatches, ImageProcessor, ImageSize, patch_bytes};
use crate::resample::RgbImage;

/// More tiles than this no model takes; every grid of as many is looked at.
const MAX_TILES: usize = 256;

/// More pixels than this no image has.
const MAX_PIXELS: usize = 1 << 27;

/// How images are tiled.
#[derive(Clone, Debug)]
pub struct Tiles {
    /// Side of a tile, in pixels.
    pub image_size: usize,
    /// Side of a patch, in pixels.
    pub patch_size: usize,
    /// Fewest tiles of an image.
    pub min_dynamic_patch: usize,
    /// Most tiles of an image, not counting the thumbnail.
    pub max_dynamic_patch: usize,
    /// Whether images are cut at all; otherwise each is one tile.
    pub dynamic_image_size: bool,
    /// Whether a thumbnail follows the tiles, where there are several.
    pub use_thumbnail: bool,
    /// What each byte of each channel becomes.
    pub(crate) levels: Arc<Levels>,
    /// What becomes of transparent pixels.
    pub alpha: Alpha,
}

impl Tiles {
    /// Reads a model's `config.json`.
    ///
    /// Errors: `File` naming file and field.
    pub(super) fn read(root: &ConfigFields) -> Result<Self, Error> {
        let (vision, top) = (VisionConfig::read(root)?, super::config::top(root)?);
        let tiles = Self {
            image_size: vision.image_size,
            patch_size: vision.patch_size,
            min_dynamic_patch: top.count("min_dynamic_patch")?,
            max_dynamic_patch: top.count("max_dynamic_patch")?,
            dynamic_image_size: top.flag("dynamic_image_size")?,
            use_thumbnail: top.flag("use_thumbnail")?,
            levels: LEVELS.clone(),
            alpha: Alpha::default(),
        };
        if tiles.max_dynamic_patch > Self::most(tiles.image_size) {
            return Err(top.expected("max_dynamic_patch", &format!("at most {}", Self::most(tiles.image_size))));
        }
        if tiles.min_dynamic_patch > tiles.max_dynamic_patch {
            let expected = format!("at most max_dynamic_patch, {}", tiles.max_dynamic_patch);
            return Err(top.expected("min_dynamic_patch", &expected));
        }
        Ok(tiles)
    }

    /// The most tiles that an image may be cut into, by their side in pixels.
    pub(crate) fn most(image_size: usize) -> usize {
        (MAX_PIXELS / (image_size * image_size).max(1)).clamp(1, MAX_TILES)
    }

    /// Columns and rows of the grid whose aspect ratio is nearest to the image's; of equally near ones the larger where
    /// the image has more than half its pixels.
    pub fn grid(&self, width: usize, height: usize) -> (usize, usize) {
        if !self.dynamic_image_size {
            return (1, 1);
        }
        let aspect_ratio = width as f64 / height as f64;
        let (mut best, mut least) = ((1, 1), f64::INFINITY);
        for (columns, rows) in self.grids() {
            let difference = (aspect_ratio - columns as f64 / rows as f64).abs();
            let is_large = (width * height) as f64 > 0.5 * (self.image_size * self.image_size * columns * rows) as f64;
            if difference < least || (difference == least && is_large) {
                (best, least) = ((columns, rows), difference);
            }
        }
        best
    }

    /// Every grid allowed, smaller ones first.
    fn grids(&self) -> Vec<(usize, usize)> {
        let most = self.max_dynamic_patch;
        let all = (1..=most).flat_map(|columns| (1..=most).map(move |rows| (columns, rows)));
        let mut grids: Vec<(usize, usize)> =
            all.filter(|(columns, rows)| (self.min_dynamic_patch..=most).contains(&(columns * rows))).collect();
        grids.sort_by_key(|(columns, rows)| columns * rows);
        grids
    }
}

impl ImageProcessor for Tiles {
    fn process(&self, image: &RgbImage) -> Result<ImagePatches, Error> {
        let side = self.image_size;
        let (columns, rows) = self.grid(image.width(), image.height());
        let resized = image.resize_bicubic(side * columns, side * rows);
        let mut tiles: Vec<RgbImage> = (0..columns * rows)
            .map(|tile| resized.crop((tile % columns) * side, (tile / columns) * side, side, side))
            .collect();
        if self.use_thumbnail && tiles.len() != 1 {
            tiles.push(image.resize_bicubic(side, side));
        }
        let in_tile = side / self.patch_size;
        Ok(ImagePatches {
            bytes: tiles.iter().flat_map(|tile| patch_bytes(tile, self.patch_size, 1)).collect(),
            grid: [tiles.len(), in_tile, in_tile],
            patch_area: self.patch_size * self.patch_size,
            frames: 1,
            merge_size: 2,
            levels: self.levels.clone(),
        })
    }

    fn resize(&self, image: RgbImage, size: &ImageSize) -> Result<RgbImage, Error> {
        size.refuse()?;
        Ok(image)
    }

    fn limits(&self) -> ImageLimits {
        let max_dynamic_patch = Some(self.max_dynamic_patch);
        ImageLimits { max_dynamic_patch, alpha: self.alpha, ..ImageLimits::default() }
    }

    fn within(&self, limits: &ImageLimits) -> Result<Box<dyn ImageProcessor>, Error> {
        limits.only(["max_dynamic_patch"])?;
        let most = limits.max_dynamic_patch.unwrap_or(self.max_dynamic_patch);
        if most < self.min_dynamic_patch {
            let least = self.min_dynamic_patch;
            return Err(Error::Input(format!(
                "`max_dynamic_patch`: expected at least `min_dynamic_patch`, {least}, got {most}"
            )));
        }
        Ok(Box::new(Self { max_dynamic_patch: most, alpha: limits.alpha, ..self.clone() }))
    }

    fn alpha(&self) -> Alpha {
        self.alpha
    }
}

/// ImageNet's statistics, which all of the original layout use, as torchvision's `ToTensor` and `Normalize` apply them.
static LEVELS: LazyLock<Arc<Levels>> =
    LazyLock::new(|| levels(1.0 / 255.0, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]));

#[cfg(test)]
mod tests {
    use super::*;

    fn tiles() -> Tiles {
        Tiles {
            image_size: 448,
            patch_size: 14,
            min_dynamic_patch: 1,
            max_dynamic_patch: 12,
            dynamic_image_size: true,
            use_thumbnail: true,
            levels: LEVELS.clone(),
            alpha: Alpha::default(),
        }
    }

    #[test]
    fn the_grid_is_the_nearest_in_aspect_ratio() {
        let tiles = tiles();
        assert_eq!(tiles.grid(448, 448), (1, 1));
        assert_eq!(tiles.grid(896, 448), (2, 1));
        assert_eq!(tiles.grid(400, 1200), (1, 3));
        // Of squares the largest of whose pixels the image has more than half.
        assert_eq!(tiles.grid(800, 800), (2, 2));
        assert_eq!(tiles.grid(4000, 4000), (3, 3));
        assert_eq!(tiles.grid(300, 300), (1, 1));
        let uncut = Tiles { dynamic_image_size: false, ..tiles };
        assert_eq!(uncut.grid(4000, 400), (1, 1));
    }

    fn plain_image(width: usize, height: usize) -> RgbImage {
        RgbImage::new(width, height, vec![9; 3 * width * height]).unwrap()
    }

    #[test]
    fn fewer_tiles_can_be_requested_and_pixels_cannot() {
        for (max_dynamic_patch, grid) in [(None, [5, 32, 32]), (Some(3), [1, 32, 32])] {
            let limits = ImageLimits { max_dynamic_patch, ..ImageLimits::default() };
            let limited = tiles().within(&limits).unwrap();
            assert_eq!(limited.process(&plain_image(800, 800)).unwrap().grid(), grid);
        }
        let no_tiles = ImageLimits { max_dynamic_patch: Some(0), ..ImageLimits::default() };
        let pixels = ImageLimits { max_pixels: Some(9), ..ImageLimits::default() };
        for (limits, problem) in [
            (no_tiles, "expected at least `min_dynamic_patch`, 1, got 0"),
            (pixels, "`max_pixels` is not for this model"),
        ] {
            let message = tiles().within(&limits).unwrap_err().to_string();
            assert!(message.contains(problem), "{message}");
        }
    }

    #[test]
    fn a_thumbnail_follows_several_tiles_and_never_one_alone() {
        let one = tiles().process(&plain_image(100, 100)).unwrap();
        assert_eq!(one.grid(), [1, 32, 32]);
        let two = tiles().process(&plain_image(200, 100)).unwrap();
        assert_eq!(two.grid(), [3, 32, 32]);
        assert_eq!((two.n_tokens(), two.row_length(), two.pixel_values().len()), (768, 588, 3 * 1024 * 588));
    }
}
