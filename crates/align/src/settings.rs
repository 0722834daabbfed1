//! What is wrong with a setting, and the checks that most settings need.

use diagnostic::{Diagnosis, Diagnostic, Kind};

use crate::engine::AdamW;

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

/// Passes where the value is a share.
///
/// Errors: [`SettingError`].
pub fn check_share(key: &str, share: f64) -> Result<(), SettingError> {
    check_setting((0.0..=1.0).contains(&share), key, "a number from 0 to 1", share)
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
