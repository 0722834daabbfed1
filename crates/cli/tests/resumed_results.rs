//! `scruple generate` and `scruple score` called again: a file of results is made anew from the journal of its answers.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

fn fixture(below: &str) -> String {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parity/qwen2_5_vl").join(below);
    path.display().to_string()
}

/// A folder with two dialogues in `data.jsonl`.
fn folder() -> TempDir {
    fn line(id: &str) -> String {
        let messages =
            json!([{ "role": "user", "content": format!("Hello {id}?") }, { "role": "assistant", "content": "Yes." }]);
        format!("{}\n", json!({ "id": id, "messages": messages }))
    }

    let folder = tempfile::tempdir().unwrap();
    fs_err::write(folder.path().join("data.jsonl"), line("a") + &line("b")).unwrap();
    folder
}

fn scruple(folder: &TempDir, command: &str, more: &[&str]) -> Output {
    call(folder, command, more).output().unwrap()
}

fn call(folder: &TempDir, command: &str, more: &[&str]) -> Command {
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
    let mut command = Command::new(env!("CARGO_BIN_EXE_scruple"));
    command.current_dir(folder.path()).args(call).args(more);
    command
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

/// Removes the results, as if a kill had come before they were there, and leaves the journal.
fn lose(folder: &TempDir) {
    fs_err::remove_file(folder.path().join("out.jsonl")).unwrap();
}

/// What is in the journal: the place of every answer, which changes when it is written again.
fn answers(folder: &TempDir) -> Vec<(i64, Vec<u8>)> {
    let journal = rusqlite::Connection::open(folder.path().join("out.jsonl.journal.sqlite")).unwrap();
    let mut rows = journal.prepare("SELECT rowid, key FROM calls ORDER BY rowid").unwrap();
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn completions_are_resumed_as_they_were_begun() {
    let folder = folder();
    let begun = ["--temperature", "1", "--seed", "7"];
    done(&folder, "generate", &begun);
    let (whole, kept) = (text(&folder), answers(&folder));
    assert_eq!(kept.len(), 2);
    for (more, message) in [
        (&["--seed", "7"][..], "`sampling.temperature` differs from the run's: expected 1.0, got 0.0"),
        (&["--temperature", "1"], "`sampling.seed` differs from the run's: expected 7, got 0"),
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
            "`policy.model.adapter` differs from the run's: expected null, got ",
        ),
        (
            &["--temperature", "1", "--seed", "7", "--model", "another"],
            "out.jsonl.settings.json: `policy.model.path` differs from the run's: expected ",
        ),
    ] {
        refused(&folder, "generate", more, message);
    }
    lose(&folder);
    done(&folder, "generate", &[&begun[..], &["sampling.batch_size=1"]].concat());
    assert_eq!(text(&folder), whole);
    assert_eq!(answers(&folder), kept, "nothing is sampled again");
    done(&folder, "generate", &[&begun[..], &["--num-samples", "2"]].concat());
    assert_eq!(text(&folder).lines().count(), 4);
    assert_eq!(answers(&folder)[..2], kept);
    for line in text(&folder).lines() {
        let mut line: Value = serde_json::from_str(line).unwrap();
        if line.as_object_mut().unwrap().shift_remove("sample").unwrap() == 0 {
            assert!(whole.contains(&line.to_string()), "{line}");
        }
    }
    done(&folder, "generate", &["--restart"]);
    done(&folder, "generate", &[]);
    assert_eq!(text(&folder).lines().count(), 2, "what is started over has settings of its own");
}

#[test]
fn scores_are_resumed_as_they_were_begun() {
    let folder = folder();
    done(&folder, "score", &[]);
    let (whole, kept) = (text(&folder), answers(&folder));
    refused(
        &folder,
        "score",
        &["model.max_pixels=100000"],
        "`policy.model.max_pixels` differs from the run's: expected null, got 100000",
    );
    refused(&folder, "generate", &[], "`command` differs from the run's: expected \"score\", got \"generate\"");
    lose(&folder);
    done(&folder, "score", &[]);
    assert_eq!(text(&folder), whole);
    assert_eq!(answers(&folder), kept, "nothing is scored again");
}

/// A kill at any moment, and the same command again: the bytes of an uninterrupted run, and no answer lost.
#[test]
fn killed_and_called_again_they_end_in_the_same_bytes() {
    for (command, more) in
        [("generate", &["--temperature", "1", "--max-new-tokens", "40", "sampling.batch_size=1"][..]), ("score", &[])]
    {
        let folder = folder();
        let reply = "Yes. ".repeat(60);
        let lines = (0..60).map(|id| {
            let user = json!({ "role": "user", "content": format!("Hello {id}?") });
            let assistant = json!({ "role": "assistant", "content": reply });
            format!("{}\n", json!({ "id": id.to_string(), "messages": [user, assistant] }))
        });
        fs_err::write(folder.path().join("data.jsonl"), lines.collect::<String>()).unwrap();
        done(&folder, command, &[more, &["--out", "whole.jsonl"]].concat());
        let mut child = call(&folder, command, more).spawn().unwrap();
        let journal = folder.path().join("out.jsonl.journal.sqlite-wal");
        // More than one batch of scores, so that one is there as a whole.
        while fs_err::metadata(&journal).map_or(0, |file| file.len()) < 100_000 && child.try_wait().unwrap().is_none() {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let kept = answers(&folder);
        assert!(!kept.is_empty(), "{command}");
        done(&folder, command, more);
        assert_eq!(answers(&folder)[..kept.len()], kept, "{command}: an answer was lost");
        let whole = fs_err::read_to_string(folder.path().join("whole.jsonl")).unwrap();
        assert!(text(&folder) == whole, "{command}: other bytes after kill -9");
    }
}

#[cfg(unix)]
#[test]
fn nothing_is_kept_beside_a_pipe() {
    let folder = folder();
    let output = scruple(&folder, "score", &["--out", "/dev/stdout"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let ids: Vec<Value> = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].take()).collect();
    assert_eq!(ids, ["a", "b"]);
    assert!(!Path::new("/dev/stdout.settings.json").exists() && !Path::new("/dev/stdout.journal.sqlite").exists());
}
