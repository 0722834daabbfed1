//! What `tokenizer_config.json` says: tokens, and switches that change the ids of a text.

use std::path::Path;

use serde_json::Value;

use crate::error::Error;

/// Keys of the settings that name one special token each; templates may name them too.
pub(crate) const SPECIAL_KEYS: [&str; 7] =
    ["bos_token", "cls_token", "eos_token", "mask_token", "pad_token", "sep_token", "unk_token"];

/// The token that a key of `tokenizer_config.json` names: a string, or an object with `content`.
pub(crate) fn named_token<'a>(config: &'a Value, key: &str) -> Option<&'a str> {
    content(config.get(key)?)
}

/// A token as settings write it: a string, or an object with `content`.
pub(super) fn content(token: &Value) -> Option<&str> {
    token.as_str().or_else(|| token.get("content")?.as_str())
}

/// Checks the switches of a `tokenizer_config.json` against the `tokenizer.json` beside it. Versions and classes of
/// transformers differ in whether they go by the one or the other.
///
/// Errors: `File` naming the key that contradicts the tokenizer, or that is not supported.
pub(super) fn check_switches(config: &Value, path: &Path, tokenizer: &tokenizers::Tokenizer) -> Result<(), Error> {
    let switch = |key: &str| config.get(key).and_then(Value::as_bool);
    for key in ["split_special_tokens", "add_prefix_space"] {
        if switch(key) == Some(true) {
            return Err(Error::file(path, format!("key `{key}`: expected false, got true")));
        }
    }
    let frame = tokenizer
        .encode("", true)
        .map_err(|error| Error::file(path, format!("the tokenizer beside it cannot encode an empty text: {error}")))?;
    for (key, token) in [("add_bos_token", "bos_token"), ("add_eos_token", "eos_token")] {
        let id = named_token(config, token).and_then(|token| tokenizer.token_to_id(token));
        let Some((stated, id)) = switch(key).zip(id) else { continue };
        let is_added = frame.get_ids().contains(&id);
        if stated != is_added {
            let problem = format!("key `{key}`: expected {is_added}, as tokenizer.json has it, got {stated}");
            return Err(Error::file(path, problem));
        }
    }
    Ok(())
}
