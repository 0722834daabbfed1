//! `scruple eval` and `scruple generate` of models behind endpoints, which spoil one call in five: killed on the way,
//! moved to another port, and started over.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fake_endpoint::{FakeEndpoint, Reply, completion};
use serde_json::{Value, json};
use tempfile::TempDir;

const ITEMS: usize = 60;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parity/qwen2_5_vl/model")
}

fn answer(words: &str) -> String {
    format!("I'm sorry, I can't help with {words}")
}

fn folder_with_items() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let lines = (0..ITEMS).map(|id| {
        let messages = json!([{ "role": "user", "content": format!("number {id}") }]);
        format!("{}\n", json!({ "id": id.to_string(), "kind": "hazardous", "messages": messages }))
    });
    fs_err::write(folder.path().join("items.jsonl"), lines.collect::<String>()).unwrap();
    folder
}

/// The command for the model at an endpoint.
fn of(fake: &FakeEndpoint, folder: &Path, command: &str, more: &[&str]) -> Command {
    let mut call = scruple(folder, command, more);
    call.args([format!("role.policy.url={}", fake.url()), "role.policy.model=fake".to_owned()])
        .args(["role.policy.timeout=1", "role.policy.concurrency=4"]);
    if !more.iter().any(|word| word.contains("max_retries")) {
        call.arg("role.policy.max_retries=9");
    }
    call
}

fn scruple(folder: &Path, command: &str, more: &[&str]) -> Command {
    let mut call = Command::new(env!("CARGO_BIN_EXE_scruple"));
    call.current_dir(folder).env_remove("OPENAI_API_KEY");
    call.args([command, "--quiet", "--data", "items.jsonl"]).args(more);
    call
}

fn finished(mut command: Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

fn refused(mut command: Command, message: &str) {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains(message), "{stderr}");
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs_err::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Kills a command three times on its way, then lets it end.
fn kill_and_finish(fake: &FakeEndpoint, command: impl Fn() -> Command) {
    for _ in 0..3 {
        let before = fake.counts().calls;
        let mut child = command().stdout(Stdio::null()).spawn().unwrap();
        while fake.counts().calls < before + 15 && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    finished(command());
}

#[test]
fn evaluations_and_completions_that_are_killed_end_in_the_same_bytes() {
    for (command, out, result, journal) in [
        ("eval", "evaluated", "evaluated/responses.jsonl", "evaluated/journal.sqlite"),
        ("generate", "made.jsonl", "made.jsonl", "made.jsonl.journal.sqlite"),
    ] {
        let (fake, folder) = (FakeEndpoint::start(answer, 20).unwrap(), folder_with_items());
        kill_and_finish(&fake, || of(&fake, folder.path(), command, &["--out", out]));
        let killed = fs_err::read(folder.path().join(result)).unwrap();
        // A kill loses at most the calls in flight.
        let paid_again: usize = fake.counts().answered.values().map(|times| times - 1).sum();
        assert!(paid_again <= 3 * 4, "{paid_again} answers were paid for again");

        // An uninterrupted run with the same answers; the model has moved, which costs nothing.
        let moved = FakeEndpoint::start(answer, 0).unwrap();
        let other = folder_with_items();
        fs_err::create_dir_all(other.path().join(journal).parent().unwrap()).unwrap();
        fs_err::copy(folder.path().join(journal), other.path().join(journal)).unwrap();
        finished(of(&moved, other.path(), command, &["--out", out]));
        assert_eq!(moved.counts().calls, 0, "{command}");
        assert!(fs_err::read(other.path().join(result)).unwrap() == killed, "{command}");

        // Again: the same result, and no call. Started over: every call is made again.
        let calls = fake.counts().calls;
        finished(of(&fake, folder.path(), command, &["--out", out]));
        assert_eq!(fake.counts().calls, calls);
        finished(of(&moved, folder.path(), command, &["--out", out, "--restart"]));
        assert_eq!(moved.counts().calls, ITEMS);
    }
}

#[test]
fn what_had_no_answer_is_unscored_and_requested_again_on_request() {
    let (fake, folder) = (FakeEndpoint::start(answer, 40).unwrap(), folder_with_items());
    let call = |more: &[&str]| {
        let out = ["--out", "evaluated", "role.policy.max_retries=0"];
        finished(of(&fake, folder.path(), "eval", &[&out[..], more].concat()));
        let responses = lines(&folder.path().join("evaluated/responses.jsonl"));
        assert_eq!(responses.len(), ITEMS);
        let unanswered = responses.iter().filter(|line| {
            let reason = line["judgement"]["unscored"].as_str();
            reason.is_some_and(|reason| reason.starts_with("no answer: "))
        });
        unanswered.count()
    };
    let (first, calls) = (call(&[]), fake.counts().calls);
    assert!(first > 0);
    assert_eq!(call(&[]), first);
    assert_eq!(fake.counts().calls, calls);
    assert!(call(&["--retry-failed"]) < first);
    // Paid for again is only what had failed though it was paid for.
    let paid_again: usize = fake.counts().answered.values().map(|times| times - 1).sum();
    assert!(paid_again <= first, "{paid_again}");
}

#[test]
fn one_model_completes_dialogues_and_an_endpoints_tokens_are_not_known() {
    let (fake, folder) = (FakeEndpoint::start(answer, 0).unwrap(), folder_with_items());
    finished(of(&fake, folder.path(), "generate", &["--out", "made.jsonl", "--num-samples", "2"]));
    let made = lines(&folder.path().join("made.jsonl"));
    assert_eq!(made.len(), 2 * ITEMS);
    assert_eq!(made[3], json!({ "id": "1", "sample": 1, "text": answer("number 1"), "finish_reason": "stop" }));
    let model = fixture().display().to_string();
    refused(of(&fake, folder.path(), "eval", &["--out", "two", "--model", &model]), "expected one policy model, got 2");
    refused(scruple(folder.path(), "generate", &["--out", "none.jsonl"]), "expected a policy model, got none");
    assert!(!folder.path().join("two").exists());
}

#[test]
fn detail_goes_to_endpoints_and_what_does_not_is_told() {
    let received = Arc::new(Mutex::new(Vec::new()));
    let seen = received.clone();
    let fake = FakeEndpoint::start_responding(move |call| {
        seen.lock().unwrap().push(call.body.to_string());
        Reply { status: 200, retry_after: None, body: completion("No.") }
    })
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs_err::copy(fixture().join("../images/a.png"), folder.path().join("a.png")).unwrap();
    let stderr_for = |options: Value| {
        let mut part = json!({ "type": "image_url", "image_url": { "url": "a.png" } });
        for (name, value) in options.as_object().unwrap() {
            part[name] = value.clone();
        }
        let line = json!({ "id": "a", "kind": "hazardous", "messages": [{ "role": "user", "content": [part, { "type": "text", "text": "Why?" }] }] });
        fs_err::write(folder.path().join("items.jsonl"), format!("{line}\n")).unwrap();
        let output = finished(of(&fake, folder.path(), "generate", &["--out", "made.jsonl", "--restart"]));
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(stderr_for(json!({ "detail": "low" })), "");
    assert!(received.lock().unwrap().pop().unwrap().contains(r#","detail":"low"}"#));
    let told = stderr_for(json!({ "max_pixels": 5000 }));
    assert_eq!(told.matches("`max_pixels` and the like) is not sent").count(), 1, "{told}");
    assert!(told.starts_with("warning: `policy`: image a.png, perhaps others: "), "{told}");
    assert!(!received.lock().unwrap().pop().unwrap().contains("5000"));
}
