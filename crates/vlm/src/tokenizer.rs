//! Text to token ids and back, by a folder's `tokenizer.json`, `tokenizer.model` or `vocab.json`; and which tokens end
//! a turn.
//!
//! Special tokens (`<|im_start|>`, `<|image_pad|>` …) are recognized in text that was rendered here. Untrusted text
//! must not contain them: [`Tokenizer::refuse_special_tokens`] is called before anything is rendered.

pub(crate) mod added_tokens;
mod byte_level;
mod sentencepiece;
pub(crate) mod settings;
pub mod training;

use std::path::{Path, PathBuf};

use diagnostic::reason::plain;
use serde_json::Value;

use crate::error::Error;
use crate::json_file::read_json;
use crate::stored_file::read_stored;
use added_tokens::ListedTokens;
use settings::{check_switches, named_token};

const TOKENIZER_FILE: &str = "tokenizer.json";
const CONFIG_FILE: &str = "tokenizer_config.json";

/// A tokenizer and the ids of a dialogue's turns.
pub struct Tokenizer {
    /// The file that the vocabulary was read from.
    pub file: PathBuf,
    inner: tokenizers::Tokenizer,
    /// The special tokens and their ids, in order of the ids.
    pub special_tokens: Vec<(String, u32)>,
    /// The token that closes a turn (`<|im_end|>`): the last of every trained reply.
    pub end_token: u32,
    /// The token that pads short rows of a batch.
    pub pad_token: u32,
    /// The tokens that end a generated reply.
    pub stop_tokens: Vec<u32>,
}

/// What is wrong with the definition of a tokenizer.
fn not_a_tokenizer(definition: &[u8], reason: &str) -> String {
    let problem = match diagnostic::read_json::<Value>(definition) {
        Err(problem) => problem.with_line(),
        Ok(_) => plain(reason),
    };
    format!("not a tokenizer: {problem}")
}

