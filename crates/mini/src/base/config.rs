//! Settings of the base model's corpus: the table `[base]`.

use align::settings::{SettingError, check_count, check_setting, check_share};
use serde::{Deserialize, Serialize};

use crate::splits::check_image_size;

/// How the base model's corpus is composed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BaseConfig {
    /// Everything follows from it.
    pub seed: u64,
    /// How many captions: one image each, with what it shows. They come first, to teach perception.
    pub captions: usize,
    /// How many samples of everything else.
    pub samples: usize,
    /// How many different images of each object, color, count and style may occur.
    pub variants: usize,
    /// Share of general questions.
    pub general_share: f64,
    /// Share of careful replies to scenarios.
    pub careful_share: f64,
    /// Share of dialogues with a reflection.
    pub reflection_share: f64,
    /// Share of scenarios over black images, which show nothing.
    pub blank_share: f64,
    /// Share of scenarios with three images instead of two.
    pub three_image_share: f64,
    /// Share of samples in the sketched style.
    pub sketch_share: f64,
    /// Share of images with a hazard sign.
    pub sign_share: f64,
    /// Width and height of the images in pixels.
    pub image_size: u32,
}

impl Default for BaseConfig {
    fn default() -> Self {
        Self {
            seed: 7,
            captions: 64_000,
            samples: 152_000,
            variants: 6,
            general_share: 0.5,
            careful_share: 0.1,
            reflection_share: 0.4,
            blank_share: 0.04,
            three_image_share: 0.12,
            sketch_share: 0.4,
            sign_share: 0.25,
            image_size: 168,
        }
    }
}

impl BaseConfig {
    /// Checks that the settings can be used. `table` is where they stand, such as `base`.
    ///
    /// Errors: [`SettingError`] naming the first that cannot.
    pub fn validate(&self, table: &str) -> Result<(), SettingError> {
        for (name, count) in [("captions", self.captions), ("samples", self.samples), ("variants", self.variants)] {
            check_count(&format!("{table}.{name}"), count)?;
        }
        for (name, share) in [
            ("general_share", self.general_share),
            ("careful_share", self.careful_share),
            ("reflection_share", self.reflection_share),
            ("blank_share", self.blank_share),
            ("three_image_share", self.three_image_share),
            ("sketch_share", self.sketch_share),
            ("sign_share", self.sign_share),
        ] {
            check_share(&format!("{table}.{name}"), share)?;
        }
        let special = self.blank_share + self.careful_share + self.reflection_share;
        let expected = "at most 1 together with `careful_share` and `blank_share`";
        check_setting(special <= 1.0, &format!("{table}.reflection_share"), expected, special)?;
        check_image_size(table, self.image_size)
    }
}
