//! Settings of the miniature world: the table `[mini]`.

use align::settings::{SettingError, check_setting, check_share};
use serde::{Deserialize, Serialize};

/// How much of the miniature world to write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MiniConfig {
    /// Everything follows from it.
    pub seed: u64,
    /// Hazardous training prompts; nearly twice as many benign ones come with them, benign-prompt twins among these.
    pub train: usize,
    /// General training questions.
    pub train_general: usize,
    /// Hazardous items in the easy split.
    pub easy: usize,
    /// Hazardous items in the hard split.
    pub hard: usize,
    /// Hazardous items in the real split.
    pub real: usize,
    /// General evaluation questions.
    pub general: usize,
    /// Share of scenarios with three images instead of two.
    pub three_image_share: f64,
    /// Width and height of the images in pixels.
    pub image_size: u32,
}

impl Default for MiniConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            train: 600,
            train_general: 400,
            easy: 120,
            hard: 120,
            real: 80,
            general: 200,
            three_image_share: 0.12,
            image_size: 168,
        }
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
