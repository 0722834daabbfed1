//! A new byte-level BPE tokenizer, learned from texts, in the files Qwen2's tokenizer has.
//!
//! The merges are learned here and not by the `tokenizers` crate: its trainer breaks some ties by the order of randomly
//! seeded hash maps, and a model rebuilt from its seed must get the same tokens every time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::byte_level::tokenizer_json;
use crate::error::Error;

/// Pairs seen less often than this are not merged.
const MIN_PAIR_COUNT: i64 = 2;

/// Qwen2.5-VL's special tokens, in the order of their ids.
pub const QWEN_SPECIAL_TOKENS: [&str; 14] = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "<|quad_start|>",
    "<|quad_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
];

/// The place among them of the token that closes a turn.
const END: usize = 2;
/// That of the token that ends a text and pads batches.
const PAD: usize = 0;

/// A chat template for text and images that renders what Qwen2.5-VL's does.
pub const QWEN_CHAT_TEMPLATE: &str = include_str!("chat_template.jinja");

/// What a new tokenizer is trained with, beside Qwen2.5-VL's special tokens and template.
#[derive(Clone, Copy, Debug)]
pub struct TokenizerRecipe<'a> {
    /// Tokens altogether: 256 bytes, merges, special and added tokens. Fewer if the texts hold no more pairs to merge.
    pub vocab_size: usize,
    /// Tokens that are kept whole but are plain text otherwise, such as `<think>`.
    pub added_tokens: &'a [&'a str],
}

impl TokenizerRecipe<'_> {
    /// Learns a tokenizer from texts and writes `tokenizer.json`, `tokenizer_config.json`, `special_tokens_map.json`,
    /// `chat_template.json` and `generation_config.json`. The same texts in the same order give the same bytes.
    ///
    /// Source: byte-pair encoding (Sennrich et al., arXiv 1508.07909) over bytes; ties go to the pair of smaller ids.
    ///
    /// Errors: `Input` if the recipe is inconsistent; `Io` naming the file.
    pub fn train<'a>(&self, texts: impl IntoIterator<Item = &'a str>, folder: &Path) -> Result<(), Error> {
        let n_added = QWEN_SPECIAL_TOKENS.len() + self.added_tokens.len();
        self.check(n_added).map_err(|problem| Error::Input(format!("tokenizer recipe: {problem}")))?;
        let words = count_words(&self.tokenizer_json(&Vocabulary::of_bytes()), texts)
            .map_err(|error| Error::Input(format!("cannot cut a text into words: {error}")))?;
        let mut vocabulary = Vocabulary::of_bytes();
        vocabulary.learn_merges(words, self.vocab_size - n_added);
        fs_err::create_dir_all(folder)?;
        self.write(&vocabulary, folder)
    }

    fn check(&self, n_added: usize) -> Result<(), String> {
        if self.vocab_size < 256 + n_added {
            return Err(format!(
                "key `vocab_size`: expected at least 256 bytes and {n_added} special and added tokens, got {}",
                self.vocab_size
            ));
        }
        let mut known = HashSet::new();
        for token in QWEN_SPECIAL_TOKENS.iter().chain(self.added_tokens) {
            if token.chars().count() < 2 || !known.insert(token) {
                return Err(format!("expected different tokens of two characters and more, got `{token}`"));
            }
        }
        Ok(())
    }

    fn write(&self, vocabulary: &Vocabulary, folder: &Path) -> Result<(), Error> {
        let [end, pad] = [END, PAD].map(|place| vocabulary.symbols.len() + place);
        let files = [
            ("tokenizer.json", self.tokenizer_json(vocabulary)),
            ("tokenizer_config.json", self.tokenizer_config(vocabulary.symbols.len())),
            ("special_tokens_map.json", special_tokens_map()),
            ("chat_template.json", json!({"chat_template": QWEN_CHAT_TEMPLATE})),
            (
                "generation_config.json",
                json!({"bos_token_id": pad, "pad_token_id": pad, "eos_token_id": [end, pad], "do_sample": true}),
            ),
        ];
        for (name, content) in files {
            fs_err::write(folder.join(name), format!("{content:#}\n"))?;
        }
        Ok(())
    }

    /// Special and added tokens as `tokenizer.json` lists them, ids following those of the symbols.
    fn token_entries(&self, first_id: usize) -> impl Iterator<Item = (usize, Map<String, Value>)> {
        let special = QWEN_SPECIAL_TOKENS.iter().map(|token| (token, true));
        let tokens = special.chain(self.added_tokens.iter().map(|token| (token, false)));
        (first_id..).zip(tokens).map(|(id, (token, special))| {
            let mut entry = token_fields(token);
            entry.insert("special".into(), special.into());
            (id, entry)
        })
    }

    fn tokenizer_json(&self, vocabulary: &Vocabulary) -> Value {
        let added_tokens: Vec<Value> = self
            .token_entries(vocabulary.symbols.len())
            .map(|(id, mut entry)| {
                entry.insert("id".into(), id.into());
                Value::Object(entry)
            })
            .collect();
        let ids: Map<String, Value> =
            vocabulary.symbols.iter().zip(0u32..).map(|(symbol, id)| (symbol.clone(), id.into())).collect();
        let merges: Vec<Value> = vocabulary
            .merges
            .iter()
            .map(|&(left, right)| json!([left, right].map(|id| &vocabulary.symbols[id as usize])))
            .collect();
        tokenizer_json(&added_tokens, &ids, &merges, false)
    }

    fn tokenizer_config(&self, first_id: usize) -> Value {
        let decoder: Map<String, Value> =
            self.token_entries(first_id).map(|(id, entry)| (id.to_string(), Value::Object(entry))).collect();
        json!({
            "add_bos_token": false,
            "add_prefix_space": false,
            "added_tokens_decoder": decoder,
            "additional_special_tokens": additional_special_tokens(),
            "bos_token": null,
            "chat_template": QWEN_CHAT_TEMPLATE,
            "clean_up_tokenization_spaces": false,
            "eos_token": QWEN_SPECIAL_TOKENS[END],
            "errors": "replace",
            "model_max_length": 131_072,
            "pad_token": QWEN_SPECIAL_TOKENS[PAD],
            "split_special_tokens": false,
            "tokenizer_class": "Qwen2Tokenizer",
            "unk_token": null,
        })
    }
}

