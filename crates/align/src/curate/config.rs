//! The settings of a curation.

use serde::{Deserialize, Serialize};

use crate::settings::{SettingError, check_count, check_setting};

/// By what prompts are grouped when they are ranked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stratum {
    /// The kind of harm.
    Category,
    /// The split, or whatever source the data file names there.
    Split,
}

/// Settings of a curation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CurateConfig {
    /// Answers sampled for each prompt (K).
    pub num_samples: usize,
    /// Temperature that they are sampled at.
    pub temperature: f64,
    /// Nucleus that they are sampled from; 1 is the whole distribution.
    pub top_p: f64,
    /// At most this many tokens an answer.
    pub max_completion_length: usize,
    /// Prompts sampled at once.
    pub batch_size: usize,
    /// Seed of all samples.
    pub seed: u64,
    /// Prompts to keep (N).
    pub num_kept: usize,
    /// Share of prompts dropped for the lowest quality.
    pub drop_lowest: f64,
    /// Share of prompts dropped for the highest quality.
    pub drop_highest: f64,
    /// Share of benign prompts among those kept; general questions count as benign.
    pub benign_share: f64,
    /// What strata are made of.
    pub stratify_by: Vec<Stratum>,
}

impl Default for CurateConfig {
    /// None of these is published for SaFeR-VLM but the number kept; 0.15 is the middle of the 10 to 20 % this project
    /// aims at.
    fn default() -> Self {
        Self {
            num_samples: 8,
            temperature: 1.0,
            top_p: 1.0,
            max_completion_length: 2048,
            batch_size: 16,
            seed: 0,
            num_kept: 10_000,
            drop_lowest: 0.2,
            drop_highest: 0.2,
            benign_share: 0.15,
            stratify_by: vec![Stratum::Split, Stratum::Category],
        }
    }
}

impl CurateConfig {
    /// Checks that the settings can be used. `table` is where they stand, such as `curate`.
    ///
    /// Errors: [`SettingError`] naming the first that cannot.
    pub fn validate(&self, table: &str) -> Result<(), SettingError> {
        let samples = "a whole number of at least 2, since instability is a spread";
        check_setting(self.num_samples >= 2, &format!("{table}.num_samples"), samples, self.num_samples)?;
        for (name, count) in [
            ("max_completion_length", self.max_completion_length),
            ("batch_size", self.batch_size),
            ("num_kept", self.num_kept),
        ] {
            check_count(&format!("{table}.{name}"), count)?;
        }
        let is_warm = self.temperature.is_finite() && self.temperature > 0.0;
        let temperature = "a number above 0, since equal samples show no instability";
        check_setting(is_warm, &format!("{table}.temperature"), temperature, self.temperature)?;
        let top_p = self.top_p > 0.0 && self.top_p <= 1.0;
        check_setting(top_p, &format!("{table}.top_p"), "a number above 0 and at most 1", self.top_p)?;
        self.validate_shares(table)
    }

    fn validate_shares(&self, table: &str) -> Result<(), SettingError> {
        for (name, share) in [
            ("drop_lowest", self.drop_lowest),
            ("drop_highest", self.drop_highest),
            ("benign_share", self.benign_share),
        ] {
            let holds = (0.0..1.0).contains(&share);
            check_setting(holds, &format!("{table}.{name}"), "a number from 0 to below 1", share)?;
        }
        let dropped = self.drop_lowest + self.drop_highest;
        let (key, expected) = (format!("{table}.drop_highest"), "less than 1 together with `drop_lowest`");
        check_setting(dropped < 1.0, &key, expected, dropped)
    }
}