impl Tokenizer {
    /// Reads `tokenizer.json` (or, where there is none, sentencepiece's `tokenizer.model`, or else `vocab.json` and
    /// `merges.txt`), the added tokens that the settings beside it list, `tokenizer_config.json` and the end tokens of
    /// `generation_config.json` (or of `config.json`) from a model's folder.
    ///
    /// Errors: `Io` for a file that cannot be read; `File` naming file and key for one that is malformed, a listed
    /// token that gets another id, or when no setting says which token ends a turn.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let (path, definition) = definition(folder)?;
        let mut inner = tokenizers::Tokenizer::from_bytes(&definition)
            .map_err(|error| Error::file(&path, not_a_tokenizer(&definition, &error.to_string())))?;
        ListedTokens::read(folder)?.add_missing(&mut inner)?;
        let config_path = folder.join(CONFIG_FILE);
        let config = read_json(&config_path)?.unwrap_or_default();
        if path.ends_with(TOKENIZER_FILE) {
            check_switches(&config, &config_path, &inner)?;
        }
        // A prompt truncated in the middle of an image is worse than an error, so nothing here truncates or pads.
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|error| Error::file(&path, format!("key `truncation`: {error}")))?;
        let mut special_tokens: Vec<(String, u32)> = inner
            .get_added_tokens_decoder()
            .into_iter()
            .filter(|(_, token)| token.special)
            .map(|(id, token)| (token.content, id))
            .collect();
        special_tokens.sort_by_key(|(_, id)| *id);
        let ids = DialogueIds::read(folder, &config, &inner)?;
        Ok(Self { file: path, inner, special_tokens, end_token: ids.end, pad_token: ids.pad, stop_tokens: ids.stop })
    }

    /// The ids of a text; special tokens in it become their ids. Nothing is added or truncated.
    ///
    /// Errors: `Input` if the tokenizer has no tokens for the text.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, Error> {
        self.encode_framed(text, false)
    }

    /// The ids of a whole dialogue: as [`Self::encode`], after what the tokenizer prepends (`<s>`).
    ///
    /// Errors: as [`Self::encode`].
    pub fn encode_dialogue(&self, text: &str) -> Result<Vec<u32>, Error> {
        self.encode_framed(text, true)
    }

    fn encode_framed(&self, text: &str, with_frame: bool) -> Result<Vec<u32>, Error> {
        let encoding = self
            .inner
            .encode_fast(text, with_frame)
            .map_err(|error| Error::Input(format!("cannot tokenize: {error}")))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Replaces the token that closes a turn.
    ///
    /// Errors: `File` when the vocabulary has no such token.
    pub(crate) fn close_turns_with(&mut self, token: &str) -> Result<(), Error> {
        let id = self.token_id(token).ok_or_else(|| {
            Error::file(&self.file, format!("expected the token `{token}` in the vocabulary, got none"))
        })?;
        self.end_token = id;
        if !self.stop_tokens.contains(&id) {
            self.stop_tokens.push(id);
        }
        Ok(())
    }

    /// The text of ids, special tokens kept or skipped. Bytes that are not UTF-8 become U+FFFD; ids without a token
    /// (a model's vocabulary may be padded) become nothing.
    ///
    /// Errors: `Input` if the tokenizer's decoder fails.
    pub fn decode(&self, ids: &[u32], skip_special_tokens: bool) -> Result<String, Error> {
        self.inner
            .decode(ids, skip_special_tokens)
            .map_err(|error| Error::Input(format!("cannot turn tokens into text: {error}")))
    }

    /// Refuses special tokens in untrusted text, where they would forge a turn or an image.
    ///
    /// Errors: `Input` naming `place` and the token.
    pub fn refuse_special_tokens(&self, text: &str, place: &str) -> Result<(), Error> {
        match self.forgery(text) {
            Some(problem) => Err(Error::Input(format!("{place}: {problem}"))),
            None => Ok(()),
        }
    }

    /// The problem of an untrusted text that contains a special token.
    pub(crate) fn forgery(&self, text: &str) -> Option<String> {
        let mut tokens = self.special_tokens.iter().map(|(token, _)| token.as_str());
        let token = tokens.find(|token| text.contains(token))?;
        Some(format!("expected plain text, got the special token `{token}`, which only the chat template may write"))
    }

    /// The id of a token of the vocabulary.
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// The token of an id, as written in the vocabulary.
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// The bytes of each token, by id, which may be a part of a character: those of its text for a special token, none
    /// for an id without a token.
    pub fn token_bytes(&self) -> Vec<Vec<u8>> {
        let is_byte_level = self.is_byte_level();
        (0..self.vocab_size() as u32)
            .map(|id| match self.inner.id_to_token(id) {
                None => Vec::new(),
                Some(token) if self.inner.get_added_vocabulary().is_special_token(&token) => token.into_bytes(),
                Some(token) if is_byte_level => bytes_of_characters(&token).unwrap_or_else(|| token.into_bytes()),
                Some(token) => match byte_of_fallback(&token) {
                    Some(byte) => vec![byte],
                    None => token.replace('▁', " ").into_bytes(),
                },
            })
            .collect()
    }

    /// Whether the vocabulary writes each byte as one character, rather than text with `▁` for a space.
    fn is_byte_level(&self) -> bool {
        let decoder = self.inner.get_decoder().map(serde_json::to_value);
        decoder.is_some_and(|decoder| decoder.is_ok_and(|decoder| decoder.to_string().contains("\"ByteLevel\"")))
    }

    /// One more than the largest token id. A model's embedding has at least that many rows.
    pub fn vocab_size(&self) -> usize {
        self.inner.get_vocab(true).into_values().max().map_or(0, |id| id as usize + 1)
    }
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Tokenizer")
            .field("file", &self.file)
            .field("end_token", &self.end_token)
            .field("stop_tokens", &self.stop_tokens)
            .finish_non_exhaustive()
    }
}

/// The file that holds the vocabulary, and the tokenizer in the layout of `tokenizer.json`.
fn definition(folder: &Path) -> Result<(PathBuf, Vec<u8>), Error> {
    type Convert = fn(&Path) -> Result<Value, Error>;
    let published = folder.join(TOKENIZER_FILE);
    if published.is_file() {
        let bytes = read_stored(&published)?;
        return Ok((published, bytes));
    }
    let others: [(&str, Convert); 2] =
        [(sentencepiece::MODEL_FILE, sentencepiece::convert), (byte_level::VOCABULARY_FILE, byte_level::convert)];
    for (name, convert) in others {
        let path = folder.join(name);
        if path.is_file() {
            return Ok((path, convert(folder)?.to_string().into_bytes()));
        }
    }
    Err(Error::file(
        &published,
        format!(
            "expected a tokenizer, here or in {} or in {} and merges.txt, got no file",
            sentencepiece::MODEL_FILE,
            byte_level::VOCABULARY_FILE
        ),
    ))
}

