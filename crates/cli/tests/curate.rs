//! `scruple curate` from the outside: policies and judges behind endpoints that spoil one call in five, kills, shards,
//! evaluation sets.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use fake_endpoint::{Failure, FakeEndpoint};
use serde_json::{Value, json};
use tempfile::TempDir;

const PROMPTS: usize = 40;

/// What a curation leaves behind that does not depend on when it was stopped.
const RESULTS: [&str; 6] =
    ["samples.jsonl", "sampling.json", "curation.jsonl", "curated.jsonl", "summary.json", "qi_box.svg"];

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parity/qwen2_5_vl")
}

/// The number after `number` in some words.
fn number(words: &str) -> usize {
    let mut words = words.split_whitespace().skip_while(|word| *word != "number");
    words.nth(1).and_then(|word| word.parse().ok()).unwrap_or(0)
}

fn answer_once(words: &str) -> String {
    format!("I say {} here.", number(words) % 11)
}

fn answer_otherwise(words: &str) -> String {
    format!("I say {} here.", number(words) * 7 % 11)
}

/// A verdict by the number that the response says.
fn judge(words: &str) -> String {
    let response = words.split("<<<RESPONSE\n").nth(1).unwrap_or_default();
    let points: usize = response.split_whitespace().nth(2).and_then(|word| word.parse().ok()).unwrap_or(0);
    let answer = json!({ "safety": points, "helpfulness": points, "grounding": points });
    json!({
        "perception_level": "L1", "think": null, "answer": answer, "hallucinations": [], "contradictions": [],
        "decision": "comply", "safe": points > 5,
    })
    .to_string()
}

/// Two policies and a judge.
struct Endpoints {
    policies: [FakeEndpoint; 2],
    judge: FakeEndpoint,
}

impl Endpoints {
    fn start(faulty: u64) -> Self {
        Self {
            policies: [
                FakeEndpoint::start(answer_once, faulty).unwrap(),
                FakeEndpoint::start(answer_otherwise, faulty).unwrap(),
            ],
            judge: FakeEndpoint::start(judge, faulty).unwrap(),
        }
    }

    fn calls(&self) -> usize {
        self.all().map(|fake| fake.counts().calls).sum()
    }

    fn all(&self) -> impl Iterator<Item = &FakeEndpoint> {
        self.policies.iter().chain([&self.judge])
    }

    fn curate(&self, folder: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_scruple"));
        command.current_dir(folder).env_remove("OPENAI_API_KEY").args([
            "curate",
            "--quiet",
            "data.prompts=pool.jsonl",
            "curate.num_samples=2",
            "curate.num_kept=10",
            "curate.batch_size=8",
            "reward.think_share=0",
        ]);
        for (role, fake) in ["policy", "policy-2", "judge"].iter().zip(self.all()) {
            command.args([format!("role.{role}.url={}", fake.url()), format!("role.{role}.model=fake-{role}")]);
            command.args([format!("role.{role}.timeout=1"), format!("role.{role}.max_retries=9")]);
        }
        command.args(arguments);
        command
    }
}

fn folder_with_pool() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let lines = (0..PROMPTS).map(|at| {
        let messages = json!([{ "role": "user", "content": format!("What of number {at} ?") }]);
        let kind = if at.is_multiple_of(4) { "benign" } else { "hazardous" };
        format!("{}\n", json!({ "id": format!("p{at}"), "messages": messages, "kind": kind }))
    });
    fs_err::write(folder.path().join("pool.jsonl"), lines.collect::<String>()).unwrap();
    folder
}

fn finished(mut command: Command) -> Output {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", messages(&output));
    output
}

