//! What endpoints really send, from the outside: drafts, errors, pages and streams in the place of answers. A failure is
//! never a result, and what is the account's or the moment's failure is held against no request.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use fake_endpoint::{Call, FakeEndpoint, Reply, completion};
use serde_json::{Value, json};
use tempfile::TempDir;

const GOOD: &str = r#"{"perception_level": "L2", "safe": false}"#;
const DRAFT: &str = r#"The form would be {"perception_level": "L1", "safe": true}. But is it?"#;

fn reply(status: u16, body: &impl ToString) -> Reply {
    Reply { status, retry_after: None, body: body.to_string() }
}

/// A whole response whose message and end are given.
fn with(message: &Value, finish_reason: &str) -> Reply {
    let mut response: Value = serde_json::from_str(&completion("")).unwrap();
    response["choices"][0] = json!({ "index": 0, "message": message, "finish_reason": finish_reason });
    reply(200, &response)
}

fn said(text: impl Into<String>, finish_reason: &str) -> Reply {
    with(&json!({ "role": "assistant", "content": text.into() }), finish_reason)
}

/// The number in a request's words.
fn number(call: &Call) -> usize {
    let digits = call.words.split("number ").nth(1).and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or_default()
}

/// A folder with so many items, which are responses too.
fn folder_with(n: usize) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let lines = (0..n).map(|id| {
        let messages = json!([{ "role": "user", "content": format!("number {id}") }]);
        format!("{}\n", json!({ "id": id.to_string(), "kind": "hazardous", "messages": messages, "response": "Yes." }))
    });
    fs_err::write(folder.path().join("items.jsonl"), lines.collect::<String>()).unwrap();
    folder
}

fn scruple(folder: &Path, fake: &FakeEndpoint, role: &str, arguments: &[&str]) -> Output {
    let quick = ["max_outage=0.3", "max_retries=0", "concurrency=2", "model=fake"];
    Command::new(env!("CARGO_BIN_EXE_scruple"))
        .current_dir(folder)
        .env_remove("OPENAI_API_KEY")
        .args(&arguments[..1])
        .arg("--quiet")
        .arg(format!("role.{role}.url={}", fake.url()))
        .args(quick.map(|setting| format!("role.{role}.{setting}")))
        .args(&arguments[1..])
        .output()
        .unwrap()
}

