//! `preprocessor_config.json`: how large images may be, how they are cut and normalized.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::Error;
use crate::json_file::read_json;
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

/// The file's keys that matter here; others (a class name, say) are ignored.
#[derive(Deserialize)]
struct File {
    min_pixels: Option<usize>,
    max_pixels: Option<usize>,
    size: Option<Size>,
    patch_size: Option<usize>,
    temporal_patch_size: Option<usize>,
    merge_size: Option<usize>,
    rescale_factor: Option<f64>,
    image_mean: Option<[f64; CHANNELS]>,
    image_std: Option<[f64; CHANNELS]>,
    do_resize: Option<bool>,
    do_rescale: Option<bool>,
    do_normalize: Option<bool>,
    resample: Option<u32>,
}

/// The newer way to write the pixel limits: areas, in spite of their names.
#[derive(Deserialize)]
struct Size {
    shortest_edge: Option<usize>,
    longest_edge: Option<usize>,
}

/// Pillow's number for its bicubic filter.
const BICUBIC: u32 = 3;

impl ImageSettings {
    /// Reads `preprocessor_config.json`, or `image_processor` of a `processor_config.json`. Pixel limits may be
    /// `min_pixels` and `max_pixels` (which take precedence) or as `size: {shortest_edge, longest_edge}`.
    ///
    /// Errors: `Io` for a file that cannot be read; `File` naming file and key where it is missing, not JSON, or not
    /// supported (no resize, another filter …).
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join("preprocessor_config.json");
        if let Some(value) = read_json(&path)? {
            return Self::from_json(value, &path);
        }
        let newer = folder.join("processor_config.json");
        match read_json(&newer)?.as_mut().and_then(|config| config.get_mut("image_processor")) {
            Some(value) => Self::from_json(value.take(), &newer),
            None => Err(Error::file(&path, "expected the image processor's settings, got no file")),
        }
    }

    fn from_json(value: Value, path: &Path) -> Result<Self, Error> {
        Self::parse(value).map_err(|problem| Error::file(path, problem))
    }

    fn parse(value: Value) -> Result<Self, String> {
        let file: File = serde_json::from_value(value).map_err(|error| error.to_string())?;
        for (key, switch) in
            [("do_resize", file.do_resize), ("do_rescale", file.do_rescale), ("do_normalize", file.do_normalize)]
        {
            if switch == Some(false) {
                return Err(format!("key `{key}`: expected true, got false"));
            }
        }
        if let Some(filter) = file.resample.filter(|&filter| filter != BICUBIC) {
            return Err(format!("key `resample`: expected {BICUBIC} (bicubic), got {filter}"));
        }
        let (min_area, max_area) = match file.size {
            Some(size) => (size.shortest_edge, size.longest_edge),
            None => (None, None),
        };
        let [mean, std] =
            [file.image_mean, file.image_std].map(|values| values.map(|values| values.map(|value| value as f32)));
        let default = Self::default();
        let settings = Self {
            min_pixels: file.min_pixels.or(min_area).unwrap_or(default.min_pixels),
            max_pixels: file.max_pixels.or(max_area).unwrap_or(default.max_pixels),
            patch_size: file.patch_size.unwrap_or(default.patch_size),
            temporal_patch_size: file.temporal_patch_size.unwrap_or(default.temporal_patch_size),
            merge_size: file.merge_size.unwrap_or(default.merge_size),
            rescale_factor: file.rescale_factor.unwrap_or(default.rescale_factor),
            image_mean: mean.unwrap_or(default.image_mean),
            image_std: std.unwrap_or(default.image_std),
        };
        settings.check()?;
        Ok(settings)
    }

    /// Checks the numbers; the error names the key.
    pub(super) fn check(&self) -> Result<(), String> {
        const MAX_SIDE: usize = 1024;
        let sides = [
            ("patch_size", self.patch_size),
            ("temporal_patch_size", self.temporal_patch_size),
            ("merge_size", self.merge_size),
        ];
        for (key, side) in sides {
            if !(1..=MAX_SIDE).contains(&side) {
                return Err(format!("key `{key}`: expected 1 to {MAX_SIDE}, got {side}"));
            }
        }
        if self.max_pixels == 0 || self.min_pixels > self.max_pixels {
            return Err(format!(
                "key `max_pixels`: expected at least one pixel and at least `min_pixels` ({}), got {}",
                self.min_pixels, self.max_pixels
            ));
        }
        if self.image_std.iter().any(|value| !value.is_finite() || *value == 0.0) {
            return Err(format!("key `image_std`: expected numbers other than zero, got {:?}", self.image_std));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, config: &Value) -> Result<ImageSettings, String> {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join(name), config.to_string()).unwrap();
        ImageSettings::open(folder.path()).map_err(|error| error.to_string())
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
        assert_eq!(ImageSettings::open(folder.path()).unwrap(), settings);
    }
}
