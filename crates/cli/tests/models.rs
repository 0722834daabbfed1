//! The commands on a real model folder: what transformers computed comes out, and what is broken is named.

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use safetensors::SafeTensors;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A fixture of each family.
const FAMILIES: [&str; 4] = ["qwen2_vl", "qwen2_5_vl", "internvl2_5", "internvl"];

fn fixture_of(family: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parity").join(family)
}

fn fixture() -> PathBuf {
    fixture_of("qwen2_5_vl")
}

/// Runs `scruple`; returns the exit code and standard error.
fn scruple(arguments: &[&str]) -> (i32, String) {
    let output = Command::cargo_bin("scruple").unwrap().args(arguments).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// A fixture's dialogues, each with its reply if asked, in a data file of their own.
fn data_file(folder: &TempDir, fixture: &Path, with_reply: bool) -> String {
    let cases = fs_err::read_to_string(fixture.join("cases.jsonl")).unwrap();
    let lines = cases.lines().map(|line| {
        let mut case: Value = serde_json::from_str(line).unwrap();
        for part in case["messages"].as_array_mut().unwrap().iter_mut().filter_map(|m| m["content"].as_array_mut()) {
            for image in part.iter_mut().filter(|part| part["type"] == "image") {
                image["image"] = json!(fixture.join(image["image"].as_str().unwrap()));
            }
        }
        if with_reply {
            let reply = json!({ "role": "assistant", "content": case["reply"] });
            case["messages"].as_array_mut().unwrap().push(reply);
        }
        format!("{}\n", json!({ "id": case["id"], "messages": case["messages"] }))
    });
    let path = folder.path().join("data.jsonl");
    fs_err::write(&path, lines.collect::<String>()).unwrap();
    path.display().to_string()
}

fn lines(path: &str) -> Vec<Value> {
    let text = fs_err::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A tensor of what the original code computed, as numbers.
fn expected(fixture: &Path, key: &str) -> Vec<f64> {
    let bytes = fs_err::read(fixture.join("expected.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensor = file.tensor(key).unwrap();
    match tensor.dtype() {
        safetensors::Dtype::I64 => {
            tensor.data().chunks(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as f64).collect()
        }
        _ => tensor.data().chunks(4).map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap()))).collect(),
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

/// Transformers drops the alpha of transparent images.
const AS_TRANSFORMERS: &str = "model.alpha=drop";

#[test]
fn score_gives_the_log_probabilities_of_the_original_code() {
    for fixture in FAMILIES.map(fixture_of) {
        let folder = tempfile::tempdir().unwrap();
        let data = data_file(&folder, &fixture, true);
        let out = folder.path().join("out.jsonl").display().to_string();
        let model = fixture.join("model").display().to_string();
        let call = ["score", "--model", &model, "--data", &data, "--out", &out, AS_TRANSFORMERS];
        let (code, stderr) = scruple(&call);
        assert_eq!(code, 0, "{stderr}");
        for line in lines(&out) {
            let key = |name: &str| format!("{}.{name}", line["id"].as_str().unwrap());
            assert_eq!(numbers(&line["input_ids"]), expected(&fixture, &key("input_ids")));
            assert_eq!(numbers(&line["labels_mask"]), expected(&fixture, &key("labels_mask")));
            let logprobs = line["logprobs"].as_array().unwrap();
            assert!(logprobs[0].is_null());
            for (got, expected) in logprobs[1..].iter().zip(expected(&fixture, &key("logprobs"))) {
                let off = (got.as_f64().unwrap() - expected).abs();
                assert!(off < 2e-4, "{model} {}: expected {expected}, got {got}", key("logprobs"));
            }
        }
    }
}

#[test]
fn generate_takes_the_tokens_that_the_original_code_takes() {
    for fixture in FAMILIES.map(fixture_of) {
        let folder = tempfile::tempdir().unwrap();
        let data = data_file(&folder, &fixture, false);
        let out = folder.path().join("out.jsonl").display().to_string();
        let model = fixture.join("model").display().to_string();
        let call = ["generate", "--model", &model, "--data", &data, "--out", &out];
        let greedy = ["--temperature", "0", "--max-new-tokens", "24", "sampling.ignore_eos=true", AS_TRANSFORMERS];
        let (code, stderr) = scruple(&[&call[..], &greedy[..]].concat());
        assert_eq!(code, 0, "{stderr}");
        let (completions, n_asked) = (lines(&out), lines(&data).len());
        assert!(n_asked >= 6, "the fixture lists {n_asked} cases");
        assert_eq!(completions.len(), n_asked);
        for line in completions {
            let key = format!("{}.greedy", line["id"].as_str().unwrap());
            assert_eq!(numbers(&line["output_ids"]), expected(&fixture, &key), "{model} {key}");
            assert_eq!(line["finish_reason"], "length");
        }
    }
}

#[test]
fn a_truncated_model_and_a_corrupt_image_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken");
    fs_err::create_dir(&broken).unwrap();
    for entry in fs_err::read_dir(fixture().join("model")).unwrap() {
        let entry = entry.unwrap();
        fs_err::copy(entry.path(), broken.join(entry.file_name())).unwrap();
    }
    let weights = broken.join("model.safetensors");
    let bytes = fs_err::read(&weights).unwrap();
    fs_err::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    let (data, out) = (data_file(&folder, &fixture(), true), folder.path().join("out.jsonl").display().to_string());
    let (code, stderr) = scruple(&["score", "--model", broken.to_str().unwrap(), "--data", &data, "--out", &out]);
    assert_eq!(code, 4, "{stderr}");
    assert!(stderr.contains("model.safetensors: tensor `"), "{stderr}");
    assert!(stderr.contains("bytes are there (truncated or damaged"), "{stderr}");

    fs_err::write(folder.path().join("half.png"), &fs_err::read(fixture().join("images/b.png")).unwrap()[..4000])
        .unwrap();
    let line =
        json!({ "id": "a", "messages": [{ "role": "user", "content": [{ "type": "image", "image": "half.png" }] }] });
    fs_err::write(&data, format!("{line}\n")).unwrap();
    let model = fixture().join("model").display().to_string();
    let (code, stderr) = scruple(&["generate", "--model", &model, "--data", &data, "--out", &out]);
    assert_eq!(code, 3, "{stderr}");
    assert!(stderr.contains("half.png"), "{stderr}");
}

/// Scores of the fixture's dialogues by a model, with or without an adapter.
fn scores(folder: &TempDir, name: &str, model: &Path, adapter: Option<&Path>) -> Vec<f64> {
    let data = data_file(folder, &fixture(), true);
    let out = folder.path().join(name).display().to_string();
    let model = model.display().to_string();
    let mut arguments = vec!["score", "--model", &model, "--data", &data, "--out", &out];
    let adapter = adapter.map(|adapter| adapter.display().to_string());
    arguments.extend(adapter.iter().flat_map(|adapter| ["--adapter", adapter]));
    assert_eq!(scruple(&arguments).0, 0);
    lines(&out).iter().flat_map(|line| numbers(&json!(line["logprobs"].as_array().unwrap()[1..]))).collect()
}

#[test]
fn a_merged_model_is_the_adapted_one() {
    let folder = tempfile::tempdir().unwrap();
    let (model, adapter) = (fixture().join("model"), fixture().join("adapter"));
    let merged = folder.path().join("merged");
    let merge = |more: &[&str]| {
        let mut arguments = vec!["merge", "--model", model.to_str().unwrap(), "--out", merged.to_str().unwrap()];
        arguments.extend(more);
        scruple(&arguments)
    };
    let (code, message) = merge(&[]);
    assert_eq!(code, 2);
    assert!(message.starts_with("error: `model.adapter` is not set: expected a path"), "{message}");
    assert_eq!(merge(&["--adapter", adapter.to_str().unwrap()]).0, 0);
    let adapted = scores(&folder, "adapted.jsonl", &model, Some(&adapter));
    let plain = scores(&folder, "plain.jsonl", &model, None);
    let off = |scores: &[f64]| scores.iter().zip(&adapted).map(|(one, other)| (one - other).abs()).fold(0.0, f64::max);
    assert!(off(&scores(&folder, "merged.jsonl", &merged, None)) < 1e-4);
    assert!(off(&plain) > 0.1, "the adapter changes nothing");
}

#[test]
fn inspection_describes_every_family_and_names_what_is_wrong() {
    fn inspect(folder: &Path) -> (Option<i32>, String) {
        let output = Command::cargo_bin("scruple").unwrap().args(["inspect", "--model"]).arg(folder).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    }

    let families = fixture().join("..");
    insta::assert_snapshot!(inspect(&families.join("qwen2_5_vl/model")).1);
    insta::assert_snapshot!(inspect(&families.join("internvl2_5/model")).1);
    for name in ["qwen2_vl", "qwen2_5_vl_tied", "internvl"] {
        let (code, text) = inspect(&families.join(name).join("model"));
        assert!(code == Some(0) && text.contains("problems    none"), "{name}: {text}");
    }

    let broken = tempfile::tempdir().unwrap();
    for name in ["config.json", "model.safetensors"] {
        fs_err::copy(fixture().join("model").join(name), broken.path().join(name)).unwrap();
    }
    let config = fs_err::read_to_string(broken.path().join("config.json")).unwrap();
    let wider = config.replace("\"intermediate_size\": 128", "\"intermediate_size\": 132");
    fs_err::write(broken.path().join("config.json"), wider).unwrap();
    let (code, text) = inspect(broken.path());
    assert_eq!(code, Some(4));
    assert!(text.contains("mlp.gate_proj.weight`: expected shape [132, 64], got [128, 64]"), "{text}");
    assert!(text.contains("expected a chat template"), "{text}");
}

#[test]
fn data_are_not_written_over_and_images_in_replies_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let model = fixture().join("model").display().to_string();
    let data = data_file(&folder, &fixture(), true);
    let before = fs_err::read_to_string(&data).unwrap();
    for command in ["generate", "score"] {
        let (code, message) = scruple(&[command, "--model", &model, "--data", &data, "--out", &data]);
        assert_eq!(code, 2, "{message}");
        assert!(message.contains("expected another file than --data"), "{message}");
        assert_eq!(fs_err::read_to_string(&data).unwrap(), before);
    }
    let shown = json!([{ "type": "image", "image": fixture().join("images/a.png") }]);
    let messages = json!([{ "role": "user", "content": "Show one." }, { "role": "assistant", "content": shown }]);
    fs_err::write(&data, json!({ "id": "a", "messages": messages }).to_string()).unwrap();
    let out = folder.path().join("out.jsonl").display().to_string();
    let (code, message) = scruple(&["score", "--model", &model, "--data", &data, "--out", &out]);
    assert_eq!(code, 3, "{message}");
    assert!(message.contains("data.jsonl:1: item `a`") && message.contains("got an image"), "{message}");
}
