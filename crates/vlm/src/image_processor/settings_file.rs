//! Where a folder keeps how its images are processed, and the classes that the library reads it with.
//!
//! Source: `get_image_processor_dict` of transformers 5.24 and 4.57, and the image processors `Qwen2VLImageProcessor`
//! and `GotOcr2ImageProcessor` of both. Version 5 writes all settings into `processor_config.json`, a section for each
//! part, and prefers them to those of an older `preprocessor_config.json`; version 4 writes that file alone.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use crate::config::class::{ConfigClass, fields_of};
use crate::config::fields::ConfigFields;
use crate::error::Error;
use crate::json_file::read_json;
use crate::resample::CHANNELS;

/// The section of `processor_config.json`.
const SECTION: &str = "image_processor";

/// The settings of images, as a file has them.
pub(crate) struct ImageSettingsFile {
    path: PathBuf,
    value: Value,
    is_nested: bool,
}

impl ImageSettingsFile {
    /// Reads the section `image_processor` of a folder's `processor_config.json`, or else its
    /// `preprocessor_config.json`.
    ///
    /// Errors: `Io` or `File` where neither can be read.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let mut file = Self::find(folder)?;
        // The library takes null for a setting that is left out.
        let settings = if file.is_nested { file.value.get_mut(SECTION) } else { Some(&mut file.value) };
        if let Some(settings) = settings.and_then(Value::as_object_mut) {
            settings.retain(|_, value| !value.is_null());
        }
        Ok(file)
    }

    fn find(folder: &Path) -> Result<Self, Error> {
        let [newer, older] = ["processor_config.json", "preprocessor_config.json"].map(|name| folder.join(name));
        if let Some(value) = read_json(&newer)?
            && value.get(SECTION).is_some_and(|section| !section.is_null())
        {
            return Ok(Self { path: newer, value, is_nested: true });
        }
        match read_json(&older)? {
            Some(value) => Ok(Self { path: older, value, is_nested: false }),
            None => Err(Error::file(&older, "expected the image processor's settings, got no file")),
        }
    }

    /// The settings, those left out with the defaults of `class`.
    ///
    /// Errors: `File` naming the key that is not known, or of which only other values are supported.
    pub fn fields(&self, class: &'static ConfigClass) -> Result<ConfigFields<'_>, Error> {
        let root = ConfigFields::new(&self.value, &self.path)?;
        if self.is_nested { root.section_of(SECTION, class) } else { root.of_class(class, &[]) }
    }
}

/// CLIP's statistics.
const IMAGE_MEAN: [f64; CHANNELS] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const IMAGE_STD: [f64; CHANNELS] = [0.268_629_54, 0.261_302_58, 0.275_777_11];

/// `Qwen2VLImageProcessor`.
pub(super) static QWEN_IMAGES: ConfigClass = ConfigClass {
    name: "Qwen2VLImageProcessor",
    defaults: LazyLock::new(|| {
        fields_of(json!({
            "image_mean": IMAGE_MEAN,
            "image_std": IMAGE_STD,
            "rescale_factor": 1.0 / 255.0,
            "patch_size": 14,
            "temporal_patch_size": 2,
            "merge_size": 2,
        }))
    }),
    only: LazyLock::new(|| {
        let classes = ["Qwen2VLImageProcessor", "Qwen2VLImageProcessorFast", "Qwen2VLImageProcessorPil"];
        let early = ["Qwen2_5_VLImageProcessor", "Qwen2_5_VLImageProcessorFast"];
        supported(&[&classes[..], &early].concat())
    }),
    known: &[
        "crop_size",
        "data_format",
        "default_to_square",
        "device",
        "disable_grouping",
        "do_center_crop",
        "do_pad",
        "feature_extractor_type",
        "input_data_format",
        "max_pixels",
        "min_pixels",
        "pad_size",
        "processor_class",
        "return_tensors",
        "size",
    ],
};

/// `GotOcr2ImageProcessor`, InternVL's in transformers. `crop_to_patches` is not looked at: InternVL's processor
/// always tiles.
pub(crate) static TILED_IMAGES: ConfigClass = ConfigClass {
    name: "GotOcr2ImageProcessor",
    defaults: LazyLock::new(|| {
        fields_of(json!({
            "image_mean": IMAGE_MEAN,
            "image_std": IMAGE_STD,
            "rescale_factor": 1.0 / 255.0,
            "size": { "height": 384, "width": 384 },
            "min_patches": 1,
            "max_patches": 12,
        }))
    }),
    only: LazyLock::new(|| {
        supported(&["GotOcr2ImageProcessor", "GotOcr2ImageProcessorFast", "GotOcr2ImageProcessorPil"])
    }),
    known: &[
        "crop_size",
        "crop_to_patches",
        "data_format",
        "default_to_square",
        "device",
        "disable_grouping",
        "do_center_crop",
        "do_pad",
        "feature_extractor_type",
        "input_data_format",
        "pad_size",
        "processor_class",
        "return_tensors",
    ],
};

/// Settings of which one value alone is supported, under one of these processors. The filter is Pillow's number for
/// the bicubic one.
fn supported(classes: &[&str]) -> Map<String, Value> {
    fields_of(json!({
        "do_convert_rgb": [true],
        "do_normalize": [true],
        "do_rescale": [true],
        "do_resize": [true],
        "image_processor_type": classes,
        "resample": [3],
    }))
}
