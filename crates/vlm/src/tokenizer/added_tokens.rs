//! Tokens that a folder lists beside its vocabulary. Published tokenizers leave some out of `tokenizer.json`:
//! Qwen2-VL's has `<|image_pad|>` in `tokenizer_config.json` alone, older folders have theirs in `added_tokens.json`.
//!
//! Source: `PreTrainedTokenizerBase._from_pretrained` and `PreTrainedTokenizerFast.__init__` of transformers 4.57.
//! Differs: a token that gets another id than the listed one is an error, where transformers keeps the id it got.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use tokenizers::AddedToken;

use super::settings::{SPECIAL_KEYS, content, named_token};
use crate::error::Error;
use crate::json_file::read_json;

const CONFIG_FILE: &str = "tokenizer_config.json";
const SPECIAL_TOKENS_FILE: &str = "special_tokens_map.json";
const ADDED_TOKENS_FILE: &str = "added_tokens.json";

/// The listed tokens by id, and the file that lists them.
#[derive(Debug)]
pub(crate) struct ListedTokens {
    /// The file; the newer one where there is none.
    pub file: PathBuf,
    /// The tokens.
    pub by_id: BTreeMap<u32, AddedToken>,
}

impl ListedTokens {
    /// Reads `added_tokens_decoder` of `tokenizer_config.json`, or `added_tokens.json` where the settings have no such
    /// key.
    ///
    /// Errors: `Io` or `File` naming file and key.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let [config, special] = [CONFIG_FILE, SPECIAL_TOKENS_FILE].map(|name| read_json(&folder.join(name)));
        let [config, special] = [config?, special?].map(Option::unwrap_or_default);
        let special = [&config, &special].into_iter().flat_map(special_tokens).collect();
        if let Some(decoder) = config.get("added_tokens_decoder").and_then(Value::as_object) {
            return Self::of_decoder(folder.join(CONFIG_FILE), decoder, &special);
        }
        let path = folder.join(ADDED_TOKENS_FILE);
        match read_json(&path)?.as_ref().and_then(Value::as_object) {
            Some(ids) => Self::of_ids(path, ids, &special),
            None => Ok(Self { file: folder.join(CONFIG_FILE), by_id: BTreeMap::new() }),
        }
    }

    fn of_decoder(file: PathBuf, decoder: &Map<String, Value>, special: &HashSet<&str>) -> Result<Self, Error> {
        let mut by_id = BTreeMap::new();
        for (id, entry) in decoder {
            let (Ok(number), Some(token)) = (id.parse(), listed_token(entry, special)) else {
                let problem = format!("key `added_tokens_decoder.{id}`: expected an id and `content`, got {entry}");
                return Err(Error::file(&file, problem));
            };
            by_id.insert(number, token);
        }
        Ok(Self { file, by_id })
    }

    fn of_ids(file: PathBuf, ids: &Map<String, Value>, special: &HashSet<&str>) -> Result<Self, Error> {
        let mut by_id = BTreeMap::new();
        for (token, id) in ids {
            let Some(number) = id.as_u64().and_then(|id| u32::try_from(id).ok()) else {
                let problem = format!("key `{token}`: expected a token id, got {id}");
                return Err(Error::file(&file, problem));
            };
            by_id.insert(number, AddedToken::from(&**token, special.contains(&**token)));
        }
        Ok(Self { file, by_id })
    }

    /// The id of a token.
    pub fn id(&self, content: &str) -> Option<u32> {
        let mut tokens = self.by_id.iter();
        tokens.find_map(|(id, token)| (token.content == content).then_some(*id))
    }

    /// Adds the tokens that `tokenizer` lacks, in the order of their ids.
    ///
    /// Errors: `File` naming the file, the token, and its id as listed and as it is.
    pub fn add_missing(&self, tokenizer: &mut tokenizers::Tokenizer) -> Result<(), Error> {
        let known: HashSet<String> =
            tokenizer.get_added_tokens_decoder().into_values().map(|token| token.content).collect();
        let missing = self.by_id.values().filter(|token| !known.contains(&token.content));
        tokenizer
            .add_tokens(missing.cloned().collect::<Vec<_>>())
            .map_err(|error| self.error(format!("cannot add its tokens: {error}")))?;
        for (id, AddedToken { content, .. }) in &self.by_id {
            let got = tokenizer.token_to_id(content);
            if got != Some(*id) {
                let got = got.map_or_else(|| "none".to_owned(), |got| got.to_string());
                return Err(self.error(format!("token `{content}`: expected the id {id}, got {got}")));
            }
        }
        Ok(())
    }

    fn error(&self, problem: String) -> Error {
        Error::file(&self.file, problem)
    }
}

