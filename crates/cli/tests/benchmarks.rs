//! Published benchmarks from the outside: which a folder holds, how complete, and on what terms.

use std::path::Path;

use assert_cmd::Command;
use serde_json::{Value, json};
use tempfile::TempDir;

fn scruple(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::cargo_bin("scruple").unwrap().current_dir(folder).args(arguments).output().unwrap();
    let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (output.status.code().unwrap(), stdout, stderr)
}

/// A folder above `XSTest` as its authors have it, and `FigStep` with ten rows of which so many have no image.
fn folder_with(n_missing: usize) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/benchmarks/xstest/xstest_prompts.csv");
    let [xstest, images] = ["xstest", "FigStep/images"].map(|name| folder.path().join(name));
    fs_err::create_dir_all(&xstest).unwrap();
    fs_err::create_dir_all(&images).unwrap();
    fs_err::copy(fixture, xstest.join("xstest_prompts.csv")).unwrap();
    let rows = (0..10).map(|task| format!("SafeBench,1,{task},Gardens,How to plant a tree\n"));
    let text = format!("dataset,category_id,task_id,category_name,question\n{}", rows.collect::<String>());
    fs_err::write(folder.path().join("FigStep/questions.csv"), text).unwrap();
    for task in n_missing..10 {
        fs_err::write(images.join(format!("query_SafeBench_1_{task}_6.png")), "an image").unwrap();
    }
    folder
}

fn listed(folder: &TempDir, suite: &str) -> Value {
    let (code, stdout, stderr) = scruple(folder.path(), &["benchmarks", "--data", ".", "--json"]);
    assert_eq!(code, 0, "{stderr}");
    let listed: Value = serde_json::from_str(&stdout).unwrap();
    listed["suites"].as_array().unwrap().iter().find(|listed| listed["suite"] == suite).unwrap().clone()
}

#[test]
fn a_folder_s_benchmarks_are_listed_with_what_is_missing() {
    for (n_missing, problem) in [(0, None), (1, None), (2, Some("2 of 10 items miss one"))] {
        let folder = folder_with(n_missing);
        let figstep = listed(&folder, "figstep");
        assert_eq!(figstep["found"]["layout"], "questions.csv");
        assert_eq!(figstep["found"]["items"], 10 - n_missing);
        assert_eq!(figstep["found"]["missing"], n_missing);
        assert_eq!(figstep["calls"]["policy"], 10 - n_missing);
        let said = figstep["found"]["problem"].as_str();
        assert_eq!(said.is_some(), problem.is_some(), "{figstep}");
        assert!(said.unwrap_or_default().contains(problem.unwrap_or_default()), "{figstep}");
        let files = walk(folder.path());
        assert_eq!(files, 2 + 10 - n_missing, "something was written");
    }
}

/// How many files are in a folder.
fn walk(folder: &Path) -> usize {
    let entries = fs_err::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { walk(&path) } else { 1 }).sum()
}

#[test]
fn judges_are_counted_by_their_questions() {
    let folder = folder_with(0);
    let (_, stdout, _) = scruple(folder.path(), &["benchmarks", "--json"]);
    let listed: Value = serde_json::from_str(&stdout).unwrap();
    for suite in listed["suites"].as_array().unwrap() {
        let [policy, judge] = ["policy", "judge"].map(|role| suite["calls"][role].as_u64().unwrap());
        assert_eq!(judge, policy * suite["questions"].as_array().unwrap().len() as u64, "{suite}");
        assert!(suite["found"].is_null(), "{suite}");
    }
    let (code, stdout, _) = scruple(folder.path(), &["benchmarks", "--data", "."]);
    assert_eq!(code, 0);
    for expected in ["xstest", "not found: ", "in part", "./FigStep"] {
        assert!(stdout.contains(expected), "{expected} is not in\n{stdout}");
    }
    assert_eq!(scruple(folder.path(), &["benchmarks", "--data", "nowhere"]).0, 3);
}

