//! `vocab.json` and `merges.txt` (as OpenGVLab ships InternVL with Qwen2) as the equivalent `tokenizer.json`.
//!
//! Source: `Qwen2Converter` and `Qwen2Tokenizer` of transformers 4.57. Added tokens are not in it; they come after it,
//! as for any other folder.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::json_file::read_json;
use crate::stored_file::read_stored;

/// The symbols and their ids in a checkpoint's folder.
pub(super) const VOCABULARY_FILE: &str = "vocab.json";
/// The pairs of symbols that are merged, the most frequent first.
const MERGES_FILE: &str = "merges.txt";

/// How Qwen2 cuts text into words: contractions, letters with one leading sign, single digits, punctuation, white
/// space.
const WORD_PATTERN: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Tokenizers that are made of these files and cut text as Qwen2's does.
const CLASSES: [&str; 2] = ["Qwen2Tokenizer", "Qwen2TokenizerFast"];

/// A folder's `vocab.json` and `merges.txt` in the layout of `tokenizer.json`.
///
/// Errors: `Io` when one of them cannot be read; `File` when it is malformed, or belongs to another kind of tokenizer.
pub(super) fn convert(folder: &Path) -> Result<Value, Error> {
    let path = folder.join("tokenizer_config.json");
    let config = read_json(&path)?.unwrap_or_default();
    if let Some(class) = config.get("tokenizer_class").and_then(Value::as_str)
        && !CLASSES.contains(&class)
    {
        let problem = format!("key `tokenizer_class`: expected \"{}\", got \"{class}\"", CLASSES.join("\" or \""));
        return Err(Error::file(&path, problem));
    }
    let prefixes_space = config.get("add_prefix_space").and_then(Value::as_bool);
    let merges: Vec<Value> = merges(folder)?.into_iter().map(|pair| json!(pair)).collect();
    Ok(tokenizer_json(&[], &vocabulary(folder)?, &merges, prefixes_space.unwrap_or(false)))
}

/// A byte-level BPE that cuts text as Qwen2's does, in the layout of `tokenizer.json`.
pub(super) fn tokenizer_json(
    added_tokens: &[Value],
    vocabulary: &Map<String, Value>,
    merges: &[Value],
    prefixes_space: bool,
) -> Value {
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added_tokens,
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": WORD_PATTERN}, "behavior": "Isolated", "invert": false},
            {"type": "ByteLevel", "add_prefix_space": prefixes_space, "trim_offsets": true, "use_regex": false},
        ]},
        "post_processor": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": null,
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": false,
            "byte_fallback": false,
            "ignore_merges": false,
            "vocab": vocabulary,
            "merges": merges,
        },
    })
}

fn vocabulary(folder: &Path) -> Result<Map<String, Value>, Error> {
    let path = folder.join(VOCABULARY_FILE);
    match read_json(&path)? {
        Some(Value::Object(ids)) => Ok(ids),
        _ => Err(Error::file(&path, "expected an object of tokens and their ids")),
    }
}

/// One pair a line, after a first line that may name a version.
fn merges(folder: &Path) -> Result<Vec<[String; 2]>, Error> {
    let path = folder.join(MERGES_FILE);
    let bytes = read_stored(&path)?;
    let text = str::from_utf8(&bytes).map_err(|error| Error::file(&path, format!("expected UTF-8: {error}")))?;
    let mut merges = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() || (index == 0 && line.starts_with("#version:")) {
            continue;
        }
        let symbols: Vec<&str> = line.split_whitespace().collect();
        let [left, right] = symbols[..] else {
            return Err(Error::file(&path, format!("line {}: expected two symbols, got `{line}`", index + 1)));
        };
        merges.push([left.to_owned(), right.to_owned()]);
    }
    Ok(merges)
}
