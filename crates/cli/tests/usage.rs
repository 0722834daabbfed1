//! The command as its users meet it: help, wrong arguments, bad data, and the exit codes that scripts rely on.

use std::path::Path;

use assert_cmd::Command;
use tempfile::TempDir;

/// Runs `scruple` in a folder; returns the exit code, standard output and standard error.
fn scruple(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::cargo_bin("scruple").unwrap();
    let output = command.current_dir(folder).env_remove("RUST_BACKTRACE").args(arguments).output().unwrap();
    let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (output.status.code().unwrap(), stdout, stderr)
}

/// A folder with some data files in it.
fn folder_with(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs_err::write(folder.path().join(name), text).unwrap();
    }
    folder
}

const QUESTION: &str = r#"{"id": "1", "messages": [{"role": "user", "content": "What is this?"}]}"#;

/// Checks that a command fails with this code and message, prints nothing on standard output and never panics.
#[track_caller]
fn check_failure(files: &[(&str, &str)], arguments: &[&str], code: i32, message: &str) {
    let folder = folder_with(files);
    let (got, stdout, stderr) = scruple(folder.path(), arguments);
    assert_eq!((got, stdout.as_str()), (code, ""), "{stderr}");
    assert_eq!(stderr.trim_end(), message.trim_end());
}

#[test]
fn help_teaches() {
    let folder = folder_with(&[]);
    for command in [
        "",
        "demo",
        "mini",
        "base",
        "sft",
        "forge",
        "review",
        "curate",
        "rl",
        "eval",
        "benchmarks",
        "report",
        "data",
        "data check",
        "data convert",
        "inspect",
        "judge",
        "merge",
        "generate",
        "score",
        "serve",
    ] {
        let arguments: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let (code, stdout, stderr) = scruple(folder.path(), &arguments);
        assert_eq!((code, stderr.as_str()), (0, ""));
        let name = if command.is_empty() { "help".to_owned() } else { format!("help-{}", command.replace(' ', "-")) };
        insta::assert_snapshot!(name, stdout);
    }
}

#[test]
fn wrong_usage_ends_with_2_and_a_suggestion() {
    let folder = folder_with(&[]);
    for (arguments, expected) in [
        (&["generat"][..], "a similar subcommand exists: 'generate'"),
        (&["demo", "--sed", "1"], "a similar argument exists: '--seed'"),
        (&["demo", "--seed", "one"], "invalid value 'one' for '--seed <N>'"),
        (&["demo", "--device", "tpu"], "possible values: flex, wgpu, vulkan, metal, cuda, rocm"),
    ] {
        let (code, stdout, stderr) = scruple(folder.path(), arguments);
        assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
        assert!(stderr.contains(expected), "{stderr}");
    }
}

#[test]
fn sampling_settings_out_of_range_are_wrong_usage() {
    let call = ["generate", "--model", "m", "--data", "d.jsonl", "--out", "o.jsonl"];
    for (typed, origin, expected) in [
        ("--temperature=-1", "--temperature -1", "`sampling.temperature`: expected a number of at least 0, got -1"),
        (
            "--max-new-tokens=0",
            "--max-new-tokens 0",
            "`sampling.max_new_tokens`: expected a whole number of at least 1, got 0",
        ),
        (
            "sampling.top_p=0",
            "override `sampling.top_p=0`",
            "`sampling.top_p`: expected a number above 0, at most 1, got 0",
        ),
    ] {
        let arguments = [&call[..], &[typed]].concat();
        check_failure(&[], &arguments, 2, &format!("error: {origin}: {expected}"));
    }
}