fn messages(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn results(folder: &Path) -> Vec<(&'static str, String)> {
    RESULTS.map(|name| (name, fs_err::read_to_string(folder.join(name)).unwrap())).into()
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs_err::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn policies_and_a_judge_that_fail_often_curate_and_are_paid_once() {
    let (endpoints, folder) = (Endpoints::start(20), folder_with_pool());
    let output = finished(endpoints.curate(folder.path(), &["--out", "run"]));
    let costs = String::from_utf8_lossy(&output.stdout).into_owned();
    let costs_of = |role: &str| costs.lines().any(|line| line.starts_with(role));
    assert!(costs_of("policy-2  fake-policy-2") && costs_of("judge "), "{costs}");
    let samples = lines(&folder.path().join("run/samples.jsonl"));
    assert_eq!(samples.len(), PROMPTS * 4);
    for (at, sample) in samples.iter().enumerate() {
        assert_eq!(sample["number"], at % 4);
        assert_eq!(sample["policy"], if at % 4 < 2 { "policy" } else { "policy-2" });
        let judgement = &sample["judgement"];
        assert!(judgement["verdict"].is_object() != judgement["unscored"].is_string(), "{sample}");
        let Some(said) = sample["response"].as_str() else {
            assert!(judgement["unscored"].as_str().unwrap().starts_with("no answer: "), "{sample}");
            continue;
        };
        if let (true, Some(safety)) = (said.starts_with("I say"), judgement["verdict"]["answer"]["safety"].as_u64()) {
            assert_eq!(said, format!("I say {safety} here."));
        }
    }
    for fake in endpoints.all() {
        assert!(fake.counts().answered.values().all(|&times| times == 1), "paid twice");
    }
    let summary = &lines_of_summary(folder.path(), "run");
    let unscored = samples.iter().filter(|sample| sample["judgement"]["unscored"].is_string());
    assert_eq!(summary["n_unscored"], unscored.count());
    assert_eq!(summary["n_kept"], 10);
    assert_eq!(summary["policies"]["policy-2"]["n_samples"], PROMPTS * 2);

    // Again: no call is made, and nothing changes.
    let (before, calls) = (results(&folder.path().join("run")), endpoints.calls());
    finished(endpoints.curate(folder.path(), &["--out", "run"]));
    assert_eq!(results(&folder.path().join("run")), before);
    assert_eq!(endpoints.calls(), calls);
}

fn lines_of_summary(folder: &Path, run: &str) -> Value {
    serde_json::from_slice(&fs_err::read(folder.join(run).join("summary.json")).unwrap()).unwrap()
}

#[test]
fn killed_again_and_again_it_ends_in_the_same_bytes() {
    let (endpoints, folder) = (Endpoints::start(20), folder_with_pool());
    let mut calls_before = 0;
    for _ in 0..5 {
        let arguments = ["--out", "run", "role.judge.concurrency=4"];
        let mut child = endpoints.curate(folder.path(), &arguments).stdout(Stdio::null()).spawn().unwrap();
        // Until it has got somewhere: so many calls more than at the last kill, or its end.
        while endpoints.calls() < calls_before + 50 && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        calls_before = endpoints.calls();
    }
    finished(endpoints.curate(folder.path(), &["--out", "run"]));

    // An uninterrupted run with the same answers.
    fs_err::create_dir(folder.path().join("uninterrupted")).unwrap();
    fs_err::copy(folder.path().join("run/journal.sqlite"), folder.path().join("uninterrupted/journal.sqlite")).unwrap();
    let calls = endpoints.calls();
    finished(endpoints.curate(folder.path(), &["--out", "uninterrupted"]));
    assert_eq!(endpoints.calls(), calls);
    assert_eq!(results(&folder.path().join("run")), results(&folder.path().join("uninterrupted")));
}

#[test]
fn shards_merge_to_the_bytes_of_one_run() {
    let (endpoints, folder) = (Endpoints::start(0), folder_with_pool());
    finished(endpoints.curate(folder.path(), &["--out", "whole"]));
    for (shard, out) in [("1/3", "one"), ("2/3", "two"), ("3/3", "three")] {
        let output = finished(endpoints.curate(folder.path(), &["--out", out, "--shard", shard]));
        assert!(messages(&output).contains(&format!("curate: shard {shard}: ")), "{}", messages(&output));
        assert!(!folder.path().join(out).join("curated.jsonl").exists());
    }
    let missing = endpoints.curate(folder.path(), &["--out", "merged", "--merge", "one", "--merge", "three"]).output();
    let missing = missing.unwrap();
    assert_eq!(missing.status.code(), Some(2), "{}", messages(&missing));
    assert!(messages(&missing).contains("shard 2/3 is missing"), "{}", messages(&missing));
    assert!(messages(&missing).contains("add `--merge DIR` with the folder of shard 2/3"), "{}", messages(&missing));

    let calls = endpoints.calls();
    let shards = ["--merge", "two", "--merge", "one", "--merge", "three"];
    finished(endpoints.curate(folder.path(), &[&["--out", "merged"], &shards[..]].concat()));
    assert_eq!(endpoints.calls(), calls, "merging makes no calls");
    assert_eq!(results(&folder.path().join("merged")), results(&folder.path().join("whole")));
    // Choosing anew works on the merged folder as on any.
    finished(endpoints.curate(folder.path(), &["--out", "merged", "curate.num_kept=5"]));
    assert_eq!(lines(&folder.path().join("merged/curated.jsonl")).len(), 5);
}

#[test]
fn prompts_of_evaluation_sets_are_dropped_before_anyone_is_asked() {
    fn with_image(id: &str, image: &str, text: &str) -> String {
        let image = fixture().join(format!("images/{image}.png"));
        let content = json!([{ "type": "image", "image": image }, { "type": "text", "text": text }]);
        format!("{}\n", json!({ "id": id, "messages": [{ "role": "user", "content": content }] }))
    }

    let (endpoints, folder) = (Endpoints::start(0), folder_with_pool());
    let pool = folder.path().join("pool.jsonl");
    let more = with_image("seen", "a", "What of number 99 ?");
    fs_err::write(&pool, fs_err::read_to_string(&pool).unwrap() + &more).unwrap();
    let evaluation = with_image("e1", "a", "Is anything in here dangerous to touch?")
        + &json!({ "id": "e2", "messages": [{ "role": "user", "content": "what of NUMBER 17" }] }).to_string();
    fs_err::write(folder.path().join("held_out.jsonl"), evaluation).unwrap();
    let arguments = ["--out", "run", "--against", "held-out=held_out.jsonl", "decontamination.text_similarity=1"];
    let output = finished(endpoints.curate(folder.path(), &arguments));
    assert!(
        messages(&output).contains("2 prompts are in an evaluation set, 0 cannot be compared"),
        "{}",
        messages(&output)
    );
    let dropped = lines(&folder.path().join("run/contaminated.jsonl"));
    assert_eq!(dropped.len(), 2);
    assert_eq!((&dropped[0]["id"], &dropped[0]["cause"]["item"]), (&json!("p17"), &json!("e2")));
    assert_eq!((&dropped[1]["id"], &dropped[1]["cause"]["by"]), (&json!("seen"), &json!("image")));
    let summary = lines_of_summary(folder.path(), "run");
    assert_eq!(summary["dropped"]["contaminated"], 2);
    assert_eq!(summary["contamination"]["by_set"]["held-out"], 2);
    // Every other prompt was answered, by each policy twice.
    let answered = lines(&folder.path().join("run/samples.jsonl"));
    assert_eq!(answered.len(), (PROMPTS - 1) * 4);
    assert!(answered.iter().all(|sample| sample["id"] != "p17" && sample["id"] != "seen"));

    let unknown = endpoints.curate(folder.path(), &["--out", "other", "--against", "mine=."]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(2), "{}", messages(&unknown));
    assert!(messages(&unknown).contains("unknown benchmark `mine`: expected "), "{}", messages(&unknown));
}

#[test]
fn what_had_no_answer_is_asked_again_and_only_that() {
    let (endpoints, folder) = (Endpoints::start(20), folder_with_pool());
    let no_patience = ["--out", "run", "role.policy.max_retries=0", "role.policy-2.max_retries=0"];
    finished(endpoints.curate(folder.path(), &no_patience));
    let unanswered = |name: &str| {
        let samples = lines(&folder.path().join(name).join("samples.jsonl"));
        samples.iter().filter(|sample| sample["response"].is_null()).count()
    };
    assert!(unanswered("run") > 0);
    // Some fail again, each for a reason of its own.
    for _ in 0..5 {
        finished(endpoints.curate(folder.path(), &["--out", "run", "--retry-failed"]));
    }
    assert_eq!(unanswered("run"), 0);
    assert_eq!(lines(&folder.path().join("run/samples.jsonl")).len(), PROMPTS * 4);
    // Paid for again is only what had failed though it was paid for.
    let failures = |fake: &FakeEndpoint| {
        let paid = [Failure::EmptyReply, Failure::BrokenOff];
        paid.iter().filter_map(|failure| fake.counts().failures.get(failure).copied()).sum::<usize>()
    };
    for fake in endpoints.all() {
        let paid_again: usize = fake.counts().answered.values().map(|times| times - 1).sum();
        assert!(paid_again <= failures(fake), "{paid_again}");
    }
}
