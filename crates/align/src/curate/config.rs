//! The settings of a curation.

use serde::{Deserialize, Serialize};

use super::CurateError;

/// What prompts are told apart by when they are ranked.
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
    /// Answers drawn for each prompt (K).
    pub num_samples: usize,
    /// Temperature they are drawn at.
    pub temperature: f64,
    /// Nucleus they are drawn from; 1 is the whole distribution.
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
    /// None of these is published for P2 but the number kept; 0.15 is the middle of the 10 to 20 % this project aims at.
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
    /// Checks every setting.
    ///
    /// Errors: `Config` naming the first key that is out of range, what was expected and what was found.
    pub fn validate(&self) -> Result<(), CurateError> {
        let fault = |key, expected, got: String| Err(CurateError::Config { key, expected, got });
        let counts = [
            ("max_completion_length", self.max_completion_length),
            ("batch_size", self.batch_size),
            ("num_kept", self.num_kept),
        ];
        if self.num_samples < 2 {
            return fault(
                "num_samples",
                "at least 2, since instability is a spread",
                self.num_samples.to_string(),
            );
        }
        if let Some((key, _)) = counts.into_iter().find(|(_, count)| *count == 0) {
            return fault(key, "at least 1", "0".into());
        }
        if !(self.temperature > 0.0 && self.temperature.is_finite()) {
            return fault(
                "temperature",
                "above 0, since equal samples show no instability",
                self.temperature.to_string(),
            );
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return fault("top_p", "above 0 and at most 1", self.top_p.to_string());
        }
        self.validate_shares()
    }

    fn validate_shares(&self) -> Result<(), CurateError> {
        let shares = [
            ("drop_lowest", self.drop_lowest),
            ("drop_highest", self.drop_highest),
            ("benign_share", self.benign_share),
        ];
        if let Some((key, share)) = shares.into_iter().find(|(_, share)| !(0.0..1.0).contains(share)) {
            return Err(CurateError::Config {
                key,
                expected: "from 0 to below 1",
                got: share.to_string(),
            });
        }
        let dropped = self.drop_lowest + self.drop_highest;
        if dropped >= 1.0 {
            let (key, expected) = ("drop_highest", "with `drop_lowest` below 1, so that something is left");
            return Err(CurateError::Config {
                key,
                expected,
                got: format!("{dropped} together"),
            });
        }
        Ok(())
    }
}
