//! A sentencepiece model (`tokenizer.model`, as InternLM2 ships it) as the equivalent `tokenizer.json`.
//!
//! Source: `SpmConverter` of transformers 4.57 and sentencepiece's `sentencepiece_model.proto`, of which only the
//! fields that matter here are listed. Differs: normalization is taken from the model (`InternLM2Converter` of the
//! published checkpoints omits all but the dummy prefix), and text loses its first space in decoding only where the
//! model added one.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prost::Message;
use serde_json::{Value, json};
use tokenizers::AddedToken;

use super::added_tokens::ListedTokens;
use super::settings::named_token;
use crate::error::Error;
use crate::json_file::read_json;
use crate::stored_file::read_stored;

/// The model's file in a checkpoint's folder.
pub(super) const MODEL_FILE: &str = "tokenizer.model";

/// A space inside pieces.
const SPACE: &str = "\u{2581}";

#[derive(Clone, PartialEq, Message)]
struct ModelProto {
    #[prost(message, repeated, tag = "1")]
    pieces: Vec<Piece>,
    #[prost(message, optional, tag = "2")]
    trainer_spec: Option<TrainerSpec>,
    #[prost(message, optional, tag = "3")]
    normalizer_spec: Option<NormalizerSpec>,
}

#[derive(Clone, PartialEq, Message)]
struct Piece {
    #[prost(string, tag = "1")]
    piece: String,
    #[prost(float, tag = "2")]
    score: f32,
    #[prost(int32, optional, tag = "3")]
    kind: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
struct TrainerSpec {
    #[prost(int32, optional, tag = "3")]
    model_type: Option<i32>,
    #[prost(bool, optional, tag = "35")]
    byte_fallback: Option<bool>,
}

#[derive(Clone, PartialEq, Message)]
struct NormalizerSpec {
    #[prost(bytes = "vec", optional, tag = "2")]
    precompiled_charsmap: Option<Vec<u8>>,
    #[prost(bool, optional, tag = "3")]
    add_dummy_prefix: Option<bool>,
    #[prost(bool, optional, tag = "4")]
    remove_extra_whitespaces: Option<bool>,
}

// Values of the enumerations `ModelType` and `SentencePiece.Type`.
const MODEL_TYPE_BPE: i32 = 2;
const KIND_UNKNOWN: i32 = 2;
const KIND_CONTROL: i32 = 3;
const KIND_USER_DEFINED: i32 = 4;

/// A folder's `tokenizer.model`, with the added tokens and the frame that its `tokenizer_config.json` names, in the
/// layout of `tokenizer.json`.
///
/// Errors: `Io` when the model cannot be read; `File` when it is none, or not a BPE.
pub(super) fn convert(folder: &Path) -> Result<Value, Error> {
    let path = folder.join(MODEL_FILE);
    let model = decode(&read_stored(&path)?).map_err(|problem| Error::file(&path, problem))?;
    let trainer = model.trainer_spec.clone().unwrap_or_default();
    let config = read_json(&folder.join("tokenizer_config.json"))?.unwrap_or(Value::Null);
    let added = added_tokens(&model, folder)?;

    // An added token takes the place of the piece that has its id (`[UNUSED_TOKEN_145]` is `<|im_start|>`).
    let mut pieces: Vec<(String, f32)> = Vec::with_capacity(model.pieces.len());
    for (id, piece) in model.pieces.iter().enumerate() {
        let content = added.get(&id).and_then(|token| token["content"].as_str());
        pieces.push((content.unwrap_or(&piece.piece).to_owned(), piece.score));
    }
    let vocab: HashMap<&str, usize> = pieces.iter().enumerate().map(|(id, (piece, _))| (&**piece, id)).collect();
    let whole: Vec<&str> = of_kind(&model, KIND_USER_DEFINED).collect();
    let normalizer_spec = model.normalizer_spec.clone().unwrap_or_default();
    Ok(json!({
        "version": "1.0",
        "added_tokens": added.values().collect::<Vec<_>>(),
        "normalizer": normalizer(&normalizer_spec),
        "pre_tokenizer": split_off(&whole),
        "post_processor": frame(&config, &pieces, &added),
        "decoder": decoder(&normalizer_spec),
        "model": {
            "type": "BPE",
            "unk_token": of_kind(&model, KIND_UNKNOWN).next(),
            "fuse_unk": true,
            "byte_fallback": trainer.byte_fallback.unwrap_or(false),
            "ignore_merges": !whole.is_empty(),
            "merges": merges(&pieces, &vocab),
            "vocab": vocab,
        },
    }))
}

/// A model of the supported kind.
fn decode(bytes: &[u8]) -> Result<ModelProto, String> {
    let model = ModelProto::decode(bytes).map_err(|error| format!("expected a sentencepiece model: {error}"))?;
    let model_type = model.trainer_spec.as_ref().and_then(|trainer| trainer.model_type);
    if model_type != Some(MODEL_TYPE_BPE) {
        return Err("expected model_type BPE, got another".to_owned());
    }
    if of_kind(&model, KIND_UNKNOWN).next().is_none() {
        return Err("expected a piece for unknown text, got none".to_owned());
    }
    Ok(model)
}

fn of_kind(model: &ModelProto, kind: i32) -> impl Iterator<Item = &str> {
    let pieces = model.pieces.iter().filter(move |piece| piece.kind == Some(kind));
    pieces.map(|piece| &*piece.piece)
}

/// Cuts out user-defined pieces, longer ones first: nothing is merged into them or out of them.
fn split_off(whole: &[&str]) -> Value {
    if whole.is_empty() {
        return Value::Null;
    }
    let mut patterns: Vec<String> = whole.iter().map(|piece| fancy_regex::escape(piece).into_owned()).collect();
    patterns.sort_by_key(|pattern| std::cmp::Reverse(pattern.len()));
    json!({ "type": "Split", "pattern": { "Regex": patterns.join("|") }, "behavior": "Isolated", "invert": false })
}

/// Tokens that are found in text before anything else is done to it, by id: the model's own control pieces and what the
/// folder's settings add.
fn added_tokens(model: &ModelProto, folder: &Path) -> Result<BTreeMap<usize, Value>, Error> {
    let mut tokens = BTreeMap::new();
    for (id, piece) in model.pieces.iter().enumerate() {
        if matches!(piece.kind, Some(KIND_CONTROL | KIND_UNKNOWN)) {
            tokens.insert(id, AddedToken::from(&*piece.piece, true));
        }
    }
    for (id, token) in ListedTokens::read(folder)?.by_id {
        tokens.insert(id as usize, token);
    }
    let entries = tokens.into_iter().map(|(id, token)| {
        let mut entry = json!(token);
        entry["id"] = id.into();
        (id, entry)
    });
    Ok(entries.collect())
}

/// Every merge of two pieces into another, of the more probable piece first; merges into the same piece in the order of
/// their lengths.
fn merges(pieces: &[(String, f32)], vocab: &HashMap<&str, usize>) -> Vec<[String; 2]> {
    let mut merges = Vec::new();
    for (piece, score) in pieces {
        let mut ways: Vec<(&str, &str)> = piece
            .char_indices()
            .skip(1)
            .map(|(at, _)| piece.split_at(at))
            .filter(|(left, right)| vocab.contains_key(left) && vocab.contains_key(right))
            .collect();
        ways.sort_by_key(|(left, right)| (vocab[left], vocab[right]));
        merges.extend(ways.into_iter().map(|(left, right)| (*score, left, right)));
    }
    merges.sort_by(|(score, left, right), (other_score, other_left, other_right)| {
        let [ours, others] =
            [[left, right], [other_left, other_right]].map(|merge| merge.map(|part| part.chars().count()));
        other_score.total_cmp(score).then(others.cmp(&ours))
    });
    merges.into_iter().map(|(_, left, right)| [left.to_owned(), right.to_owned()]).collect()
}

/// The normalization of text, in sentencepiece's own order.
fn normalizer(spec: &NormalizerSpec) -> Value {
    let mut steps = Vec::new();
    if let Some(charsmap) = spec.precompiled_charsmap.as_ref().filter(|charsmap| !charsmap.is_empty()) {
        steps.push(json!({ "type": "Precompiled", "precompiled_charsmap": STANDARD.encode(charsmap) }));
    }
    if spec.remove_extra_whitespaces.unwrap_or(true) {
        steps.push(json!({ "type": "Replace", "pattern": { "Regex": "^ +| +$" }, "content": "" }));
        steps.push(json!({ "type": "Replace", "pattern": { "Regex": " {2,}" }, "content": " " }));
    }
    if spec.add_dummy_prefix.unwrap_or(true) {
        steps.push(json!({ "type": "Prepend", "prepend": SPACE }));
    }
    steps.push(json!({ "type": "Replace", "pattern": { "String": " " }, "content": SPACE }));
    json!({ "type": "Sequence", "normalizers": steps })
}

fn decoder(spec: &NormalizerSpec) -> Value {
    let mut steps = vec![
        json!({ "type": "Replace", "pattern": { "String": SPACE }, "content": " " }),
        json!({ "type": "ByteFallback" }),
        json!({ "type": "Fuse" }),
    ];
    if spec.add_dummy_prefix.unwrap_or(true) {
        steps.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
    }
    json!({ "type": "Sequence", "decoders": steps })
}

/// `<s>` before and `</s>` after a text, by the settings; LLaMA's defaults.
fn frame(config: &Value, pieces: &[(String, f32)], added: &BTreeMap<usize, Value>) -> Value {
    let [before, after] = [("add_bos_token", true, "bos_token", "<s>"), ("add_eos_token", false, "eos_token", "</s>")]
        .map(|(flag, is_default, key, token)| {
            let is_added = config.get(flag).and_then(Value::as_bool).unwrap_or(is_default);
            let token = named_token(config, key).unwrap_or(token);
            id_of(token, pieces, added).filter(|_| is_added).map(|id| (token, id))
        });
    let [first, second] = [("A", 0), ("B", 1)].map(|(name, kind)| {
        let mut text = vec![json!({ "Sequence": { "id": name, "type_id": kind } })];
        if let Some((token, _)) = before {
            text.insert(0, json!({ "SpecialToken": { "id": token, "type_id": kind } }));
        }
        if let Some((token, _)) = after {
            text.push(json!({ "SpecialToken": { "id": token, "type_id": kind } }));
        }
        text
    });
    let tokens: serde_json::Map<String, Value> = before
        .into_iter()
        .chain(after)
        .map(|(token, id)| (token.to_owned(), json!({ "id": token, "ids": [id], "tokens": [token] })))
        .collect();
    let pair = [&first[..], &second].concat();
    json!({
        "type": "TemplateProcessing",
        "single": first,
        "pair": pair,
        "special_tokens": tokens,
    })
}

fn id_of(token: &str, pieces: &[(String, f32)], added: &BTreeMap<usize, Value>) -> Option<usize> {
    let added = added.iter().find(|(_, entry)| entry["content"] == token);
    added.map(|(id, _)| *id).or_else(|| pieces.iter().position(|(piece, _)| piece == token))
}