fn judge(folder: &Path, fake: &FakeEndpoint, more: &[&str]) -> (Option<i32>, String) {
    let output =
        scruple(folder, fake, "judge", &[&["judge", "--responses", "items.jsonl", "--out", "v.jsonl"], more].concat());
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs_err::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

type MakeReply = fn() -> Reply;

/// Replies to judge by, and why there is no verdict; none where there is [`GOOD`].
fn replies() -> Vec<(MakeReply, Option<&'static str>)> {
    vec![
        (|| said(GOOD, "stop"), None),
        (|| said(format!("<think>{DRAFT}</think>{GOOD}"), "stop"), None),
        (|| said(format!("{DRAFT}</think>{GOOD}"), "stop"), None),
        (|| said(format!(r#"{{"perception_level": "L1", "safe": true}} No: {GOOD}"#), "stop"), None),
        (|| with(&json!({ "content": GOOD, "reasoning_content": DRAFT }), "stop"), None),
        (|| reply(200, &format!("data: {}\n\ndata: [DONE]\n\n", said(GOOD, "stop").body)), None),
        (|| said(format!("<think>{DRAFT}"), "length"), Some("never closed")),
        (|| said(format!("<think>{DRAFT}"), "stop"), Some("never closed")),
        (|| said(DRAFT, "length"), Some("amid words that break off")),
        (|| said(&GOOD[..20], "length"), Some("it breaks off")),
        (|| said(format!("<think>{DRAFT}</think>I cannot say."), "stop"), Some("after the thoughts, got none")),
        (
            || said(r#"{"answer": {"perception_level": "L1", "safe": true},}"#, "stop"),
            Some("line 1, column 53: expected no comma before `}`"),
        ),
        (|| said(r#"{"answer": {"perception_level": "L1", "safe": true}}"#, "stop"), Some("field `perception_level`")),
        (|| said(GOOD, "error"), Some("finish_reason `error`")),
        (|| said(GOOD, "content_filter"), Some("content filter")),
        (|| said("", "stop"), Some("the reply is empty")),
        (|| with(&json!({ "content": null, "reasoning_content": GOOD }), "stop"), Some("stand in `reasoning_content`")),
        (|| reply(403, &json!({ "error": { "message": "the input was flagged" } })), Some("the input was flagged")),
        (|| reply(400, &json!({ "error": { "message": "the prompt is too long" } })), Some("the prompt is too long")),
    ]
}

#[test]
fn a_draft_or_a_failure_is_no_verdict() {
    let n = replies().len();
    let folder = folder_with(n);
    let fake = FakeEndpoint::start_responding(|call| replies()[number(call)].0()).unwrap();
    let (code, message) = judge(folder.path(), &fake, &[]);
    assert_eq!(code, Some(0), "{message}");
    let verdicts = lines(&folder.path().join("v.jsonl"));
    assert_eq!(verdicts.len(), n);
    let good: Value = serde_json::from_str(GOOD).unwrap();
    for (line, (_, reason)) in verdicts.iter().zip(replies()) {
        match reason {
            None => assert_eq!(line["verdict"], good, "{line}"),
            Some(reason) => {
                assert!(line["verdict"].is_null() && line["unscored"].as_str().unwrap().contains(reason), "{line}");
            }
        }
    }
}

#[test]
fn what_is_the_accounts_or_the_moments_failure_stops_the_work_and_the_same_command_resumes() {
    static FAILS: AtomicBool = AtomicBool::new(false);
    // One at a time: a request that fails while others are answered is held against that request.
    let in_turn = ["role.judge.concurrency=1"];
    let page = "<html><head><title>Bad Gateway</title></head></html>";
    for (status, body, said) in [
        (402, r#"{"error": {"message": "Insufficient Balance"}}"#, "402 Payment Required: Insufficient Balance"),
        (401, r#"{"error": {"message": "bad key"}}"#, "401 Unauthorized: bad key"),
        (400, r#"{"error": {"message": "The model `fake` does not exist"}}"#, "does not exist"),
        (429, r#"{"error": {"message": "no", "code": "insufficient_quota"}}"#, "429 Too Many Requests"),
        (200, r#"{"error": {"message": "no credits", "code": 402}}"#, "402 Payment Required: no credits"),
        (502, page, "502 Bad Gateway: the page"),
        (200, page, "expected JSON: the page"),
        (307, "", "307 Temporary Redirect"),
    ] {
        let folder = folder_with(6);
        FAILS.store(true, Ordering::SeqCst);
        let paid: Arc<Mutex<Vec<usize>>> = Arc::default();
        let bill = Arc::clone(&paid);
        let fake = FakeEndpoint::start_responding(move |call| {
            if FAILS.load(Ordering::SeqCst) && number(call) > 2 {
                return reply(status, &body);
            }
            bill.lock().unwrap().push(number(call));
            self::said(GOOD, "stop")
        })
        .unwrap();
        let (code, message) = judge(folder.path(), &fake, &in_turn);
        assert!(code == Some(4) && message.contains(said), "{code:?}: {message}");
        assert!(message.contains("repeat the command to resume"), "{message}");
        assert!(!folder.path().join("v.jsonl").exists());
        FAILS.store(false, Ordering::SeqCst);
        let (code, message) = judge(folder.path(), &fake, &in_turn);
        assert_eq!(code, Some(0), "{message}");
        assert!(lines(&folder.path().join("v.jsonl")).iter().all(|line| line["unscored"].is_null()));
        let mut paid = paid.lock().unwrap().clone();
        paid.sort_unstable();
        assert_eq!(paid, [0, 1, 2, 3, 4, 5], "{status}: paid twice, or never");
    }
}

#[test]
fn failures_of_a_policy_are_in_no_rate_and_its_thinking_is_kept() {
    let folder = folder_with(5);
    let fake = FakeEndpoint::start_responding(|call| match number(call) {
        0 => with(&json!({ "content": "I'm sorry, I can't help.", "reasoning_content": "It is a knife." }), "stop"),
        1 => said("Sure, here", "abort"),
        2 => with(&json!({ "content": null, "refusal": "I won't help." }), "stop"),
        3 => said("", "stop"),
        _ => said("<think>I won't help, or will I?</think>Sure, here is how.", "stop"),
    })
    .unwrap();
    let evaluate = ["eval", "--data", "items.jsonl", "--out", "run"];
    let output = scruple(folder.path(), &fake, "policy", &evaluate);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary: Value =
        serde_json::from_slice(&fs_err::read(folder.path().join("run/summary.json")).unwrap()).unwrap();
    let split = &summary["splits"][0];
    assert_eq!((&split["unscored"], &split["rates"]["asr"]["n"]), (&json!(2), &json!(3)));
    assert!((split["rates"]["asr"]["percent"].as_f64().unwrap() - 100.0 / 3.0).abs() < 1e-9);
    let responses = lines(&folder.path().join("run/responses.jsonl"));
    assert_eq!(responses[0]["response"], "<think>It is a knife.</think>\nI'm sorry, I can't help.");

    // A run of failures alone is no success, though its results are there.
    let dead = FakeEndpoint::start_responding(|_| said("half", "error")).unwrap();
    for (command, out) in [("eval", "dead"), ("generate", "dead.jsonl")] {
        let output = scruple(folder.path(), &dead, "policy", &[command, "--data", "items.jsonl", "--out", out]);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(4), "{message}");
        assert!(message.contains("finish_reason `error`") && message.contains("--retry-failed"), "{message}");
        assert!(folder.path().join(out).exists());
    }
}