/// Runs a command on a file of one item, in a folder with a benchmark that forbids training; what it says.
fn trained_on(command: &[&str], file: &str, id: &str, image: &str) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let picture = fs_err::read(home.join("../../fixtures/parity/qwen2_5_vl/images/a.png")).unwrap();
    for (name, bytes) in [
        ("MOSSBench/images_information/information.json", &b"{}"[..]),
        ("MOSSBench/images/1.png", &picture),
        ("own/1.png", &picture),
    ] {
        let path = folder.path().join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, bytes).unwrap();
    }
    let content = json!([{ "type": "image", "image": folder.path().join(image) }, { "type": "text", "text": "Hm?" }]);
    let messages = json!([{ "role": "user", "content": content }, { "role": "assistant", "content": "A rose." }]);
    let line = format!("{}\n", json!({ "id": id, "truth": {}, "messages": messages, "text": "How is a rose cut?" }));
    fs_err::write(folder.path().join(file), line).unwrap();
    let model = format!("model.path={}", home.join("assets/base").display());
    let words = command.iter().map(|word| word.replace("FILE", file).replace("MODEL", &model)).collect::<Vec<_>>();
    let (code, _, stderr) = scruple(folder.path(), &words.iter().map(String::as_str).collect::<Vec<_>>());
    (code, stderr)
}

#[test]
fn nothing_trains_on_a_benchmark_that_forbids_it() {
    let sft = ["sft", "MODEL", "data.train=FILE", "--out", "run", "--dry-run"];
    let rl = ["rl", "MODEL", "data.prompts=FILE", "--out", "run"];
    let curate = ["curate", "MODEL", "data.prompts=FILE", "--out", "run"];
    let forge = ["forge", "data.seeds=FILE", "--out", "run", "role.writer.url=mini", "role.painter.url=mini"];
    let forge = [&forge[..], &["role.judge.url=mini", "data.taxonomy=mini"]].concat();
    let convert = ["data", "convert", "FILE", "--to", "openai", "--out", "o.jsonl"];
    for command in [&sft[..], &rl, &curate, &forge, &convert] {
        for (file, id, image) in [
            ("MOSSBench/images/train.jsonl", "1", "own/1.png"),
            ("train.jsonl", "mossbench-1", "own/1.png"),
            ("train.jsonl", "1", "MOSSBench/images/1.png"),
        ] {
            let lies_there = file.starts_with("MOSSBench");
            if !lies_there && ["forge", "data"].contains(&command[0]) {
                continue;
            }
            let (code, stderr) = trained_on(command, file, id, image);
            let expected = "MOSSBench must not be trained on: its license, CC BY-SA 4.0, test only, forbids it";
            assert!(code == 3 && stderr.contains(expected), "{command:?} {file} {id} {image}: {code} {stderr}");
        }
    }
    let (code, stderr) = trained_on(&sft, "train.jsonl", "1", "own/1.png");
    assert_eq!(code, 0, "{stderr}");
}

/// A log of an evaluation on a benchmark and of one on items, by the demo's base model.
#[test]
fn logs_for_inspect_ai_are_written_beside_results() {
    let folder = folder_with(0);
    let base = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/base");
    let item = r#"{"id": "a", "messages": [{"role": "user", "content": "What is this?"}], "kind": "benign"}"#;
    fs_err::write(folder.path().join("items.jsonl"), item).unwrap();
    for more in [["--data", "xstest", "--suite=xstest"], ["--data", "items.jsonl", "--name=items"]] {
        let eval = ["eval", "--model", base, "--inspect-log", "logs", "eval.max_new_tokens=4"];
        let (code, _, stderr) = scruple(folder.path(), &[&eval[..], &more[..]].concat());
        assert!(stderr.contains("eval: a log for inspect_ai is logs/"), "{code} {stderr}");
    }
    assert_eq!(walk(&folder.path().join("logs")), 2);
}

#[test]
fn members_of_a_group_that_are_not_there_are_left_out_and_told() {
    let folder = folder_with(0);
    // A dry run calls nobody.
    let endpoint = |role: &str| [format!("role.{role}.url=http://localhost:9/v1"), format!("role.{role}.model=m")];
    let roles = [endpoint("policy"), endpoint("judge")].concat();
    let eval = |list: &str| {
        let arguments = ["eval", "--suite", list, "--data", ".", "--out", "out", "--dry-run"];
        scruple(folder.path(), &[&arguments[..], &roles.iter().map(String::as_str).collect::<Vec<_>>()].concat())
    };
    let (code, stdout, stderr) = eval("mirage");
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("figstep") && !stdout.contains("siuo"), "{stdout}");
    assert!(stderr.contains("left out, since they are not in .: mis, "), "{stderr}");
    let (code, _, stderr) = eval("general");
    assert!(code == 3 && stderr.contains("expected one of the benchmarks of `general` in the folder"), "{stderr}");
    let (code, _, stderr) = eval("figstep,siuo");
    assert!(code == 3 && stderr.contains("SIUO is not there"), "{stderr}");
}
