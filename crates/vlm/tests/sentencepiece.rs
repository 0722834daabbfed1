//! A folder with sentencepiece's `tokenizer.model` and no `tokenizer.json` gives the ids and texts of transformers'
//! slow tokenizer.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use vlm::tokenizer::Tokenizer;

#[derive(Deserialize)]
struct Case {
    text: String,
    /// The slow tokenizer's ids, `<s>` first.
    ids: Vec<u32>,
    /// Sentencepiece's own ids, special tokens unknown to it.
    pieces: Vec<u32>,
    decoded: String,
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tokenizers").join(name)
}

fn cases(name: &str) -> Vec<Case> {
    let lines = fs_err::read_to_string(fixture(name).join("cases.jsonl")).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[track_caller]
fn agrees(name: &str) {
    let tokenizer = Tokenizer::open(&fixture(name)).unwrap();
    let cases = cases(name);
    assert!(cases.len() > 100);
    for case in cases {
        let ids = tokenizer.encode_dialogue(&case.text).unwrap();
        assert_eq!(ids, case.ids, "{:?}", case.text);
        assert_eq!(tokenizer.encode(&case.text).unwrap(), case.ids[1..], "{:?}", case.text);
        let decoded = tokenizer.decode(&case.pieces, false).unwrap();
        assert_eq!(decoded, case.decoded, "{:?}", case.text);
    }
}

#[test]
fn a_model_as_internlm2_has_it() {
    agrees("internlm2");
}

#[test]
fn a_model_that_normalizes_and_adds_no_prefix() {
    agrees("normalizing");
}

#[test]
fn what_is_no_bpe_of_sentencepiece_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let whole = fs_err::read(fixture("internlm2").join("tokenizer.model")).unwrap();
    for (bytes, expected) in [
        (&whole[..whole.len() / 2], "expected a sentencepiece model"),
        (b"{}", "expected a sentencepiece model"),
        (b"", "expected model_type BPE"),
    ] {
        fs_err::write(folder.path().join("tokenizer.model"), bytes).unwrap();
        let message = Tokenizer::open(folder.path()).unwrap_err().to_string();
        assert!(message.contains("tokenizer.model") && message.contains(expected), "{message}");
    }
}
