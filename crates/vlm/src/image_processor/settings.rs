//! `preprocessor_config.json`: how large images may be, how they are cut and normalized.

use std::path::Path;

use serde_json::json;

use super::decode::MAX_PIXELS;
use super::levels::Normalization;
use super::settings_file::{ImageSettingsFile, QWEN_IMAGES};
use crate::config::fields::ConfigFields;
use crate::error::Error;
use crate::resample::CHANNELS;

/// How images are processed. The defaults are Qwen2.5-VL's, with transformers' pixel limits.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageSettings {
    /// Images with fewer pixels are enlarged.
    pub min_pixels: usize,
    /// Images with more pixels are shrunk.
    pub max_pixels: usize,
    /// Side of a square patch, in pixels.
    pub patch_size: usize,
    /// Frames in a patch; a still image fills them all.
    pub temporal_patch_size: usize,
    /// Patches a merged token spans, along each side.
    pub merge_size: usize,
    /// Bytes are multiplied by this.
    pub rescale_factor: f64,
    /// Subtracted from the rescaled channel.
    pub image_mean: [f32; CHANNELS],
    /// The difference is divided by this.
    pub image_std: [f32; CHANNELS],
}

impl Default for ImageSettings {
    fn default() -> Self {
        Self {
            min_pixels: 56 * 56,
            max_pixels: 28 * 28 * 1280,
            patch_size: 14,
            temporal_patch_size: 2,
            merge_size: 2,
            rescale_factor: 1.0 / 255.0,
            image_mean: [0.481_454_66, 0.457_827_5, 0.408_210_73],
            image_std: [0.268_629_54, 0.261_302_6, 0.275_777_1],
        }
    }
}

impl ImageSettings {
    /// Reads the section `image_processor` of a folder's `processor_config.json`, or its `preprocessor_config.json`, for a
    /// vision tower with patches of this side, merged by this many along each side, and so many frames in a patch. Pixel
    /// limits may be `min_pixels` and `max_pixels` (which take precedence) or `size: {shortest_edge, longest_edge}`, areas
    /// in spite of their names.
    ///
    /// Errors: `Io` for a file that cannot be read; `File` naming file and key where it is missing, not JSON, not known or
    /// not supported (no resize, another filter …), or differs from the tower's.
    pub(crate) fn open_for(folder: &Path, patch_size: usize, merge_size: usize, frames: usize) -> Result<Self, Error> {
        let file = ImageSettingsFile::open(folder)?;
        let fields = file.fields(&QWEN_IMAGES)?;
        let settings = Self::read(&fields)?;
        for (name, got, expected) in [
            ("patch_size", settings.patch_size, patch_size),
            ("merge_size", settings.merge_size, merge_size),
            ("temporal_patch_size", settings.temporal_patch_size, frames),
        ] {
            if got != expected {
                return Err(fields.expected(name, &format!("{expected}, the vision tower's in config.json")));
            }
        }
        Ok(settings)
    }

    fn read(fields: &ConfigFields) -> Result<Self, Error> {
        let [min_pixels, max_pixels] = pixel_limits(fields)?;
        let Normalization { rescale_factor, image_mean, image_std } = Normalization::read(fields)?;
        let settings = Self {
            min_pixels,
            max_pixels,
            patch_size: fields.side("patch_size")?,
            temporal_patch_size: fields.side("temporal_patch_size")?,
            merge_size: fields.side("merge_size")?,
            rescale_factor,
            image_mean,
            image_std,
        };
        settings.check().map_err(|(name, problem)| fields.problem(name, &problem))?;
        Ok(settings)
    }

