//! What is wrong with a setting, and the checks that most settings need.

use diagnostic::{Diagnosis, Diagnostic, Kind};

pub use crate::{check_each, settings_table};

use crate::engine::AdamW;

/// Defines a table of settings: beside each its default, which it has where it is left out. Unknown ones are refused.
#[macro_export]
macro_rules! settings_table {
    ($(#[$of_table:meta])* pub struct $Table:ident {
        $($(#[$of_setting:meta])* pub $setting:ident: $Value:ty = $default:expr,)*
    }) => {
        $(#[$of_table])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $Table {
            $($(#[$of_setting])* pub $setting: $Value,)*
        }

        impl Default for $Table {
            fn default() -> Self {
                Self { $($setting: $default,)* }
            }
        }
    };
}

/// Checks several settings of a table alike; the first that cannot be used is the error.
#[macro_export]
macro_rules! check_each {
    ($check:path, $table:expr, $settings:expr, [$($setting:ident),*]) => {
        [$((stringify!($setting), $settings.$setting)),*]
            .into_iter()
            .try_for_each(|(name, value)| $check(&format!("{}.{name}", $table), value))
    };
}

/// A setting whose value cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("`{key}`: expected {expected}, got {got}")]
pub struct SettingError {
    /// The setting with its table, dotted.
    pub key: String,
    /// What would do.
    pub expected: String,
    /// What stands there.
    pub got: String,
}

impl Diagnostic for SettingError {
    fn diagnosis(&self) -> Diagnosis {
        Kind::Settings.into()
    }
}

/// Passes where a condition holds; otherwise names the setting, what was expected and what was found.
///
/// Errors: [`SettingError`].
pub fn check_setting(holds: bool, key: &str, expected: &str, got: impl std::fmt::Display) -> Result<(), SettingError> {
    if holds {
        return Ok(());
    }
    Err(SettingError { key: key.to_owned(), expected: expected.to_owned(), got: got.to_string() })
}

/// Checks the optimizer's settings, which stand flat in the table of whatever trains.
///
/// Errors: [`SettingError`] naming the first that cannot be used.
pub fn check_optimizer(table: &str, optimizer: &AdamW) -> Result<(), SettingError> {
    check_above_zero(&format!("{table}.learning_rate"), optimizer.learning_rate)?;
    for (name, value) in [
        ("weight_decay", optimizer.weight_decay),
        ("adam_epsilon", optimizer.epsilon),
        ("max_grad_norm", optimizer.max_grad_norm),
    ] {
        check_at_least_zero(&format!("{table}.{name}"), value)?;
    }
    for (name, beta) in ["adam_beta1", "adam_beta2"].into_iter().zip(optimizer.betas) {
        check_below_one(&format!("{table}.{name}"), beta)?;
    }
    Ok(())
}

/// Checks that training comes to an end: after so many epochs, or steps where these are given.
///
/// Errors: [`SettingError`].
pub fn check_end(table: &str, num_train_epochs: f64, max_steps: usize) -> Result<(), SettingError> {
    let holds = num_train_epochs.is_finite() && (num_train_epochs > 0.0 || max_steps > 0);
    let key = format!("{table}.num_train_epochs");
    check_setting(holds, &key, "a number above 0", num_train_epochs)
}

/// Passes where there is at least one of something.
///
/// Errors: [`SettingError`].
pub fn check_count(key: &str, count: usize) -> Result<(), SettingError> {
    check_setting(count > 0, key, "a whole number of at least 1", count)
}

/// Passes where so many may be held side by side: samples of a prompt, prompts of a step. More than a million are a slip
/// that would fill the memory.
///
/// Errors: [`SettingError`].
pub fn check_side_by_side(key: &str, least: usize, count: usize) -> Result<(), SettingError> {
    const MOST: usize = 1_000_000;
    check_setting((least..=MOST).contains(&count), key, &format!("a whole number from {least} to {MOST}"), count)
}

/// Passes where the value is a share.
///
/// Errors: [`SettingError`].
pub fn check_share(key: &str, share: f64) -> Result<(), SettingError> {
    check_setting((0.0..=1.0).contains(&share), key, "a number from 0 to 1", share)
}

/// Passes where the value is a share that is not zero, such as that of the likeliest tokens to sample from.
///
/// Errors: [`SettingError`].
pub fn check_some_share(key: &str, share: f64) -> Result<(), SettingError> {
    check_setting(share > 0.0 && share <= 1.0, key, "a number above 0 and at most 1", share)
}

/// Passes where the value is finite and not negative.
///
/// Errors: [`SettingError`].
pub fn check_at_least_zero(key: &str, value: f64) -> Result<(), SettingError> {
    check_setting(value.is_finite() && value >= 0.0, key, "a number of at least 0", value)
}

/// Passes where the value is finite and above zero.
///
/// Errors: [`SettingError`].
pub fn check_above_zero(key: &str, value: f64) -> Result<(), SettingError> {
    check_setting(value.is_finite() && value > 0.0, key, "a number above 0", value)
}

/// Passes where the value is a share that leaves something over.
///
/// Errors: [`SettingError`].
pub fn check_below_one(key: &str, value: f64) -> Result<(), SettingError> {
    check_setting((0.0..1.0).contains(&value), key, "a number from 0 to below 1", value)
}
