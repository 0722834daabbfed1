//! Settings of the miniature world: the table `[mini]`.

use align::settings::{SettingError, check_setting, check_share, settings_table};

settings_table! {
    /// How much of the miniature world to write.
    pub struct MiniConfig {
        /// Everything follows from it.
        pub seed: u64 = 0,
        /// Hazardous training prompts; nearly twice as many benign ones come with them, benign-prompt twins among
        /// these.
        pub train: usize = 600,
        /// General training questions.
        pub train_general: usize = 400,
        /// Hazardous items in the easy split.
        pub easy: usize = 120,
        /// Hazardous items in the hard split.
        pub hard: usize = 120,
        /// Hazardous items in the real split.
        pub real: usize = 80,
        /// General evaluation questions.
        pub general: usize = 200,
        /// Share of scenarios with three images instead of two.
        pub three_image_share: f64 = 0.12,
        /// Width and height of the images in pixels.
        pub image_size: u32 = 168,
    }
}

impl MiniConfig {
    /// Checks that the settings can be used. `table` is where they stand, such as `mini`.
    ///
    /// Errors: [`SettingError`] naming the first that cannot.
    pub fn validate(&self, table: &str) -> Result<(), SettingError> {
        check_share(&format!("{table}.three_image_share"), self.three_image_share)?;
        check_image_size(table, self.image_size)
    }
}

/// Passes where an image of so many pixels a side can be rendered.
pub(crate) fn check_image_size(table: &str, side: u32) -> Result<(), SettingError> {
    let holds = (8..=4096).contains(&side);
    check_setting(holds, &format!("{table}.image_size"), "8 to 4096 pixels", side)
}
