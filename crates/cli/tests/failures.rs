//! Bad input and results that cannot be written, from the outside: messages that name file, line or key, and the exit
//! codes that the help lists.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parity/qwen2_5_vl")
}

fn model() -> String {
    fixture().join("model").display().to_string()
}

/// Runs `scruple` in a folder, without its progress; returns the exit code and standard error.
fn scruple(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_scruple"))
        .current_dir(folder)
        .args(arguments)
        .arg("--quiet")
        .output()
        .unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// Checks that a command ends with a code and says each of these words.
#[track_caller]
fn check(folder: &Path, arguments: &[&str], code: i32, words: &[&str]) {
    let (got, stderr) = scruple(folder, arguments);
    assert_eq!(got, code, "{arguments:?}: {stderr}");
    for word in words {
        assert!(stderr.contains(word), "{arguments:?}: no `{word}` in {stderr}");
    }
}

fn sample(id: &str, image: &str, text: &str) -> Value {
    let image = fixture().join("images").join(image);
    let content = json!([{ "type": "image", "image": image }, { "type": "text", "text": text }]);
    let reply = json!({ "role": "assistant", "content": "A square." });
    json!({ "id": id, "truth": {}, "messages": [{ "role": "user", "content": content }, reply] })
}

/// A folder with a data file of one sample, and one more after a blank line if there is.
fn folder_with(second: Option<Value>) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let second = second.map(|second| format!("\n{second}\n")).unwrap_or_default();
    let text = format!("{}\n{second}", sample("one", "a.png", "What is this?"));
    fs_err::write(folder.path().join("data.jsonl"), text).unwrap();
    folder
}

/// A copy of the fixture's model without one of its files.
fn model_without(folder: &TempDir, missing: &str) -> String {
    let copy = folder.path().join(format!("without-{missing}"));
    fs_err::create_dir(&copy).unwrap();
    for entry in fs_err::read_dir(model()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if name != missing {
            fs_err::copy(&path, copy.join(name)).unwrap();
        }
    }
    copy.display().to_string()
}

#[test]
fn a_bad_sample_is_named_with_file_and_line_and_what_came_before_it_is_kept() {
    let corrupt = tempfile::tempdir().unwrap();
    let half = corrupt.path().join("half.png");
    let image = fs_err::read(fixture().join("images/b.png")).unwrap();
    fs_err::write(&half, &image[..image.len() / 2]).unwrap();
    for (bad, word) in [
        (sample("two", "a.png", "One <|image_pad|> more."), "<|image_pad|>"),
        (sample("two", "nowhere.png", "What is this?"), "nowhere.png"),
        (sample("two", half.to_str().unwrap(), "What is this?"), "half.png"),
    ] {
        let folder = folder_with(Some(bad));
        let named = ["data.jsonl:3: item `two`: ", word];
        for (command, more) in [("generate", &["sampling.batch_size=1", "--max-new-tokens", "2"][..]), ("score", &[])] {
            let call = [command, "--model", &model(), "--data", "data.jsonl", "--out", command];
            check(folder.path(), &[&call, more].concat(), 3, &named);
            assert!(!folder.path().join(command).exists());
        }
        let settings = ["eval.batch_size=1", "eval.max_new_tokens=2"];
        let evaluate = ["eval", "--model", &model(), "--data", "data.jsonl", "--out", "evaluated"];
        check(folder.path(), &[&evaluate[..], &settings].concat(), 3, &named);
        assert!(!folder.path().join("evaluated/responses.jsonl").exists());
        for journal in ["generate.journal.sqlite", "evaluated/journal.sqlite"] {
            let journal = rusqlite::Connection::open(folder.path().join(journal)).unwrap();
            let kept: i64 = journal.query_row("SELECT count(*) FROM calls", [], |row| row.get(0)).unwrap();
            assert_eq!(kept, 1);
        }
    }
}

#[test]
fn a_bad_sample_of_a_world_is_named_with_the_file_of_its_split() {
    let folder = folder_with(Some(sample("two", "nowhere.png", "What is this?")));
    let world = folder.path().join("world");
    fs_err::create_dir(&world).unwrap();
    fs_err::write(world.join("easy.jsonl"), sample("three", "a.png", "And this?").to_string()).unwrap();
    fs_err::rename(folder.path().join("data.jsonl"), world.join("hard.jsonl")).unwrap();
    let evaluate = ["eval", "--model", &model(), "--data", "world", "--out", "evaluated", "eval.max_new_tokens=2"];
    check(folder.path(), &evaluate, 3, &["world/hard.jsonl:3: item `two`: ", "nowhere.png"]);
    let curate = ["curate", "--out", "curated", "data.prompts=world/hard.jsonl", "curate.num_samples=2"];
    let path = format!("model.path={}", model());
    check(folder.path(), &[&curate[..], &[&path]].concat(), 3, &["world/hard.jsonl:3: item `two`: "]);
}

#[test]
fn a_model_without_a_file_ends_with_4() {
    let folder = folder_with(None);
    for missing in ["model.safetensors", "tokenizer.json", "config.json"] {
        let model = model_without(&folder, missing);
        let call = ["--model", &model, "--data", "data.jsonl", "--out", "out.jsonl"];
        for command in ["generate", "score"] {
            check(folder.path(), &[&[command][..], &call].concat(), 4, &[missing, "expected"]);
        }
        let path = format!("model.path={model}");
        let train = ["sft", "--out", "run", "data.train=data.jsonl", "sft.general_ratio=0", &path];
        check(folder.path(), &train, 4, &[missing]);
        assert!(!folder.path().join("run").exists());
    }
}

