//! The settings of a curation.

use serde::{Deserialize, Serialize};

use crate::settings::{
    SettingError, check_below_one, check_count, check_each, check_setting, check_side_by_side, check_some_share,
    settings_table,
};

/// By what prompts are grouped when they are ranked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stratum {
    /// The kind of harm.
    Category,
    /// The split, or whatever source the data file names there.
    Split,
}

settings_table! {
    /// Settings of a curation.
    ///
    /// None of these is published for SaFeR-VLM but the number kept; 0.15 is the middle of the 10 to 20 % this project
    /// aims at.
    pub struct CurateConfig {
        /// Answers sampled for each prompt (K).
        pub num_samples: usize = 8,
        /// Temperature that they are sampled at.
        pub temperature: f64 = 1.0,
        /// Nucleus that they are sampled from; 1 is the whole distribution.
        pub top_p: f64 = 1.0,
        /// At most this many tokens an answer.
        pub max_completion_length: usize = 2048,
        /// Prompts sampled at once.
        pub batch_size: usize = 16,
        /// Seed of all samples.
        pub seed: u64 = 0,
        /// Prompts to keep (N).
        pub num_kept: usize = 10_000,
        /// Share of prompts dropped for the lowest quality.
        pub drop_lowest: f64 = 0.2,
        /// Share of prompts dropped for the highest quality.
        pub drop_highest: f64 = 0.2,
        /// Share of benign prompts among those kept; general questions count as benign.
        pub benign_share: f64 = 0.15,
        /// What strata are made of.
        pub stratify_by: Vec<Stratum> = vec![Stratum::Split, Stratum::Category],
    }
}

impl CurateConfig {
    /// Checks that the settings can be used. `table` is where they stand, such as `curate`.
    ///
    /// Errors: [`SettingError`] naming the first that cannot.
    pub fn validate(&self, table: &str) -> Result<(), SettingError> {
        // Instability is a spread, which one sample has not.
        check_side_by_side(&format!("{table}.num_samples"), 2, self.num_samples)?;
        check_each!(check_count, table, self, [max_completion_length, batch_size, num_kept])?;
        let is_warm = self.temperature.is_finite() && self.temperature > 0.0;
        let temperature = "a number above 0, since equal samples show no instability";
        check_setting(is_warm, &format!("{table}.temperature"), temperature, self.temperature)?;
        check_some_share(&format!("{table}.top_p"), self.top_p)?;
        check_each!(check_below_one, table, self, [drop_lowest, drop_highest, benign_share])?;
        let dropped = self.drop_lowest + self.drop_highest;
        let (key, expected) = (format!("{table}.drop_highest"), "less than 1 together with `drop_lowest`");
        check_setting(dropped < 1.0, &key, expected, dropped)
    }
}
