//! Settings of forging: the tables `[forge]` and `[labels]`.

use serde::{Deserialize, Serialize};

use crate::decontamination::image::ImageHash;
use crate::settings::{
    SettingError, check_at_least_zero, check_count, check_each, check_setting, check_share, settings_table,
};

settings_table! {
    /// How items are made; the table `[forge]`.
    pub struct ForgeConfig {
        /// Everything random follows from it.
        pub seed: u64 = 0,
        /// Most items that the writer plans from one seed (MIS: 3).
        pub records_per_seed: usize = 3,
        /// Most images of an item; every item has at least two (MIS: 2).
        pub max_images: usize = 2,
        /// The writer's temperature. The judge's is 0.
        pub temperature: f64 = 0.7,
        /// Most tokens of an answer.
        pub max_tokens: usize = 1024,
        /// Width and height of painted images, in pixels.
        pub image_size: u32 = 512,
        /// What the painter is asked for at first; `{object}` stands for the thing (MIS: the thing alone).
        pub image_prompt: String = "{object}".to_owned(),
        /// Whether the judge looks at the images and may have them painted once more (MIS: yes).
        pub refine: bool = true,
        /// Share of items with neutral text that are trained on; which, is decided by their things alone, so that no
        /// combination of things is both trained on and tested. MIS trains on risky texts alone, which is 0; here every
        /// text is put in neutral words before it is split, so that next to nothing would be trained on.
        pub neutral_train_share: f64 = 0.6,
        /// How many test items are repeated with other images (MIS: 100), photographs or painted ones.
        pub real: usize = 100,
        /// What the painter is asked for where there are no photographs.
        pub real_prompt: String = "a photograph of {object}".to_owned(),
        /// Items whose requests share at least this much of their three-word pieces (Jaccard) are near-duplicates.
        pub text_similarity: f64 = 0.7,
        /// Items whose images' perceptual hashes differ, each from its counterpart, in at most so many of 128 bits are
        /// near-duplicates.
        pub image_distance: u32 = 5,
        /// Drop items that the policy answers safely already. Needs a role `policy`.
        pub keep_only_unsafe: bool = false,
    }
}

impl ForgeConfig {
    /// Checks that the settings can be used. `table` is where they stand, such as `forge`.
    ///
    /// Errors: [`SettingError`] naming the first that cannot.
    pub fn validate(&self, table: &str) -> Result<(), SettingError> {
        check_count(&format!("{table}.records_per_seed"), self.records_per_seed)?;
        check_setting((2..=9).contains(&self.max_images), &format!("{table}.max_images"), "2 to 9", self.max_images)?;
        check_at_least_zero(&format!("{table}.temperature"), self.temperature)?;
        check_count(&format!("{table}.max_tokens"), self.max_tokens)?;
        let size = self.image_size;
        check_setting((8..=4096).contains(&size), &format!("{table}.image_size"), "8 to 4096 pixels", size)?;
        for (name, prompt) in [("image_prompt", &self.image_prompt), ("real_prompt", &self.real_prompt)] {
            let (holds, key) = (prompt.contains("{object}"), format!("{table}.{name}"));
            check_setting(holds, &key, "words with `{object}` in them", prompt)?;
        }
        check_each!(check_share, table, self, [neutral_train_share, text_similarity])?;
        let distance = self.image_distance;
        check_setting(distance <= ImageHash::BITS, &format!("{table}.image_distance"), "0 to 128 bits", distance)
    }
}

settings_table! {
    /// How training items are labeled; the table `[labels]`.
    pub struct LabelConfig {
        /// Whose words they are.
        pub method: LabelMethod = LabelMethod::Informed,
        /// How often a label is sampled until the judge finds it good.
        pub tries: usize = 3,
        /// The temperature of the tries after the first, which is sampled at 0.
        pub temperature: f64 = 0.7,
        /// Most tokens of a label.
        pub max_tokens: usize = 1024,
        /// Share of the trained items whose blank-image twins are trained on too.
        pub blank_share: f64 = 0.1,
        /// The user turn after the policy's own reply, where labels are reflections on it.
        pub reflection_prompt: String =
            "Your reply may be unsafe. Look again, name the risk and correct your reply.".to_owned(),
    }
}

/// Whose words labels are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelMethod {
    /// The annotator's, who is informed whether the item is harmful (MIS).
    Informed,
    /// The annotator's own reflection on the policy's reply, without knowing what the item is (SaFeR-VLM's reflecting
    /// rollout).
    Reflection,
}

impl LabelConfig {
    /// Checks that the settings can be used. `table` is where they stand, such as `labels`.
    ///
    /// Errors: [`SettingError`] naming the first that cannot.
    pub fn validate(&self, table: &str) -> Result<(), SettingError> {
        check_count(&format!("{table}.tries"), self.tries)?;
        check_at_least_zero(&format!("{table}.temperature"), self.temperature)?;
        check_count(&format!("{table}.max_tokens"), self.max_tokens)?;
        check_share(&format!("{table}.blank_share"), self.blank_share)?;
        let prompt = &self.reflection_prompt;
        check_setting(!prompt.trim().is_empty(), &format!("{table}.reflection_prompt"), "some words", prompt)
    }
}