#[test]
fn numbers_that_are_not_finite_end_with_5() {
    let folder = folder_with(None);
    let broken = model_without(&folder, "nothing");
    let weights = Path::new(&broken).join("model.safetensors");
    let mut bytes = fs_err::read(&weights).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let tensors: Value = serde_json::from_slice(&bytes[8..8 + header]).unwrap();
    let [start, end] =
        [0, 1].map(|end| tensors["model.norm.weight"]["data_offsets"][end].as_u64().unwrap() as usize + 8 + header);
    bytes[start..end].fill(0xff);
    fs_err::write(&weights, bytes).unwrap();
    let call = ["--model", &broken, "--data", "data.jsonl", "--out", "out.jsonl"];
    for (command, words) in [
        ("generate", ["after 0 generated tokens", "expected finite scores, got NaN"]),
        ("score", ["item `one`: the log-probability of token 1", "got NaN"]),
    ] {
        check(folder.path(), &[&[command][..], &call].concat(), 5, &words);
        assert!(!folder.path().join("out.jsonl").exists());
    }
}

#[test]
fn settings_that_fit_neither_model_nor_data_end_with_2_and_leave_no_run() {
    let folder = folder_with(None);
    let path = format!("model.path={}", model());
    let train = ["sft", "--out", "run", "data.train=data.jsonl", &path];
    let lora = ["train.type=lora", "train.target_modules=[\"query\"]"];
    for more in [&["sft.general_ratio=0.5"][..], &["sft.general_ratio=0.5", "--dry-run"]] {
        check(folder.path(), &[&train[..], more].concat(), 2, &["`sft.general_ratio`: expected 0 where no general"]);
        let words = ["override `train.target_modules", "match none of 21 layers, such as `model."];
        check(folder.path(), &[&train[..], &lora, more].concat(), 2, &words);
    }
    let train = ["rl", "--out", "run", "data.prompts=data.jsonl", &path, "train.type=lora"];
    check(folder.path(), &[&train[..], &["train.target_modules=query"]].concat(), 2, &["`query`, which match none"]);
    assert!(!folder.path().join("run").exists());
    let judge = ["role.judge.url=local", "role.judge.model=nowhere"];
    check(folder.path(), &[&train[..], &judge].concat(), 4, &["nowhere: no such folder"]);
    assert!(!folder.path().join("run/config.resolved.json").exists());
}

#[test]
fn a_demo_whose_adapter_fits_no_layer_ends_with_2_before_the_work_begins() {
    let folder = folder_with(None);
    for table in ["mirage", "safer"] {
        let setting = format!("{table}.train.target_modules=nothing");
        let words = [setting.as_str(), "expected names of linear layers", "match none of 28 layers"];
        check(folder.path(), &["demo", "--out", "demo", &setting], 2, &words);
    }
    assert!(!folder.path().join("demo").exists());
}

#[test]
fn results_that_cannot_be_written_end_with_7_before_the_work_begins() {
    let folder = folder_with(None);
    fs_err::write(folder.path().join("file"), "").unwrap();
    let (model, path) = (model(), format!("model.path={}", model()));
    let adapter = fixture().join("adapter").display().to_string();
    let general = "sft.general_ratio=0";
    for out in ["file", "file/below"] {
        for command in [
            &["sft", "data.train=data.jsonl", &path, general][..],
            &["rl", "data.prompts=data.jsonl", &path],
            &["curate", "data.prompts=data.jsonl", &path],
            &["eval", "--model", &model, "--data", "data.jsonl"],
            &["merge", "--model", &model, "--adapter", &adapter],
            &["demo"],
            &["mini"],
            &["base"],
        ] {
            if (command[0], out) == ("merge", "file") {
                continue;
            }
            let message = format!("{out}: cannot be made a folder for results");
            let words = [message.as_str(), "hint: choose another `--out`"];
            check(folder.path(), &[command, &["--out", out]].concat(), 7, &words);
        }
    }
    for (out, word) in [
        ("file/below.jsonl", "file: cannot be made a folder for results"),
        (".", ".: expected a file for results, got a folder"),
    ] {
        for command in [
            &["generate", "--model", &model, "--data", "data.jsonl"][..],
            &["score", "--model", &model, "--data", "data.jsonl"],
            &["data", "convert", "data.jsonl", "--to", "openai"],
        ] {
            check(folder.path(), &[command, &["--out", out]].concat(), 7, &[word]);
        }
    }
    let left: Vec<_> = fs_err::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn a_folder_made_for_results_goes_again_where_there_are_none() {
    let folder = folder_with(Some(sample("one", "a.png", "Twice?")));
    let call = ["eval", "--model", "nowhere", "--data", "data.jsonl", "--out", "deep/evaluated"];
    check(folder.path(), &call, 3, &["data.jsonl:3: id `one` already occurs on line 1"]);
    let folder = folder_with(None);
    check(folder.path(), &call, 4, &["nowhere: no such folder"]);
    assert!(!folder.path().join("deep").exists());
}
