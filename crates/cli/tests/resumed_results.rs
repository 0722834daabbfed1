//! `scruple generate` and `scruple score` called again: a file of results is resumed as it was begun, or not at all.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

fn fixture(below: &str) -> String {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/parity/qwen2_5_vl")
        .join(below);
    path.display().to_string()
}

/// A folder with two dialogues in `data.jsonl`.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let line = |id: &str| {
        let messages = json!([{ "role": "user", "content": "Hello?" }, { "role": "assistant", "content": "Yes." }]);
        format!("{}\n", json!({ "id": id, "messages": messages }))
    };
    fs_err::write(folder.path().join("data.jsonl"), line("a") + &line("b")).unwrap();
    folder
}

fn scruple(folder: &TempDir, command: &str, more: &[&str]) -> Output {
    let mut call = vec![command, "--quiet", "--data", "data.jsonl"];
    let model = fixture("model");
    if !more.contains(&"--model") {
        call.extend(["--model", &model]);
    }
    if !more.contains(&"--out") {
        call.extend(["--out", "out.jsonl"]);
    }
    if command == "generate" && !more.contains(&"--max-new-tokens") {
        call.extend(["--max-new-tokens", "3"]);
    }
    Command::new(env!("CARGO_BIN_EXE_scruple"))
        .current_dir(folder.path())
        .args(call)
        .args(more)
        .output()
        .unwrap()
}

#[track_caller]
fn done(folder: &TempDir, command: &str, more: &[&str]) {
    let output = scruple(folder, command, more);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Checks that resuming so is refused by the setting's name, and changes nothing.
#[track_caller]
fn refused(folder: &TempDir, command: &str, more: &[&str], message: &str) {
    let before = text(folder);
    let output = scruple(folder, command, more);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains(message), "{stderr}");
    assert_eq!(text(folder), before);
}

fn text(folder: &TempDir) -> String {
    fs_err::read_to_string(folder.path().join("out.jsonl")).unwrap()
}

/// Cuts into the last line, as a kill would.
fn tear(folder: &TempDir) {
    let text = text(folder);
    fs_err::write(folder.path().join("out.jsonl"), &text[..text.len() - 20]).unwrap();
}

#[test]
fn completions_are_resumed_as_they_were_begun() {
    let folder = folder();
    let begun = ["--temperature", "1", "--seed", "7"];
    done(&folder, "generate", &begun);
    let whole = text(&folder);
    tear(&folder);
    for (more, message) in [
        (
            &["--seed", "7"][..],
            "`sampling.temperature` differs from the run's: expected 1.0, got 0.0",
        ),
        (
            &["--temperature", "1"],
            "`sampling.seed` differs from the run's: expected 7, got 0",
        ),
        (
            &["--temperature", "1", "--seed", "7", "sampling.top_p=0.5"],
            "`sampling.top_p` differs from the run's: expected 1.0, got 0.5",
        ),
        (
            &["--temperature", "1", "--seed", "7", "--max-new-tokens", "4"],
            "`sampling.max_new_tokens` differs from the run's: expected 3, got 4",
        ),
        (
            &["--temperature", "1", "--seed", "7", "sampling.ignore_eos=true"],
            "`sampling.ignore_eos` differs from the run's: expected false, got true",
        ),
        (
            &["--temperature", "1", "--seed", "7", "--adapter", &fixture("adapter")],
            "`model.adapter` differs from the run's: expected null, got ",
        ),
        (
            &["--temperature", "1", "--seed", "7", "--model", "another"],
            "out.jsonl.settings.json: `model.path` differs from the run's: expected ",
        ),
    ] {
        refused(&folder, "generate", more, message);
    }
    done(&folder, "generate", &[&begun[..], &["sampling.batch_size=1"]].concat());
    assert_eq!(text(&folder), whole);
    done(&folder, "generate", &[&begun[..], &["--num-samples", "2"]].concat());
    assert!(text(&folder).starts_with(&whole));
    assert_eq!(text(&folder).lines().count(), 4);
    done(&folder, "generate", &["--restart"]);
    done(&folder, "generate", &[]);
    assert_eq!(
        text(&folder).lines().count(),
        2,
        "what is started over has settings of its own"
    );
}

#[test]
fn scores_are_resumed_as_they_were_begun() {
    let folder = folder();
    done(&folder, "score", &[]);
    let whole = text(&folder);
    tear(&folder);
    refused(
        &folder,
        "score",
        &["model.max_pixels=100000"],
        "`model.max_pixels` differs from the run's: expected null, got 100000",
    );
    refused(
        &folder,
        "generate",
        &[],
        "`command` differs from the run's: expected \"score\", got \"generate\"",
    );
    done(&folder, "score", &[]);
    assert_eq!(text(&folder), whole);
    fs_err::remove_file(folder.path().join("out.jsonl.settings.json")).unwrap();
    let message =
        "out.jsonl: expected the settings that it was begun with in out.jsonl.settings.json, got no such file";
    refused(&folder, "score", &[], message);
}

#[cfg(unix)]
#[test]
fn nothing_is_kept_beside_a_pipe() {
    let folder = folder();
    let output = scruple(&folder, "score", &["--out", "/dev/stdout"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let ids: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].take())
        .collect();
    assert_eq!(ids, ["a", "b"]);
    assert!(!Path::new("/dev/stdout.settings.json").exists());
}
