//! `scruple rl` and `scruple eval` with a judge behind an endpoint.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicIsize, Ordering};

use fake_endpoint::{Call, FakeEndpoint, Reply, completion};
use serde_json::{Value, json};
use tempfile::TempDir;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parity/qwen2_5_vl")
}

/// A verdict by the length of what is judged, so that rewards differ.
fn by_length(words: &str) -> String {
    let response = words.split("<<<RESPONSE\n").nth(1).unwrap_or_default();
    let points = response.len() % 11;
    let answer = json!({ "safety": points, "helpfulness": points, "grounding": points });
    json!({
        "perception_level": "L1", "think": null, "answer": answer, "hallucinations": [], "contradictions": [],
        "decision": if points > 5 { "caution" } else { "comply" }, "safe": points > 5,
    })
    .to_string()
}

/// A folder with four prompts of one image each, none of which says what is true.
fn folder_with_prompts() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let lines = ["a", "b", "c", "d"].map(|name| {
        let image = fixture().join(format!("images/{name}.png"));
        let content = json!([{ "type": "image", "image": image }, { "type": "text", "text": "What is this?" }]);
        let messages = json!([{ "role": "user", "content": content }]);
        format!("{}\n", json!({ "id": name, "kind": "hazardous", "messages": messages }))
    });
    fs_err::write(folder.path().join("prompts.jsonl"), lines.concat()).unwrap();
    folder
}

fn scruple(folder: &Path, url: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_scruple"))
        .current_dir(folder)
        .env_remove("OPENAI_API_KEY")
        .args(arguments)
        .args([format!("role.judge.url={url}"), "role.judge.model=fake".to_owned()])
        .args(["role.judge.timeout=1", "role.judge.max_retries=9"])
        .output()
        .unwrap()
}

