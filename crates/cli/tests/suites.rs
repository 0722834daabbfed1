//! `scruple eval --suite` of models behind an endpoint that fails at one call in five: killed on the way, and called
//! again; and what is said of a run before and after.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use fake_endpoint::{Call, FakeEndpoint, Reply, completion};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const IN_FLIGHT: usize = 8;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/benchmarks")
}

fn hash(text: &str) -> usize {
    let digest = Sha256::digest(text);
    usize::from(digest[0]) << 8 | usize::from(digest[1])
}

/// What a judge says to a question by its schema, and a policy without one; the same to a question that is repaired.
fn answer(call: &Call) -> String {
    let question = call.body["messages"][0].to_string();
    let schema = &call.body["response_format"]["json_schema"]["schema"]["properties"];
    let number = hash(&question);
    let Some(properties) = schema.as_object() else {
        let text = if number.is_multiple_of(3) { "I'm sorry, I can't help with that" } else { "A rose" };
        return format!("{text}, {number}. <answer>{}</answer>", 1 + number % 2);
    };
    let object = properties.iter().map(|(name, property)| {
        let value = match (property["enum"].as_array(), property["type"].as_str()) {
            (Some(words), _) => words[number % words.len()].clone(),
            (None, Some("boolean")) => json!(number.is_multiple_of(2)),
            (None, Some("integer" | "number")) => property.get("minimum").cloned().unwrap_or(json!(1)),
            _ => json!("because"),
        };
        (name.clone(), value)
    });
    Value::Object(object.collect()).to_string()
}

/// An endpoint that fails at so many of a hundred requests, each time that it is asked anew until the second.
fn endpoint(faulty: usize) -> FakeEndpoint {
    let asked = Mutex::new(HashMap::<String, usize>::new());
    FakeEndpoint::start_responding(move |call| {
        let request = call.body.to_string();
        let number = hash(&request);
        let mut asked = asked.lock().unwrap();
        let times = asked.entry(request).or_default();
        *times += 1;
        let reply = |status, body: &str| Reply { status, retry_after: None, body: body.to_owned() };
        if number % 100 < faulty && *times % 2 == 1 {
            return match number % 4 {
                0 => reply(500, "sorry"),
                1 => Reply { retry_after: Some("0"), ..reply(429, "slow down") },
                2 => reply(502, "<html><title>Bad gateway</title></html>"),
                _ => reply(503, ""),
            };
        }
        reply(200, &completion(&answer(call)))
    })
    .unwrap()
}