#[test]
fn bad_data_ends_with_3_and_names_file_and_line() {
    let call = ["generate", "--model", "m", "--data", "d.jsonl", "--out", "o.jsonl"];
    check_failure(
        &[("d.jsonl", "\n")],
        &call,
        3,
        "error: d.jsonl: no items: expected at least one JSON object, one a line, got an empty file",
    );
    check_failure(&[], &call, 3, "error: failed to open file `d.jsonl`: No such file or directory (os error 2)");
    check_failure(
        &[("d.jsonl", &format!("{QUESTION}\n{{\"id\": \"2\"}}\n"))],
        &call,
        3,
        "error: d.jsonl:2: expected a key `messages` in the object, got none\n\nhint: `scruple data convert d.jsonl --to \
         openai --out NEW.jsonl` makes such lines of it",
    );
    check_failure(
        &[("d.jsonl", r#"{"id": "a", "messages": [{"role": "system", "content": "Be brief."}]}"#)],
        &call,
        3,
        "error: d.jsonl:1: item `a`: expected a message of the user's to answer",
    );
}

#[test]
fn scoring_wants_a_reply_to_score() {
    check_failure(
        &[("d.jsonl", QUESTION)],
        &["score", "--model", "m", "--data", "d.jsonl", "--out", "o.jsonl"],
        3,
        "error: d.jsonl:1: item `1`: expected the last message to be the assistant's, got the user's",
    );
}

#[test]
fn a_missing_model_ends_with_4() {
    let call = ["generate", "--model", "m", "--data", "d.jsonl", "--out", "o.jsonl"];
    check_failure(&[("d.jsonl", QUESTION)], &call, 4, "error: m: no such folder: expected a model");
    let here = ["generate", "--model", ".", "--data", "d.jsonl", "--out", "o.jsonl"];
    check_failure(
        &[("d.jsonl", QUESTION)],
        &here,
        4,
        "error: .: not a model: expected a file `config.json` in it\n\n\
         hint: a model is a folder that holds `config.json` and safetensors files",
    );
    let adapter = [("d.jsonl", QUESTION), ("adapter_config.json", "{}")];
    check_failure(
        &adapter,
        &here,
        4,
        "error: .: not a model: expected a file `config.json` in it\n\n\
         hint: the folder holds a LoRA adapter: name it with `--adapter`, and the model it belongs to with `--model`",
    );
    check_failure(
        &[("d.jsonl", QUESTION), ("q4.gguf", "GGUF")],
        &here,
        4,
        "error: .: not a model: expected a file `config.json` in it\n\n\
         hint: GGUF files are llama.cpp's: use the checkpoint that they were made from",
    );
    let file = ["generate", "--model", "d.jsonl", "--data", "d.jsonl", "--out", "o.jsonl"];
    check_failure(&adapter, &file, 4, "error: d.jsonl: a file, and no folder: expected a model");
}

#[test]
fn flags_are_short_for_the_settings_that_their_help_names() {
    let line = r#"{"id": "a", "truth": {}, "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]}"#;
    let folder = folder_with(&[("d.jsonl", line)]);
    let out = ["--out", "o.jsonl"];
    for (command, key, out) in [
        ("sft", Some("data.train"), &out[..]),
        ("rl", Some("data.prompts"), &out),
        ("curate", Some("data.prompts"), &out),
        ("eval", Some("data.path"), &out),
        ("generate", Some("data.prompts"), &out),
        ("score", Some("data.dialogues"), &out),
        ("merge", None, &[&out[..], &["model.adapter=a"]].concat()),
        ("inspect", None, &[]),
        ("serve", None, &[]),
    ] {
        let mut flags = vec![command, "--model", "nowhere"];
        let mut settings = vec![command, "model.path=nowhere"];
        let data = key.map(|key| format!("{key}=d.jsonl"));
        if let Some(data) = &data {
            flags.extend(["--data", "d.jsonl"]);
            settings.push(data);
        }
        let by_flags = scruple(folder.path(), &[&flags[..], out].concat());
        let by_settings = scruple(folder.path(), &[&settings[..], out].concat());
        assert_eq!(by_flags, by_settings, "{command}");
        assert_eq!(by_flags.0, 4, "{command}: {}", by_flags.2);
        assert!(by_flags.2.contains("nowhere: no such folder"), "{command}: {}", by_flags.2);
    }
}

#[test]
fn every_command_takes_a_file_of_settings_and_flags_win_over_it() {
    let settings = "[model]\npath = \"m\"\n\n[sampling]\ntemperature = -1\nseed = 3\n";
    let call = ["generate", "--config", "s.toml", "--data", "d.jsonl", "--out", "o.jsonl"];
    check_failure(
        &[("s.toml", settings)],
        &call,
        2,
        "error: s.toml:5: `sampling.temperature`: expected a number of at least 0, got -1",
    );
    check_failure(
        &[("s.toml", settings), ("d.jsonl", QUESTION)],
        &[&call[..], &["--temperature", "1"]].concat(),
        4,
        "error: m: no such folder: expected a model",
    );
    check_failure(
        &[("s.toml", settings)],
        &[&call[..], &["--temperature", "1", "sampling.temperature=-2"]].concat(),
        2,
        "error: override `sampling.temperature=-2`: `sampling.temperature`: expected a number of at least 0, got -2",
    );
}
