//! Folders whose tokenizer is spread over files as publishers spread it give the ids of the whole `tokenizer.json`.

#[allow(dead_code, reason = "each test file uses its part of what all share")]
mod common;

use std::path::Path;

use common::committed_folder;
use common::settings_files::{read, without_weights, write};
use serde_json::{Map, Value, json};
use vlm::processor::Processor;
use vlm::tokenizer::Tokenizer;

/// Texts of several kinds, between and around special tokens.
const TEXTS: [&str; 14] = [
    "What is the yellow thing in the image?",
    "It's a cup; they'll say it WASN'T.",
    "12345 and 6,789.01",
    "  two spaces,\n\n\ttabs and\r\nlines  \n ",
    "Ünïcode, e\u{301}tude, 物体 – 火 🔥👩‍👩‍👧",
    "ﬁ ﬂ \u{212b} Å A\u{30a}",
    "{\"a\": [1, 2.5, null]}",
    "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>Look<|im_end|>\n",
    "<|vision_start|><|image_pad|><|image_pad|><|vision_end|> <|video_pad|>",
    "<img><IMG_CONTEXT></img> no<IMG_CONTEXT>space",
    " <|im_end|> <|endoftext|>x",
    "<|im_end<|im_end|>|>",
    "plain <tool_call> text </tool_call>",
    "",
];

/// Leaves the added tokens with these ids and above out of `tokenizer.json`.
fn cut_from(folder: &Path, first_id: u64) {
    let mut tokenizer = read(folder, "tokenizer.json");
    let tokens = tokenizer["added_tokens"].as_array_mut().unwrap();
    let before = tokens.len();
    tokens.retain(|token| token["id"].as_u64().unwrap() < first_id);
    assert!((1..before).contains(&tokens.len()));
    write(folder, "tokenizer.json", &tokenizer);
}

/// The ids of the token `content` in the fixture.
fn id_of(folder: &Path, content: &str) -> u64 {
    let tokenizer = read(folder, "tokenizer.json");
    let mut tokens = tokenizer["added_tokens"].as_array().unwrap().iter();
    let token = tokens.find(|token| token["content"] == content).unwrap();
    token["id"].as_u64().unwrap()
}

/// Fails unless the folder's tokenizer, and that of a folder it is saved in, do what the fixture's does.
#[track_caller]
fn assert_whole(folder: &Path, name: &str) {
    let whole = Tokenizer::open(&committed_folder(name).join("model")).unwrap();
    let saved = tempfile::tempdir().unwrap();
    let processor = Processor::open(folder).unwrap();
    processor.save(saved.path()).unwrap();
    fs_err::copy(folder.join("config.json"), saved.path().join("config.json")).unwrap();
    let again = Processor::open(saved.path()).unwrap();
    for tokenizer in [processor.tokenizer(), again.tokenizer()] {
        assert_eq!(tokenizer.special_tokens, whole.special_tokens);
        assert_eq!(tokenizer.vocab_size(), whole.vocab_size());
        assert_eq!(tokenizer.token_bytes(), whole.token_bytes());
        assert_eq!(tokenizer.stop_tokens, whole.stop_tokens);
        for text in TEXTS {
            let ids = whole.encode(text).unwrap();
            assert_eq!(tokenizer.encode(text).unwrap(), ids, "{text:?}");
            for skips in [false, true] {
                let decoded = whole.decode(&ids, skips).unwrap();
                assert_eq!(tokenizer.decode(&ids, skips).unwrap(), decoded, "{text:?}");
            }
        }
        assert!(tokenizer.refuse_special_tokens("a<|image_pad|>", "a text").is_err());
    }
}

#[test]
fn tokens_that_only_the_settings_list_are_added() {
    let folder = without_weights("qwen2_vl");
    let first = id_of(folder.path(), "<|object_ref_start|>");
    cut_from(folder.path(), first);
    assert_whole(folder.path(), "qwen2_vl");
}

#[test]
fn tokens_that_only_an_older_list_names_are_added() {
    let folder = without_weights("qwen2_vl");
    let first = id_of(folder.path(), "<|im_start|>");
    let mut config = read(folder.path(), "tokenizer_config.json");
    let decoder = config.as_object_mut().unwrap().remove("added_tokens_decoder").unwrap();
    let ids = decoder.as_object().unwrap().iter().rev();
    let ids: Map<String, Value> = ids
        .map(|(id, token)| (token["content"].as_str().unwrap().to_owned(), json!(id.parse::<u32>().unwrap())))
        .collect();
    write(folder.path(), "added_tokens.json", &ids.into());
    write(folder.path(), "tokenizer_config.json", &config);
    cut_from(folder.path(), first);
    assert_whole(folder.path(), "qwen2_vl");
}

#[test]
fn a_token_that_gets_another_id_than_the_listed_one_is_refused() {
    let folder = without_weights("qwen2_vl");
    let first = id_of(folder.path(), "<|image_pad|>");
    cut_from(folder.path(), first);
    let mut config = read(folder.path(), "tokenizer_config.json");
    let decoder = config["added_tokens_decoder"].as_object_mut().unwrap();
    let image = decoder.remove(&first.to_string()).unwrap();
    decoder.insert((first + 20).to_string(), image);
    write(folder.path(), "tokenizer_config.json", &config);
    let message = Tokenizer::open(folder.path()).unwrap_err().to_string();
    // The video's token gets the free id.
    let expected = format!("tokenizer_config.json: token `<|video_pad|>`: expected the id {}, got {first}", first + 1);
    assert!(message.ends_with(&expected), "{message}");
}

