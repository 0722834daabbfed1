//! The demo's steps by hand, as the help of each command shows them: every one takes what the one before has left, by
//! paths relative to where it is run.

use std::path::{Path, PathBuf};
use std::process::Command;

fn base_model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/base")
}

/// Runs a command in the folder; returns the last line of its standard output.
fn scruple(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_scruple")).current_dir(folder).args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    let printed = String::from_utf8(output.stdout).unwrap();
    printed.lines().last().unwrap_or_default().to_owned()
}

#[test]
fn a_run_names_the_commit_of_the_program_and_not_that_of_the_folder_it_is_started_in() {
    let folder = tempfile::tempdir().unwrap();
    fs_err::create_dir(folder.path().join(".git")).unwrap();
    fs_err::write(folder.path().join(".git/HEAD"), "0123456789".repeat(4)).unwrap();
    let line =
        r#"{"id": "a", "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]}"#;
    fs_err::write(folder.path().join("train.jsonl"), line).unwrap();
    let base = format!("model.path={}", base_model().display());
    let train = ["sft", "--out", "run", "data.train=train.jsonl", "sft.general_ratio=0"];
    scruple(folder.path(), &[&train[..], &["sft.max_steps=1", &base]].concat());
    let record = fs_err::read_to_string(folder.path().join("run/config.resolved.json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    assert_eq!(record["git_commit"].as_str(), option_env!("SCRUPLE_COMMIT"));
}

#[test]
fn the_steps_fit_together() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| scruple(folder.path(), arguments);
    let base = format!("model.path={}", base_model().display());
    let sizes =
        ["train=6", "train_general=4", "easy=1", "hard=2", "real=1", "general=2"].map(|size| format!("mini.{size}"));
    let mini: Vec<&str> = ["mini", "--out", "world"].into_iter().chain(sizes.iter().map(String::as_str)).collect();
    run(&mini);

    let tuned = run(&[
        "sft",
        "--out",
        "runs/mirage",
        &base,
        "data.train=world/labels/mirage.jsonl",
        "data.general=world/labels/general.jsonl",
        "sft.max_steps=1",
        "sft.train_batch_size=2",
    ]);
    assert_eq!(tuned, "runs/mirage/checkpoint-1");
    let tuned_path = format!("model.path={tuned}");

    let curated = run(&[
        "curate",
        "--out",
        "runs/curated",
        &tuned_path,
        "data.prompts=world/train.jsonl",
        "curate.num_samples=2",
        "curate.num_kept=4",
        "curate.max_completion_length=100",
    ]);
    assert_eq!(curated, "runs/curated/curated.jsonl");

    let adapter = run(&[
        "rl",
        "--out",
        "runs/safer",
        &tuned_path,
        "data.prompts=runs/curated/curated.jsonl",
        "train.type=lora",
        "rollout.num_generations=2",
        "rollout.max_completion_length=100",
        "rollout.max_reflection_length=100",
        "grpo.prompts_per_step=2",
        "grpo.max_steps=1",
        "grpo.max_refills=0",
    ]);
    assert_eq!(adapter, "runs/safer/checkpoint-1");

    for (name, adapter) in [("mirage", None), ("safer", Some(adapter.as_str()))] {
        let out = format!("eval/{name}");
        let mut evaluate = vec!["eval", "--model", &tuned, "--data", "world", "--name", name, "--out", &out];
        evaluate.extend(adapter.iter().flat_map(|folder| ["--adapter", *folder]));
        evaluate.push("eval.max_new_tokens=60");
        run(&evaluate);
    }
    assert_eq!(run(&["report", ".", "report.baseline=mirage"]), "./report.html");
    let page = fs_err::read_to_string(folder.path().join("report.md")).unwrap();
    assert!(page.contains("| mirage |") && page.contains("| safer |"), "{page}");
}

#[test]
fn a_model_that_would_lose_its_adapter_is_not_trained() {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parity/qwen2_5_vl");
    let settings = [("model.path", "model"), ("model.adapter", "adapter")]
        .map(|(name, below)| format!("{name}={}", fixture.join(below).display()));
    let line =
        r#"{"id": "a", "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]}"#;
    fs_err::write(folder.path().join("train.jsonl"), line).unwrap();
    let refused = |more: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_scruple"))
            .current_dir(folder.path())
            .args(["sft", "--out", "run", "data.train=train.jsonl", "sft.general_ratio=0"])
            .args(&settings)
            .args(more)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    insta::assert_snapshot!(refused(&[]), @"error: `train.type`: expected `lora`, since full training would lose `model.adapter`, got `full`");
    insta::assert_snapshot!(refused(&["train.type=lora", "train.r=16"]), @"error: `train.r`: expected 4, as the adapter has, got 16");
}
