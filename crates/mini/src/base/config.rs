//! Settings of the base model's corpus: the table `[base]`.

use align::settings::{SettingError, check_count, check_each, check_setting, check_share, settings_table};

use crate::splits::check_image_size;

settings_table! {
    /// How the base model's corpus is composed.
    pub struct BaseConfig {
        /// Everything follows from it.
        pub seed: u64 = 7,
        /// How many captions: one image each, with what it shows. They come first, to teach perception.
        pub captions: usize = 64_000,
        /// How many samples of everything else.
        pub samples: usize = 152_000,
        /// How many different images of each object, color, count and style may occur.
        pub variants: usize = 6,
        /// Share of general questions.
        pub general_share: f64 = 0.5,
        /// Share of careful replies to scenarios.
        pub careful_share: f64 = 0.1,
        /// Share of dialogues with a reflection.
        pub reflection_share: f64 = 0.4,
        /// Share of scenarios over black images, which show nothing.
        pub blank_share: f64 = 0.04,
        /// Share of scenarios with three images instead of two.
        pub three_image_share: f64 = 0.12,
        /// Share of samples in the sketched style.
        pub sketch_share: f64 = 0.4,
        /// Share of images with a hazard sign.
        pub sign_share: f64 = 0.25,
        /// Width and height of the images in pixels.
        pub image_size: u32 = 168,
    }
}

impl BaseConfig {
    /// Checks that the settings can be used. `table` is where they stand, such as `base`.
    ///
    /// Errors: [`SettingError`] naming the first that cannot.
    pub fn validate(&self, table: &str) -> Result<(), SettingError> {
        check_each!(check_count, table, self, [captions, samples, variants])?;
        check_each!(check_share, table, self, [general_share, careful_share, reflection_share, blank_share])?;
        check_each!(check_share, table, self, [three_image_share, sketch_share, sign_share])?;
        let special = self.blank_share + self.careful_share + self.reflection_share;
        let expected = "at most 1 together with `careful_share` and `blank_share`";
        check_setting(special <= 1.0, &format!("{table}.reflection_share"), expected, special)?;
        check_image_size(table, self.image_size)
    }
}