/// Writes `vocab.json` and `merges.txt` in the place of `tokenizer.json`.
fn split(folder: &Path) {
    let tokenizer = read(folder, "tokenizer.json");
    write(folder, "vocab.json", &tokenizer["model"]["vocab"]);
    let mut merges = "#version: 0.2\n".to_owned();
    for pair in tokenizer["model"]["merges"].as_array().unwrap() {
        match pair {
            Value::String(pair) => merges.push_str(pair),
            pair => merges.push_str(&[&pair[0], &pair[1]].map(|symbol| symbol.as_str().unwrap()).join(" ")),
        }
        merges.push('\n');
    }
    fs_err::write(folder.join("merges.txt"), merges).unwrap();
    fs_err::remove_file(folder.join("tokenizer.json")).unwrap();
}

#[test]
fn a_vocabulary_and_its_merges_are_a_tokenizer() {
    for name in ["qwen2_vl", "qwen2_5_vl", "internvl"] {
        let folder = without_weights(name);
        split(folder.path());
        assert_whole(folder.path(), name);
    }
}

#[test]
fn a_tokenizer_that_is_broken_or_unknown_is_told_in_plain_words() {
    let folder = without_weights("internvl");
    let path = folder.path().join("tokenizer.json");
    let mut definition = read(folder.path(), "tokenizer.json");
    definition["model"] = json!({ "type": "Unheard", "vocab": [3] });
    fs_err::write(&path, definition.to_string()).unwrap();
    let message = Tokenizer::open(folder.path()).unwrap_err().to_string();
    let is_plain = !["untagged", "enum", "at line", "variant"].iter().any(|foreign| message.contains(foreign));
    assert!(is_plain && message.contains("tokenizer.json: not a tokenizer: expected one of"), "{message}");
    fs_err::write(&path, "{\n\"model\": NaN}").unwrap();
    refuses(folder.path(), "not a tokenizer: line 2, column 10: NaN is not JSON");
}

#[test]
fn a_vocabulary_of_another_kind_or_with_broken_merges_is_refused() {
    let folder = without_weights("internvl");
    split(folder.path());
    let merges = folder.path().join("merges.txt");
    let text = fs_err::read_to_string(&merges).unwrap();
    fs_err::write(&merges, text.replacen('\n', "\nalone\n", 1)).unwrap();
    refuses(folder.path(), "merges.txt: line 2: expected two symbols, got `alone`");
    fs_err::write(&merges, text + "zzqq x\n").unwrap();
    refuses(folder.path(), "vocab.json: not a tokenizer: Token `zzqq` out of vocabulary");
    fs_err::remove_file(&merges).unwrap();
    refuses(folder.path(), "merges.txt");

    let mut config = read(folder.path(), "tokenizer_config.json");
    config["tokenizer_class"] = json!("GPT2Tokenizer");
    write(folder.path(), "tokenizer_config.json", &config);
    refuses(
        folder.path(),
        "key `tokenizer_class`: expected \"Qwen2Tokenizer\" or \"Qwen2TokenizerFast\", got \"GPT2Tokenizer\"",
    );
    fs_err::remove_file(folder.path().join("vocab.json")).unwrap();
    refuses(folder.path(), "tokenizer.json: expected a tokenizer");
}

#[test]
fn switches_that_change_the_ids_and_contradict_the_tokenizer_are_refused() {
    for (family, key, value, expected) in [
        ("qwen2_5_vl", "split_special_tokens", true, "key `split_special_tokens`: expected false, got true"),
        ("qwen2_5_vl", "add_prefix_space", true, "key `add_prefix_space`: expected false, got true"),
        (
            "qwen2_5_vl",
            "add_eos_token",
            true,
            "key `add_eos_token`: expected false, as tokenizer.json has it, got true",
        ),
        (
            "internvl2_5",
            "add_bos_token",
            false,
            "key `add_bos_token`: expected true, as tokenizer.json has it, got false",
        ),
    ] {
        let folder = without_weights(family);
        let mut config = read(folder.path(), "tokenizer_config.json");
        config[key] = json!(value);
        write(folder.path(), "tokenizer_config.json", &config);
        refuses(folder.path(), expected);
        config[key] = json!(!value);
        write(folder.path(), "tokenizer_config.json", &config);
        Tokenizer::open(folder.path()).unwrap();
    }
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
    let folder = without_weights("qwen2_5_vl");
    fs_err::write(folder.path().join("tokenizer.json"), pointer).unwrap();
    refuses(folder.path(), "tokenizer.json: a Git LFS pointer in place of the file");
}

#[track_caller]
fn refuses(folder: &Path, expected: &str) {
    let message = Tokenizer::open(folder).unwrap_err().to_string();
    assert!(message.contains(expected), "{message}");
}
