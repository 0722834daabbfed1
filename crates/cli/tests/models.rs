//! The commands on a real model folder: what transformers computed comes out, and what is broken is named.

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use safetensors::SafeTensors;
use serde_json::{Value, json};
use tempfile::TempDir;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parity/qwen2_5_vl")
}

/// Runs `scruple`; returns the exit code and standard error.
fn scruple(arguments: &[&str]) -> (i32, String) {
    let output = Command::cargo_bin("scruple").unwrap().args(arguments).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// The fixture's dialogues, each with its reply if asked, in a data file of their own.
fn data_file(folder: &TempDir, with_reply: bool) -> String {
    let cases = fs_err::read_to_string(fixture().join("cases.jsonl")).unwrap();
    let lines = cases.lines().map(|line| {
        let mut case: Value = serde_json::from_str(line).unwrap();
        for part in case["messages"]
            .as_array_mut()
            .unwrap()
            .iter_mut()
            .filter_map(|m| m["content"].as_array_mut())
        {
            for image in part.iter_mut().filter(|part| part["type"] == "image") {
                image["image"] = json!(fixture().join(image["image"].as_str().unwrap()));
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

/// A tensor of what transformers computed, as numbers.
fn expected(key: &str) -> Vec<f64> {
    let bytes = fs_err::read(fixture().join("expected.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensor = file.tensor(key).unwrap();
    match tensor.dtype() {
        safetensors::Dtype::I64 => tensor
            .data()
            .chunks(8)
            .map(|b| i64::from_le_bytes(b.try_into().unwrap()) as f64)
            .collect(),
        _ => tensor
            .data()
            .chunks(4)
            .map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap())))
            .collect(),
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|number| number.as_f64().unwrap())
        .collect()
}

#[test]
fn score_gives_the_log_probabilities_that_transformers_gives() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (
        data_file(&folder, true),
        folder.path().join("out.jsonl").display().to_string(),
    );
    let model = fixture().join("model").display().to_string();
    let (code, stderr) = scruple(&["score", "--model", &model, "--data", &data, "--out", &out]);
    assert_eq!(code, 0, "{stderr}");
    for line in lines(&out) {
        let id = line["id"].as_str().unwrap();
        assert_eq!(numbers(&line["input_ids"]), expected(&format!("{id}.input_ids")));
        assert_eq!(numbers(&line["labels_mask"]), expected(&format!("{id}.labels_mask")));
        let logprobs = line["logprobs"].as_array().unwrap();
        assert!(logprobs[0].is_null());
        for (got, expected) in logprobs[1..].iter().zip(expected(&format!("{id}.logprobs"))) {
            assert!(
                (got.as_f64().unwrap() - expected).abs() < 2e-4,
                "{id}: expected {expected}, got {got}"
            );
        }
    }
}

#[test]
fn generate_takes_the_tokens_that_transformers_takes() {
    let folder = tempfile::tempdir().unwrap();
    let (data, out) = (
        data_file(&folder, false),
        folder.path().join("out.jsonl").display().to_string(),
    );
    let model = fixture().join("model").display().to_string();
    let call = ["generate", "--model", &model, "--data", &data, "--out", &out];
    let greedy = ["--temperature", "0", "--max-new-tokens", "24", "--ignore-eos"];
    let (code, stderr) = scruple(&[&call[..], &greedy[..]].concat());
    assert_eq!(code, 0, "{stderr}");
    let completions = lines(&out);
    assert_eq!(completions.len(), 6);
    for line in completions {
        let id = line["id"].as_str().unwrap();
        assert_eq!(numbers(&line["output_ids"]), expected(&format!("{id}.greedy")), "{id}");
        assert_eq!(line["finish_reason"], "length");
    }
}

#[test]
fn a_truncated_model_and_a_corrupt_picture_are_named() {
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
    let (data, out) = (
        data_file(&folder, true),
        folder.path().join("out.jsonl").display().to_string(),
    );
    let (code, stderr) = scruple(&[
        "score",
        "--model",
        broken.to_str().unwrap(),
        "--data",
        &data,
        "--out",
        &out,
    ]);
    assert_eq!(code, 4, "{stderr}");
    assert!(stderr.contains("model.safetensors: truncated or damaged"), "{stderr}");

    fs_err::write(
        folder.path().join("half.png"),
        &fs_err::read(fixture().join("images/b.png")).unwrap()[..4000],
    )
    .unwrap();
    let line =
        json!({ "id": "a", "messages": [{ "role": "user", "content": [{ "type": "image", "image": "half.png" }] }] });
    fs_err::write(&data, format!("{line}\n")).unwrap();
    let model = fixture().join("model").display().to_string();
    let (code, stderr) = scruple(&["generate", "--model", &model, "--data", &data, "--out", &out]);
    assert_eq!(code, 3, "{stderr}");
    assert!(stderr.contains("half.png"), "{stderr}");
}