/// Whether a byte-level vocabulary writes a byte as the character of the same code.
fn is_printable(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF)
}

/// The bytes of a token of a byte-level vocabulary; none if a character means no byte. Printable bytes are written as
/// themselves, the others as U+0100 and on (`bytes_to_unicode` of GPT-2's encoder).
fn bytes_of_characters(token: &str) -> Option<Vec<u8>> {
    token
        .chars()
        .map(|character| match u32::from(character) {
            code @ 0..=0xFF => Some(code as u8).filter(|byte| is_printable(*byte)),
            code => (0..=255).filter(|byte| !is_printable(*byte)).nth(code as usize - 0x100),
        })
        .collect()
}

/// The byte of a token such as `<0x0A>`.
fn byte_of_fallback(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    u8::from_str_radix(digits, 16).ok().filter(|_| digits.len() == 2)
}

/// The ids that close a turn, pad batches and stop generation.
struct DialogueIds {
    end: u32,
    pad: u32,
    stop: Vec<u32>,
}

impl DialogueIds {
    fn read(folder: &Path, config: &Value, tokenizer: &tokenizers::Tokenizer) -> Result<Self, Error> {
        let path = folder.join(CONFIG_FILE);
        let mut stop = stop_tokens(folder)?;
        let end = id_of(config, "eos_token", tokenizer)
            .and_then(|id| {
                id.or(stop.first().copied()).ok_or_else(|| {
                    "key `eos_token`: expected the token that ends a turn, got none, and neither \
                     generation_config.json nor config.json has `eos_token_id`"
                        .to_owned()
                })
            })
            .map_err(|problem| Error::file(&path, problem))?;
        let pad = id_of(config, "pad_token", tokenizer).map_err(|problem| Error::file(&path, problem))?;
        if !stop.contains(&end) {
            stop.insert(0, end);
        }
        Ok(Self { end, pad: pad.unwrap_or(end), stop })
    }
}

/// The id of the token that a key of `tokenizer_config.json` names.
fn id_of(config: &Value, key: &str, tokenizer: &tokenizers::Tokenizer) -> Result<Option<u32>, String> {
    let Some(token) = named_token(config, key) else {
        return Ok(None);
    };
    match tokenizer.token_to_id(token) {
        Some(id) => Ok(Some(id)),
        None => Err(format!("key `{key}`: expected a token of the vocabulary, got `{token}`")),
    }
}

/// `eos_token_id` of `generation_config.json`, or else of `config.json`: one id or a list of them.
fn stop_tokens(folder: &Path) -> Result<Vec<u32>, Error> {
    for name in ["generation_config.json", "config.json"] {
        let path = folder.join(name);
        let Some(config) = read_json(&path)? else { continue };
        let key = config.get("eos_token_id").or_else(|| config.get("text_config")?.get("eos_token_id"));
        let Some(value) = key.filter(|value| !value.is_null()) else {
            continue;
        };
        let ids = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        return ids
            .iter()
            .map(|id| id.as_u64().and_then(|id| u32::try_from(id).ok()))
            .collect::<Option<Vec<u32>>>()
            .ok_or_else(|| {
                Error::file(&path, format!("key `eos_token_id`: expected a token id or a list of them, got {value}"))
            });
    }
    Ok(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::{byte_of_fallback, bytes_of_characters};

    #[test]
    fn characters_of_a_byte_level_vocabulary_are_bytes() {
        assert_eq!(bytes_of_characters("Ġcat"), Some(b" cat".to_vec()));
        assert_eq!(bytes_of_characters("Ċ"), Some(b"\n".to_vec()));
        assert_eq!(bytes_of_characters("Ã©"), Some("é".as_bytes().to_vec()));
        assert_eq!(bytes_of_characters("\u{143}"), Some(vec![0xAD]));
        assert_eq!(bytes_of_characters("\u{144}"), None);
        assert_eq!(bytes_of_characters(" "), None);
    }

    #[test]
    fn fallback_tokens_are_bytes() {
        assert_eq!(byte_of_fallback("<0x0A>"), Some(10));
        assert_eq!(byte_of_fallback("<0x>"), None);
        assert_eq!(byte_of_fallback("<s>"), None);
    }
}
