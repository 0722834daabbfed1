//! Tokens as the settings of a folder write them.

use serde_json::Value;

/// The token that a key of `tokenizer_config.json` names: a string, or an object with `content`.
pub(crate) fn named_token<'a>(config: &'a Value, key: &str) -> Option<&'a str> {
    content(config.get(key)?)
}

/// A token as settings write it: a string, or an object with `content`.
pub(super) fn content(token: &Value) -> Option<&str> {
    token.as_str().or_else(|| token.get("content")?.as_str())
}