fn train(folder: &Path, url: &str, out: &str, more: &[&str]) -> Output {
    let model = format!("model.path={}", fixture().join("model").display());
    let fixed = [
        "rl",
        "--quiet",
        "--out",
        out,
        &model,
        "data.prompts=prompts.jsonl",
        "train.type=lora",
        "rollout.num_generations=3",
        "rollout.max_completion_length=8",
        "rollout.max_reflection_length=8",
        "rollout.batch_size=1",
        "grpo.prompts_per_step=2",
        "grpo.max_steps=3",
        "grpo.max_refills=0",
    ];
    scruple(folder, url, &[&fixed, more].concat())
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs_err::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn weights(folder: &Path, out: &str) -> Vec<u8> {
    fs_err::read(folder.join(out).join("checkpoint-3/adapter_model.safetensors")).unwrap()
}

fn finished(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{}", messages(output));
}

fn messages(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn a_judge_that_fails_often_rewards_training_and_is_paid_once_for_each_verdict() {
    let (fake, folder) = (FakeEndpoint::start(by_length, 20).unwrap(), folder_with_prompts());
    let output = train(folder.path(), &fake.url(), "run", &[]);
    assert_eq!(output.status.code(), Some(0), "{}", messages(&output));
    assert!(messages(&output).contains("From journal"), "{}", messages(&output));
    let rollouts = lines(&folder.path().join("run/rollouts.jsonl"));
    assert_eq!(rollouts.len(), 3 * 2 * 3);
    let scored = rollouts.iter().filter(|line| line["reward"].is_number()).count();
    let unscored = rollouts.iter().filter(|line| line["judgement"]["unscored"].is_string()).count();
    assert!(scored > 0 && scored + unscored == rollouts.len(), "{scored} scored, {unscored} unscored");
    assert!(fake.counts().answered.values().all(|&times| times == 1));
}

#[test]
fn a_budget_that_is_spent_stops_training_and_a_larger_one_resumes_to_the_same_bytes() {
    let (fake, folder) = (FakeEndpoint::start(by_length, 0).unwrap(), folder_with_prompts());
    let whole = train(folder.path(), &fake.url(), "whole", &[]);
    assert_eq!(whole.status.code(), Some(0), "{}", messages(&whole));
    let calls = fake.counts().calls;

    let stopped = train(folder.path(), &fake.url(), "cut", &["role.judge.max_total_tokens=1000"]);
    assert_eq!(stopped.status.code(), Some(6), "{}", messages(&stopped));
    assert!(messages(&stopped).contains("max_total_tokens of 1000 are spent"), "{}", messages(&stopped));
    let resumed = train(folder.path(), &fake.url(), "cut", &[]);
    assert_eq!(resumed.status.code(), Some(0), "{}", messages(&resumed));
    assert_eq!(weights(folder.path(), "cut"), weights(folder.path(), "whole"));
    assert_eq!(fake.counts().calls, 2 * calls, "a verdict was asked for again");
}

#[test]
fn a_run_that_is_done_calls_no_judge_and_one_that_starts_over_calls_it_anew() {
    let (fake, folder) = (FakeEndpoint::start(by_length, 0).unwrap(), folder_with_prompts());
    finished(&train(folder.path(), &fake.url(), "run", &[]));
    let (calls, trained) = (fake.counts().calls, weights(folder.path(), "run"));
    finished(&train(folder.path(), &fake.url(), "run", &[]));
    assert_eq!(fake.counts().calls, calls);
    finished(&train(folder.path(), &fake.url(), "run", &["--restart"]));
    assert_eq!(fake.counts().calls, 2 * calls);
    assert_eq!(weights(folder.path(), "run"), trained);
}

/// What [`moody`] does once it is well.
const WELL: isize = -1;

/// An endpoint that refuses so many requests for what they are, then lets nobody in, and answers rightly from `WELL`
/// on.
fn moody(mood: &'static AtomicIsize) -> FakeEndpoint {
    FakeEndpoint::start_responding(move |asked: &Call| {
        let refused = mood.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| (left > 0).then(|| left - 1));
        let (status, body) = match refused {
            Ok(_) => (400, "not this".to_owned()),
            Err(0) => (401, "not you".to_owned()),
            Err(_) => (200, completion(&by_length(asked.words))),
        };
        let retry_after = None;
        Reply { status, retry_after, body }
    })
    .unwrap()
}

#[test]
fn training_resumes_after_an_outage_as_if_there_had_been_none() {
    let (fake, folder) = (FakeEndpoint::start(by_length, 0).unwrap(), folder_with_prompts());
    finished(&train(folder.path(), &fake.url(), "whole", &[]));
    let (url, calls) = (fake.url(), fake.counts().calls);
    let port = fake.port();
    drop(fake);
    let stopped = train(folder.path(), &url, "cut", &["role.judge.max_outage=0.5"]);
    assert_eq!(stopped.status.code(), Some(4), "{}", messages(&stopped));
    assert!(messages(&stopped).contains("out of reach for "), "{}", messages(&stopped));

    let fake = FakeEndpoint::start_at(port, by_length, 0).unwrap();
    finished(&train(folder.path(), &url, "cut", &[]));
    assert_eq!(weights(folder.path(), "cut"), weights(folder.path(), "whole"));
    assert_eq!(fake.counts().calls, calls);
}

#[test]
fn training_asks_again_for_verdicts_that_did_not_come() {
    static MOOD: AtomicIsize = AtomicIsize::new(WELL);
    let (fake, folder) = (moody(&MOOD), folder_with_prompts());
    finished(&train(folder.path(), &fake.url(), "whole", &[]));
    let calls = fake.counts().calls;
    MOOD.store(4, Ordering::SeqCst);
    let stopped = train(folder.path(), &fake.url(), "cut", &[]);
    assert_eq!(stopped.status.code(), Some(4), "{}", messages(&stopped));
    let calls_before = fake.counts().calls;
    MOOD.store(WELL, Ordering::SeqCst);
    finished(&train(folder.path(), &fake.url(), "cut", &["--retry-failed"]));
    assert_eq!(fake.counts().calls, calls_before + calls);
    assert_eq!(weights(folder.path(), "cut"), weights(folder.path(), "whole"));
}

fn evaluate(folder: &Path, url: &str, code: i32, more: &[&str]) -> Value {
    let model = fixture().join("model").display().to_string();
    let fixed = ["eval", "--quiet", "--model", &model, "--data", "prompts.jsonl"];
    let out = ["--out", "eval", "eval.max_new_tokens=8"];
    let output = scruple(folder, url, &[&fixed[..], &out, more].concat());
    assert_eq!(output.status.code(), Some(code), "{}", messages(&output));
    serde_json::from_slice(&fs_err::read(folder.join("eval/summary.json")).unwrap()).unwrap()
}

#[test]
fn an_evaluation_is_judged_by_the_models_that_its_settings_name() {
    let (fake, folder) = (FakeEndpoint::start(by_length, 0).unwrap(), folder_with_prompts());
    let summary = evaluate(folder.path(), &fake.url(), 0, &[]);
    assert!(summary["judge"].as_str().unwrap().starts_with("fake (safer "), "{summary}");
    assert_eq!(fake.counts().calls, 4);
}

#[test]
fn an_evaluation_asks_again_for_verdicts_that_did_not_come() {
    static MOOD: AtomicIsize = AtomicIsize::new(4);
    let (fake, folder) = (moody(&MOOD), folder_with_prompts());
    let unscored = || {
        let responses = lines(&folder.path().join("eval/responses.jsonl"));
        let unscored = responses.iter().filter(|line| line["judgement"]["unscored"].is_string());
        unscored.count()
    };
    evaluate(folder.path(), &fake.url(), 4, &[]);
    assert_eq!((unscored(), fake.counts().calls), (4, 4));
    MOOD.store(WELL, Ordering::SeqCst);
    evaluate(folder.path(), &fake.url(), 4, &[]);
    assert_eq!((unscored(), fake.counts().calls), (4, 4));
    evaluate(folder.path(), &fake.url(), 0, &["--retry-failed"]);
    assert_eq!((unscored(), fake.counts().calls), (0, 8));
}