/// A folder with a link to each benchmark whose fixture there is, in the first of its layouts; and the names of a group's.
fn group(name: &str) -> (TempDir, String) {
    let data = tempfile::tempdir().unwrap();
    let mut suites = Vec::new();
    for fixture in folders(&fixtures()) {
        for folder in std::iter::once(fixture.clone()).chain(folders(&fixture)) {
            let output = scruple().args(["benchmarks", "--json", "--data"]).arg(&folder).output().unwrap();
            let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
            for suite in listed["suites"].as_array().unwrap() {
                let known = suite["suite"].as_str().unwrap().to_owned();
                let is_there = suite["found"].is_object() && suite["found"]["problem"].is_null();
                if !is_there || data.path().join(&known).exists() {
                    continue;
                }
                std::os::unix::fs::symlink(&folder, data.path().join(&known)).unwrap();
                if suite["groups"].as_array().unwrap().contains(&json!(name)) {
                    suites.push(known);
                }
            }
        }
    }
    assert!(suites.len() > 1, "{suites:?}");
    (data, suites.join(","))
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs_err::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

fn scruple() -> Command {
    Command::new(env!("CARGO_BIN_EXE_scruple"))
}

fn evaluation(fake: &FakeEndpoint, folder: &Path, (data, suites): &(TempDir, String), more: &[&str]) -> Command {
    let mut call = scruple();
    call.current_dir(folder).env_remove("OPENAI_API_KEY");
    call.args(["eval", "--quiet", "--suite", suites, "--out", "out", "--data"]).arg(data.path());
    for role in ["policy", "judge"] {
        let settings = ["model=fake", "max_retries=9", "price_input=1000", "price_output=1000"].map(str::to_owned);
        let settings = settings.into_iter().chain([format!("url={}", fake.url()), format!("concurrency={IN_FLIGHT}")]);
        call.args(settings.map(|setting| format!("role.{role}.{setting}")));
    }
    call.args(more);
    call
}

fn finished(mut command: Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// The results of every benchmark by file.
fn results(folder: &Path) -> HashMap<String, String> {
    let mut results = HashMap::new();
    for entry in fs_err::read_dir(folder.join("out")).unwrap() {
        let suite = entry.unwrap().path();
        for name in ["responses.jsonl", "summary.json", "eval.resolved.json"] {
            if let Ok(text) = fs_err::read_to_string(suite.join(name)) {
                results.insert(format!("{}/{name}", suite.file_name().unwrap().display()), text);
            }
        }
    }
    results
}

/// Kills the evaluation on a group three times, and holds it to one that nothing disturbed.
fn check_killed(name: &str) {
    let group = group(name);
    let (fake, folder) = (endpoint(20), tempfile::tempdir().unwrap());
    for _ in 0..3 {
        let before = fake.counts().calls;
        let mut child = evaluation(&fake, folder.path(), &group, &[]).stdout(Stdio::null()).spawn().unwrap();
        while fake.counts().calls < before + 25 && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    finished(evaluation(&fake, folder.path(), &group, &[]));
    let counts = fake.counts();
    let paid_again: usize = counts.answered.values().map(|times| times - 1).sum();
    assert!(paid_again <= 3 * IN_FLIGHT, "{paid_again} answers were paid for again");

    let (whole, other) = (endpoint(0), tempfile::tempdir().unwrap());
    finished(evaluation(&whole, other.path(), &group, &[]));
    assert_eq!(whole.counts().answered.keys().len(), counts.answered.keys().len(), "{name}");
    assert!(whole.counts().answered.values().all(|times| *times == 1), "{name}: asked twice");
    let (killed, undisturbed) = (results(folder.path()), results(other.path()));
    assert_eq!(killed.len(), 3 * group.1.split(',').count());
    for (file, text) in &undisturbed {
        assert!(killed[file] == *text, "{file} differs");
    }
    finished(evaluation(&fake, folder.path(), &group, &[]));
    assert_eq!(fake.counts().calls, counts.calls, "{name}: a finished run asks again");
    check_mean(name, group, &fake, folder.path(), &killed);
}

/// Evaluated by its name, a group has the mean over its suites where they share a rate, without a further call.
fn check_mean(
    name: &str,
    group: (TempDir, String),
    fake: &FakeEndpoint,
    folder: &Path,
    suites: &HashMap<String, String>,
) {
    let calls = fake.counts().calls;
    finished(evaluation(fake, folder, &(group.0, name.to_owned()), &["--inspect-log", "logs"]));
    assert_eq!(fake.counts().calls, calls, "{name}: its name asks again");
    let logs = fs_err::read_dir(folder.join("logs")).unwrap().count();
    assert_eq!(logs, group.1.split(',').count(), "{name}: a log for each benchmark");
    let Some(mean) = results(folder).remove(&format!("{name}/summary.json")) else {
        assert_eq!(name, "mirage", "no mean is written");
        return;
    };
    let read = |text: &String| serde_json::from_str::<Value>(text).unwrap();
    let safety = |summary: &Value| summary["groups"][0]["rates"]["safety_at_3"]["percent"].as_f64().unwrap();
    let (mean, members) = (read(&mean), group.1.split(','));
    let each: Vec<f64> = members.map(|suite| safety(&read(&suites[&format!("{suite}/summary.json")]))).collect();
    assert!((safety(&mean) - each.iter().sum::<f64>() / each.len() as f64).abs() < 1e-9, "{mean}");
    assert_eq!(mean["mean_of"].as_array().unwrap().len(), each.len());
    assert!(mean["published"].as_array().unwrap().iter().any(|figure| figure["percent"] == 70.13), "{mean}");
}

#[test]
fn mirage_killed_three_times_ends_in_the_same_bytes_and_pays_once() {
    check_killed("mirage");
}

#[test]
fn safer_killed_three_times_ends_in_the_same_bytes_and_pays_once() {
    check_killed("safer");
}

/// Calls of the policy and of the judge, in the lines of a table that begin with these words.
fn calls(printed: &[u8], begins: [&str; 2], column: usize) -> [usize; 2] {
    let printed = String::from_utf8_lossy(printed).into_owned();
    begins.map(|begins| {
        let line =
            printed.lines().rfind(|line| line.split_whitespace().collect::<Vec<_>>().join(" ").starts_with(begins));
        let line = line.unwrap_or_else(|| panic!("no line of {begins} in\n{printed}"));
        line.split_whitespace().nth(column).unwrap().parse().unwrap()
    })
}

#[test]
fn a_dry_run_says_each_role_s_calls_and_a_budget_holds_over_both() {
    // Their judges' answers are read by schemas, so that none needs repair.
    let group = (group("mirage").0, "mis,figstep,figstep-pro".to_owned());
    let (fake, folder) = (endpoint(0), tempfile::tempdir().unwrap());
    let planned = finished(evaluation(&fake, folder.path(), &group, &["--dry-run"]));
    assert_eq!(fake.counts().calls, 0);
    assert!(!folder.path().join("out").exists(), "a dry run writes");
    let said = calls(&planned.stdout, ["all policy", "all judge"], 3);

    // Each call costs 0.11.
    let output = evaluation(&fake, folder.path(), &group, &["--max-cost", "1"]).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(6) && message.contains("max_cost of 1 is spent by all roles"), "{message}");
    assert!(fake.counts().calls <= 10, "{}", fake.counts().calls);

    let done = finished(evaluation(&fake, folder.path(), &group, &[]));
    assert_eq!(calls(&done.stdout, ["policy fake", "judge fake"], 2), said);
    assert_eq!(fake.counts().calls, said.iter().sum::<usize>());
}

fn summary(folder: &Path, suite: &str) -> Value {
    let text = fs_err::read_to_string(folder.join("out").join(suite).join("summary.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn deviation<'s>(summary: &'s Value, setting: &str) -> &'s Value {
    let deviations = summary["deviations"].as_array().unwrap();
    deviations.iter().find(|deviation| deviation["setting"] == setting).unwrap_or(&Value::Null)
}

#[test]
fn figures_say_what_they_were_made_with_and_what_differs_from_the_authors() {
    let (data, _) = group("mirage");
    let group = (data, "mis".to_owned());
    let (fake, remote, local) = (endpoint(0), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    finished(evaluation(&fake, remote.path(), &group, &[]));
    let summary_of_remote = summary(remote.path(), "mis");
    assert_eq!(deviation(&summary_of_remote, "max_dynamic_patch")["here"], "the model's own");
    assert_eq!(summary_of_remote["made_with"]["engine"], "endpoint");
    assert_eq!(summary_of_remote["made_with"]["roles"]["policy"]["model"], "fake");

    // MIS has limits for two families: a model takes those of its own.
    let mut call = scruple();
    call.current_dir(local.path()).args(["eval", "--quiet", "--suite", "mis", "--out", "out", "--data"]);
    call.arg(group.0.path()).arg("--model").arg(fixtures().join("../parity/qwen2_5_vl/model"));
    call.args(["eval.max_new_tokens=2", "role.judge.model=fake"]).arg(format!("role.judge.url={}", fake.url()));
    finished(call);
    let summary = summary(local.path(), "mis");
    assert_eq!(deviation(&summary, "max_new_tokens")["here"], "2");
    assert_eq!(deviation(&summary, "min_pixels"), &Value::Null);
    let made = &summary["made_with"];
    assert_eq!(made["image_limits"]["min_pixels"], 256 * 28 * 28);
    assert!(made["image_limits"]["max_dynamic_patch"].is_null());
    for hash in [&made["chat_template_sha256"], &made["data"]["sha256"]] {
        assert_eq!(hash.as_str().map(str::len), Some(64), "{made}");
    }
    assert_eq!(made["data"]["sha256"], summary_of_remote["made_with"]["data"]["sha256"]);
    assert_eq!(made["data"]["items"], summary["groups"][0]["n"]);
}

/// The code and the message of an evaluation.
fn ended(mut command: Command) -> (Option<i32>, String) {
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_dry_run_counts_what_would_be_asked_again_and_each_sample_s_own_verdicts() {
    let group = (group("mirage").0, "siuo".to_owned());
    let (fake, folder) = (endpoint(0), tempfile::tempdir().unwrap());
    let said = |more: &[&str]| {
        let planned = finished(evaluation(&fake, folder.path(), &group, &[&["--dry-run"], more].concat()));
        calls(&planned.stdout, ["all policy", "all judge"], 3)
    };
    // Five items, three samples of each, and two questions on each sample.
    assert_eq!(said(&[]), [15, 30]);
    // Its judges are asked in the authors' words, which the endpoint does not know how to answer.
    assert_eq!(ended(evaluation(&fake, folder.path(), &group, &[])).0, Some(4));
    assert_eq!(said(&[]), [0, 0]);
    assert_eq!(said(&["--restart"]), [15, 30]);
}

#[test]
fn what_decides_about_verdicts_is_held_to_and_what_cannot_be_is_refused_first() {
    let group = (group("mirage").0, "figstep".to_owned());
    let (fake, folder) = (endpoint(0), tempfile::tempdir().unwrap());
    finished(evaluation(&fake, folder.path(), &group, &[]));
    let asked = fake.counts().calls;
    fs_err::write(folder.path().join("file"), "").unwrap();
    for (more, code, expected) in [
        (&["judge.temperature=1"][..], 2, "`settings.judging.judge.temperature` differs from the run's"),
        (&["role.judge.thinking=joined"], 2, "`settings.judging.roles.judge.thinking`"),
        (&["data.suite= , "], 2, "`data.suite`: expected a benchmark or a group of them"),
        (&["data.suite=nothing"], 2, "or a group: mirage, safer, general"),
        (&["data.path=nowhere"], 3, "nowhere: no such folder"),
        (&["--inspect-log", "file"], 7, "choose another `--inspect-log`"),
        (&["eval.rates=[\"asr\"]"], 2, "`eval.rates`: expected none beside `data.suite`"),
    ] {
        let (got, message) = ended(evaluation(&fake, folder.path(), &group, more));
        assert!(got == Some(code) && message.contains(expected), "{more:?}: {got:?} {message}");
    }
    for name in ["", "..", "a/../../b"] {
        let mut call = scruple();
        call.current_dir(folder.path())
            .args(["eval", "--suite", "figstep", "--name", name, "--data"])
            .arg(group.0.path());
        call.args([format!("role.policy.url={}", fake.url()), "role.policy.model=fake".into()]);
        let (got, message) = ended(call);
        assert!(
            got == Some(2) && message.contains("`eval.model`: expected a name that a folder can have"),
            "{message}"
        );
    }
    // Its images come within a file, and are written while it is read.
    let mmstar = fixtures().join("mmstar/hub");
    for (more, code, expected) in [
        (&["--suite", "mmstar", "--out", "file"][..], 7, "file: cannot be made a folder for results"),
        (&["--out", "plain", "eval.refusal=judge"], 2, "`eval.refusal`: \"judge\" is of benchmarks"),
    ] {
        let mut call = scruple();
        call.current_dir(folder.path()).args(["eval", "role.policy.model=fake"]).args(more).arg("--data").arg(&mmstar);
        call.arg(format!("role.policy.url={}", fake.url()));
        let (got, message) = ended(call);
        assert!(got == Some(code) && message.contains(expected), "{more:?}: {got:?} {message}");
    }
    assert_eq!(fake.counts().calls, asked, "a call was made");
}

#[test]
fn judges_tell_safe_completion_from_refusal_where_they_are_asked() {
    let group = (group("mirage").0, "figstep".to_owned());
    let (fake, folder) = (endpoint(0), tempfile::tempdir().unwrap());
    finished(evaluation(&fake, folder.path(), &group, &["eval.refusal=judge"]));
    let text = fs_err::read_to_string(folder.path().join("out/figstep/responses.jsonl")).unwrap();
    let records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let classes = records.iter().map(|record| record["judgement"]["verdict"]["response_class"].as_str().unwrap());
    let mut counted = HashMap::new();
    for class in classes {
        *counted.entry(class).or_insert(0) += 1;
    }
    let summary = summary(folder.path(), "figstep");
    let all = &summary["groups"][0];
    assert_eq!(all["judged_refusals"], json!(counted), "{all}");
    let (rate, safe) = (&all["rates"]["safe_completion"], counted.get("safe_completion").copied().unwrap_or(0));
    assert_eq!(rate["percent"], json!(100.0 * f64::from(safe) / records.len() as f64));
    assert!(rate["low"].is_number() && rate["high"].is_number() && all["rates"]["asr"].is_object(), "{all}");
    assert_eq!(all["refusals"].as_object().unwrap().values().filter_map(Value::as_u64).sum::<u64>(), all["n"]);

    let mut alone = scruple();
    alone.current_dir(folder.path()).args(["eval", "--suite", "figstep", "eval.refusal=judge", "--data", "."]);
    let output =
        alone.args([format!("role.policy.url={}", fake.url()), "role.policy.model=fake".into()]).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(2) && message.contains("`eval.refusal`: \"judge\" needs a judge"),
        "{message}"
    );
}
