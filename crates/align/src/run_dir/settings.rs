//! A run's settings as JSON: written once, and compared when the run is resumed.

use std::path::Path;

use diagnostic::excerpt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::RunError;
use crate::files::write_atomically;

/// Writes settings to a file, or, where the file already exists, checks that they are the same.
///
/// Errors: `SettingDiffers` naming the first setting that is not; `Corrupt` or `Io` naming the file.
pub fn keep_settings(file: &Path, settings: &Value) -> Result<(), RunError> {
    if !file.exists() {
        return write_json(file, settings);
    }
    check_settings(file, &read_json(file)?, settings)
}

/// Checks that the settings in a file are the same as these; where there is no file, they are.
///
/// Errors: as [`keep_settings`].
pub fn check_kept_settings(file: &Path, settings: &Value) -> Result<(), RunError> {
    if file.exists() {
        check_settings(file, &read_json(file)?, settings)?;
    }
    Ok(())
}

/// Checks that two settings are the same; `file` holds the expected ones.
///
/// Errors: `SettingDiffers` naming the first that is not.
pub(crate) fn check_settings(file: &Path, expected: &Value, got: &Value) -> Result<(), RunError> {
    let Some((key, expected, got)) = first_difference("", Some(expected), Some(&as_written(got)?)) else {
        return Ok(());
    };
    Err(RunError::SettingDiffers { file: file.to_owned(), key, expected, got })
}

/// Writes a value as JSON; the file appears whole or not at all.
///
/// Errors: `Io` naming the file.
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), RunError> {
    let mut text = serde_json::to_vec_pretty(value).map_err(std::io::Error::from)?;
    text.push(b'\n');
    Ok(write_atomically(path, &text)?)
}

/// Reads a value written by [`write_json`].
///
/// Errors: `Corrupt` or `Io` naming the file.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, RunError> {
    let text = fs_err::read(path)?;
    diagnostic::read_json(&text)
        .map_err(|problem| RunError::Corrupt { file: path.to_owned(), problem: problem.with_line() })
}

/// The first key at which two values differ, with both as text.
fn first_difference(key: &str, expected: Option<&Value>, got: Option<&Value>) -> Option<(String, String, String)> {
    if let (Some(Value::Object(left)), Some(Value::Object(right))) = (expected, got) {
        let added = right.keys().filter(|name| !left.contains_key(*name));
        return left.keys().chain(added).find_map(|name| {
            let below = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
            first_difference(&below, left.get(name), right.get(name))
        });
    }
    let [left, right] =
        [expected, got].map(|value| value.map_or_else(|| "nothing".to_owned(), |value| excerpt(&value.to_string())));
    (expected != got).then(|| (key.to_owned(), left, right))
}

/// A value as it is read back from a file, so that the JSON reader rounds both sides of a comparison.
fn as_written(value: &Value) -> Result<Value, RunError> {
    let text = serde_json::to_string(value).map_err(std::io::Error::from)?;
    Ok(serde_json::from_str(&text).map_err(std::io::Error::from)?)
}