    /// Checks the numbers; the error is the key and its problem.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        const MAX_SIDE: usize = 1024;
        for (name, side) in [
            ("temporal_patch_size", self.temporal_patch_size),
            ("patch_size", self.patch_size),
            ("merge_size", self.patch_size * self.merge_size),
        ] {
            if !(1..=MAX_SIDE).contains(&side) {
                return Err((
                    name,
                    format!("expected patches, alone and merged, of 1 to {MAX_SIDE} pixels, got {side}"),
                ));
            }
        }
        if self.max_pixels == 0 || self.min_pixels > self.max_pixels {
            let expected = format!("at least one pixel and at least `min_pixels` ({})", self.min_pixels);
            return Err(("max_pixels", format!("expected {expected}, got {}", self.max_pixels)));
        }
        if self.min_pixels as u64 > MAX_PIXELS {
            return Err(("min_pixels", format!("expected at most {MAX_PIXELS}, got {}", self.min_pixels)));
        }
        Ok(())
    }

    /// Writes `preprocessor_config.json`, as transformers' slow processor reads it.
    ///
    /// Errors: `Io` naming the file.
    pub fn write(&self, folder: &Path) -> Result<(), Error> {
        let config = json!({
            "min_pixels": self.min_pixels,
            "max_pixels": self.max_pixels,
            "patch_size": self.patch_size,
            "temporal_patch_size": self.temporal_patch_size,
            "merge_size": self.merge_size,
            "rescale_factor": self.rescale_factor,
            "image_mean": self.image_mean,
            "image_std": self.image_std,
            "image_processor_type": "Qwen2VLImageProcessor",
            "processor_class": "Qwen2_5_VLProcessor",
        });
        fs_err::write(folder.join("preprocessor_config.json"), format!("{config:#}\n"))?;
        Ok(())
    }
}

/// Least and most pixels of an image. The library takes `size` as a whole: a part of it is an error there.
fn pixel_limits(fields: &ConfigFields) -> Result<[usize; 2], Error> {
    let ImageSettings { min_pixels, max_pixels, .. } = ImageSettings::default();
    let size = fields.section("size")?;
    let names = [("min_pixels", "shortest_edge", min_pixels), ("max_pixels", "longest_edge", max_pixels)];
    let mut limits = [0, 0];
    for (limit, (name, edge, default)) in limits.iter_mut().zip(names) {
        *limit = match &size {
            _ if fields.has(name) => fields.area(name)?,
            Some(size) => size.area(edge)?,
            None => default,
        };
    }
    Ok(limits)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn open(folder: &Path) -> Result<ImageSettings, Error> {
        ImageSettings::read(&ImageSettingsFile::open(folder)?.fields(&QWEN_IMAGES)?)
    }

    fn read(name: &str, config: &Value) -> Result<ImageSettings, String> {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join(name), config.to_string()).unwrap();
        open(folder.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn both_ways_of_writing_the_limits_are_read() {
        for (config, limits) in [
            (json!({"min_pixels": 5, "max_pixels": 50}), (5, 50)),
            (json!({"size": {"shortest_edge": 6, "longest_edge": 60}}), (6, 60)),
            (json!({"min_pixels": 5, "size": {"shortest_edge": 6, "longest_edge": 60}}), (5, 60)),
            (json!({}), (3136, 1_003_520)),
        ] {
            let settings = read("preprocessor_config.json", &config).unwrap();
            assert_eq!((settings.min_pixels, settings.max_pixels), limits);
        }
        let newer = json!({"image_processor": {"size": {"shortest_edge": 7, "longest_edge": 70}}});
        assert_eq!(read("processor_config.json", &newer).unwrap().max_pixels, 70);
    }

    #[test]
    fn what_is_not_supported_is_refused_by_key() {
        for (config, key) in [
            (json!({"do_resize": false}), "do_resize"),
            (json!({"resample": 2}), "resample"),
            (json!({"patch_size": 0}), "patch_size"),
            (json!({"min_pixels": 9, "max_pixels": 8}), "max_pixels"),
            (json!({"image_std": [1.0, 0.0, 1.0]}), "image_std"),
        ] {
            let problem = read("preprocessor_config.json", &config).unwrap_err();
            assert!(problem.contains("preprocessor_config.json") && problem.contains(key), "{problem}");
        }
        assert!(read("other.json", &json!({})).unwrap_err().contains("got no file"));
    }

    #[test]
    fn written_settings_are_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let settings = ImageSettings { max_pixels: 7056, patch_size: 7, ..ImageSettings::default() };
        settings.write(folder.path()).unwrap();
        assert_eq!(open(folder.path()).unwrap(), settings);
    }
}
