//! A JSON object of a request, read field by field, with the path of every error.

use axum::http::StatusCode;
use diagnostic::whole_number;
use serde_json::{Map, Value};

use super::api_error::ApiError;

/// An object and its path. A field that is `null` counts as absent, as in OpenAI's interface.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    path: String,
    object: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    /// The object that `value` is; `path` is what messages call it, empty for the whole request.
    ///
    /// Errors: when it is no object.
    pub fn of(value: &'a Value, path: &str) -> Result<Self, ApiError> {
        match value.as_object() {
            Some(object) => Ok(Self { path: path.to_owned(), object }),
            None if path.is_empty() => {
                let problem = format!("expected a JSON object, got {}", shown(value));
                Err(ApiError::request(StatusCode::BAD_REQUEST, "invalid_value", problem))
            }
            None => Err(wrong(path, "an object", value)),
        }
    }

    /// What messages call a field.
    pub fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// A field's value.
    pub fn get(&self, key: &str) -> Option<&'a Value> {
        self.object.get(key).filter(|value| !value.is_null())
    }

    /// A field that must be there.
    ///
    /// Errors: when it is not.
    pub fn required(&self, key: &str, expected: &str) -> Result<&'a Value, ApiError> {
        self.get(key).ok_or_else(|| ApiError::field(&self.path_of(key), format!("expected {expected}, got none")))
    }

    /// A text.
    ///
    /// Errors: when it is something else.
    pub fn text(&self, key: &str) -> Result<Option<&'a str>, ApiError> {
        self.typed(key, "a string", Value::as_str)
    }

    /// Yes or no; absent is no.
    ///
    /// Errors: when it is something else.
    pub fn flag(&self, key: &str) -> Result<bool, ApiError> {
        Ok(self.typed(key, "true or false", Value::as_bool)?.unwrap_or(false))
    }

    /// A whole number between bounds.
    ///
    /// Errors: when it is something else, or beyond them.
    pub fn count(&self, key: &str, least: usize, most: usize) -> Result<Option<usize>, ApiError> {
        let expected = if most == usize::MAX {
            format!("a whole number from {least}")
        } else {
            format!("a whole number from {least} to {most}")
        };
        self.typed(key, &expected, |value| {
            let number = whole_number(value)?.as_u64().and_then(|number| usize::try_from(number).ok())?;
            (least..=most).contains(&number).then_some(number)
        })
    }

    /// A number that satisfies `allowed`, which `expected` describes.
    ///
    /// Errors: when it is something else.
    pub fn number(&self, key: &str, expected: &str, allowed: impl Fn(f64) -> bool) -> Result<Option<f64>, ApiError> {
        self.typed(key, expected, |value| value.as_f64().filter(|number| allowed(*number)))
    }

    /// A field as `read` understands it.
    ///
    /// Errors: when it does not; `expected` says what it does.
    pub fn typed<T>(
        &self,
        key: &str,
        expected: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, ApiError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match read(value) {
            Some(read) => Ok(Some(read)),
            None => Err(wrong(&self.path_of(key), expected, value)),
        }
    }

    /// Makes sure that all fields that are there are among these.
    ///
    /// Errors: naming the first that is not.
    pub fn refuse_others(&self, known: &[&[&str]]) -> Result<(), ApiError> {
        for (key, value) in self.object {
            let is_known = known.iter().any(|names| names.contains(&key.as_str()));
            if !value.is_null() && !is_known {
                return Err(ApiError {
                    code: "unknown_field",
                    ..ApiError::field(&self.path_of(key), "a field that this server does not know")
                });
            }
        }
        Ok(())
    }
}

/// A text that is not empty.
pub fn non_empty(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The error for a value that is not what was expected.
pub fn wrong(path: &str, expected: &str, got: &Value) -> ApiError {
    ApiError::field(path, format!("expected {expected}, got {}", shown(got)))
}

/// A value as a message shows it: short ones as they are, of long ones the type.
fn shown(value: &Value) -> String {
    const LONGEST: usize = 40;
    match value {
        Value::Object(_) => "an object".to_owned(),
        Value::Array(items) => format!("an array of {}", items.len()),
        Value::String(text) if text.chars().count() > LONGEST => format!("a string of {} bytes", text.len()),
        other => other.to_string(),
    }
}