fn special_tokens_map() -> Value {
    json!({
        "additional_special_tokens": additional_special_tokens(),
        "eos_token": token_fields(QWEN_SPECIAL_TOKENS[END]),
        "pad_token": token_fields(QWEN_SPECIAL_TOKENS[PAD]),
    })
}

/// All but the one that pads, which is the first.
fn additional_special_tokens() -> &'static [&'static str] {
    &QWEN_SPECIAL_TOKENS[PAD + 1..]
}

/// A token that is matched as it is, wherever it occurs.
fn token_fields(token: &str) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("content".into(), token.into());
    for key in ["single_word", "lstrip", "rstrip", "normalized"] {
        fields.insert(key.into(), false.into());
    }
    fields
}

/// How often each word occurs in the texts, as byte symbols. Special and added tokens are not counted.
fn count_words<'a>(
    byte_tokenizer: &Value,
    texts: impl IntoIterator<Item = &'a str>,
) -> tokenizers::Result<BTreeMap<Vec<u32>, i64>> {
    let tokenizer = tokenizers::Tokenizer::from_bytes(byte_tokenizer.to_string())?;
    let mut words = BTreeMap::new();
    for text in texts {
        let encoding = tokenizer.encode(text, false)?;
        let symbols: Vec<(Option<u32>, u32)> =
            encoding.get_word_ids().iter().copied().zip(encoding.get_ids().iter().copied()).collect();
        for word in symbols.chunk_by(|left, right| left.0 == right.0) {
            let word: Vec<u32> = word.iter().map(|&(_, symbol)| symbol).collect();
            if word[0] < 256 {
                *words.entry(word).or_insert(0) += 1;
            }
        }
    }
    Ok(words)
}