/// The tokens that settings call special.
fn special_tokens(settings: &Value) -> impl Iterator<Item = &str> {
    let single = SPECIAL_KEYS.iter().filter_map(|key| named_token(settings, key));
    let more = settings.get("additional_special_tokens").and_then(Value::as_array);
    single.chain(more.into_iter().flatten().filter_map(content))
}

/// A token with its flags as an entry of `added_tokens_decoder` has them. Special is one that settings call so
/// elsewhere, too; a special one is not normalized unless the entry says otherwise.
fn listed_token(entry: &Value, special: &HashSet<&str>) -> Option<AddedToken> {
    let content = entry.get("content")?.as_str()?;
    let [is_special, single_word, lstrip, rstrip, normalized] =
        ["special", "single_word", "lstrip", "rstrip", "normalized"]
            .map(|name| entry.get(name).and_then(Value::as_bool));
    let is_special = is_special.unwrap_or(false);
    let token = AddedToken::from(content, is_special);
    let normalized = normalized.unwrap_or(token.normalized);
    Some(
        token
            .special(is_special || special.contains(content))
            .single_word(single_word.unwrap_or(false))
            .lstrip(lstrip.unwrap_or(false))
            .rstrip(rstrip.unwrap_or(false))
            .normalized(normalized),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn listed(files: &[(&str, Value)]) -> Result<ListedTokens, String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, value) in files {
            fs_err::write(folder.path().join(name), value.to_string()).unwrap();
        }
        ListedTokens::read(folder.path())
            .map_err(|error| error.to_string().replace(&format!("{}/", folder.path().display()), ""))
    }

    #[test]
    fn flags_are_those_of_the_entry() {
        let decoder = json!({
            "7": { "content": "<a>", "special": true },
            "8": { "content": "<b>", "lstrip": true, "rstrip": true, "single_word": true },
            "9": { "content": "</s>", "normalized": false },
        });
        let config = json!({ "added_tokens_decoder": decoder, "eos_token": { "content": "</s>" } });
        let tokens = listed(&[(CONFIG_FILE, config), (ADDED_TOKENS_FILE, json!({ "<c>": 3 }))]).unwrap();
        assert_eq!(tokens.by_id.keys().copied().collect::<Vec<_>>(), [7, 8, 9]);
        assert_eq!(tokens.by_id[&7], AddedToken::from("<a>", true));
        let plain = AddedToken::from("<b>", false);
        assert_eq!(tokens.by_id[&8], plain.lstrip(true).rstrip(true).single_word(true));
        assert_eq!(tokens.by_id[&9], AddedToken::from("</s>", true));
        assert_eq!((tokens.id("<b>"), tokens.id("<c>")), (Some(8), None));
    }

    #[test]
    fn of_an_older_folder_those_are_special_that_are_called_so() {
        let map = json!({ "additional_special_tokens": ["<a>", { "content": "<b>" }] });
        let ids = json!({ "<a>": 7, "<b>": 8, "<c>": 9 });
        let tokens = listed(&[(SPECIAL_TOKENS_FILE, map), (ADDED_TOKENS_FILE, ids)]).unwrap();
        let expected = [("<a>", true), ("<b>", true), ("<c>", false)];
        let got = tokens.by_id.values().map(|token| (&*token.content, token.special));
        assert_eq!(got.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_is_no_list_names_file_and_key() {
        let config = json!({ "added_tokens_decoder": { "7": { "lstrip": true } } });
        assert_eq!(
            listed(&[(CONFIG_FILE, config)]).unwrap_err(),
            "tokenizer_config.json: key `added_tokens_decoder.7`: expected an id and `content`, got {\"lstrip\":true}"
        );
        assert_eq!(
            listed(&[(ADDED_TOKENS_FILE, json!({ "<a>": "7" }))]).unwrap_err(),
            "added_tokens.json: key `<a>`: expected a token id, got \"7\""
        );
    }
}