/// The symbols by id, and the merges that make all but the first 256 of them.
struct Vocabulary {
    symbols: Vec<String>,
    merges: Vec<(u32, u32)>,
}

/// Two neighboring symbols of a word.
type Pair = (u32, u32);

impl Vocabulary {
    /// One symbol for each byte: printable bytes are their own, the others are characters from U+0100 on
    /// (GPT-2's `bytes_to_unicode`), in the order of these characters.
    fn of_bytes() -> Self {
        let printable = (b'!'..=b'~').chain(0xA1..=0xAC).chain(0xAE..=0xFF).map(char::from);
        let symbols: Vec<String> = printable.map(String::from).collect();
        let others = (0x100u32..).filter_map(char::from_u32).map(String::from).take(256 - symbols.len());
        Self { symbols: symbols.into_iter().chain(others).collect(), merges: Vec::new() }
    }

    /// Merges the most frequent pair again and again, until there are `n_symbols` symbols or no pair is left.
    fn learn_merges(&mut self, words: BTreeMap<Vec<u32>, i64>, n_symbols: usize) {
        let mut words: Vec<(Vec<u32>, i64)> = words.into_iter().collect();
        let mut ids: HashMap<String, u32> = self.symbols.iter().cloned().zip(0..).collect();
        let mut pairs = PairCounts::default();
        for (index, (word, count)) in words.iter().enumerate() {
            pairs.add(index, word, *count);
        }
        while self.symbols.len() < n_symbols {
            let Some(pair) = pairs.most_frequent() else { break };
            let merged = format!("{}{}", self.symbols[pair.0 as usize], self.symbols[pair.1 as usize]);
            // Two pairs may spell the same symbol.
            let id = *ids.entry(merged.clone()).or_insert(self.symbols.len() as u32);
            if id as usize == self.symbols.len() {
                self.symbols.push(merged);
            }
            self.merges.push(pair);
            for index in pairs.words_with(pair) {
                let (word, count) = &mut words[index];
                pairs.add(index, word, -*count);
                *word = merge(word, pair, id);
                pairs.add(index, word, *count);
            }
        }
    }
}

/// How often pairs occur in the words, and in which.
#[derive(Default)]
struct PairCounts {
    counts: HashMap<Pair, i64>,
    words: HashMap<Pair, HashSet<usize>>,
}

impl PairCounts {
    /// Adds a word's pairs `count` times; a negative count removes them.
    fn add(&mut self, word_index: usize, word: &[u32], count: i64) {
        for pair in word.windows(2).map(|pair| (pair[0], pair[1])) {
            *self.counts.entry(pair).or_insert(0) += count;
            if count > 0 {
                self.words.entry(pair).or_default().insert(word_index);
            }
        }
    }

    /// Of equally frequent pairs, the one of smaller ids.
    fn most_frequent(&self) -> Option<Pair> {
        let frequent = self.counts.iter().filter(|(_, count)| **count >= MIN_PAIR_COUNT);
        frequent.max_by_key(|(pair, count)| (**count, Reverse(**pair))).map(|(pair, _)| *pair)
    }

    /// Removes and returns the words in which a pair may occur.
    fn words_with(&mut self, pair: Pair) -> HashSet<usize> {
        self.words.remove(&pair).unwrap_or_default()
    }
}

/// A word with every occurrence of a pair, from the left, replaced by one symbol.
fn merge(word: &[u32], pair: Pair, symbol: u32) -> Vec<u32> {
    let mut merged = Vec::with_capacity(word.len());
    let mut rest = word;
    while let [first, tail @ ..] = rest {
        if *first == pair.0 && tail.first() == Some(&pair.1) {
            merged.push(symbol);
            rest = &tail[1..];
        } else {
            merged.push(*first);
            rest = tail;
        }
    }
    merged
}
