//! What an evaluation says that it will take, beside what it then takes of a served model, which counts its own tokens.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{Server, images};

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// A model with random weights, which says something to everything.
fn random() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parity/qwen2_5_vl/model")
}

/// `XSTest`, `FigStep` and `MOSSBench` with made-up rows.
fn folder_with_benchmarks() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    };
    let plants = ["rose", "sunflower", "very old apple tree", "hedge of box along a path", "fern"];
    let prompts = plants
        .iter()
        .enumerate()
        .map(|(id, plant)| format!("{id},How do I water a {plant} in the garden?,homonyms,safe,water,\n"));
    write("xstest/xstest_prompts.csv", format!("id,prompt,type,label,focus,note\n{}", prompts.collect::<String>()));
    let rows = (1..=NAMES.len()).map(|task| format!("SafeBench,1,{task},Gardens,How is it planted?\n"));
    let header = "dataset,category_id,task_id,category_name,question\n";
    write("figstep/questions.csv", format!("{header}{}", rows.collect::<String>()));
    let mut entries = serde_json::Map::new();
    for (index, name) in NAMES.iter().enumerate() {
        let number = index + 1;
        let bytes = fs_err::read(images().join(format!("{name}.png"))).unwrap();
        for path in [format!("figstep/images/query_SafeBench_1_{number}_6.png"), format!("mossbench/{name}.png")] {
            fs_err::create_dir_all(folder.path().join(&path).parent().unwrap()).unwrap();
            fs_err::write(folder.path().join(path), &bytes).unwrap();
        }
        let question =
            format!("What grows beside the {} in this picture, and who takes care of it?", plants[index % 5]);
        let entry = json!({ "image": format!("{name}.png"), "question": question, "metadata": { "over": "type 1" } });
        entries.insert(number.to_string(), entry);
    }
    write("mossbench/information.json", Value::Object(entries).to_string());
    folder
}

/// Runs an evaluation; the last line of the table that it prints for a role, as numbers without their `~`.
fn figures(folder: &Path, role: &str, arguments: &[String]) -> Vec<f64> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scruple"));
    command.current_dir(folder).args(["eval", "--quiet", "--data", ".", "--out", "out", "eval.max_new_tokens=6"]);
    let output = command.args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    let line = printed.lines().rfind(|line| line.split_whitespace().any(|word| word == role));
    let words = line.unwrap_or_else(|| panic!("no line of {role} in\n{printed}")).split_whitespace();
    words.filter_map(|word| word.trim_start_matches('~').parse().ok()).collect()
}

#[track_caller]
fn assert_close(what: &str, expected: f64, got: f64) {
    assert!((expected - got).abs() <= 0.1 * got, "{what}: {expected} was said, {got} it was");
}

#[test]
fn calls_are_exact_and_tokens_close_behind_an_endpoint() {
    let server = Server::of(&random(), &[]);
    let folder = folder_with_benchmarks();
    let of = |suites: &str, more: &[&str]| {
        let role = [format!("role.policy.url={}/v1", server.url), "role.policy.model=mini".to_owned()];
        let prices = ["role.policy.price_input=1000".to_owned(), "role.policy.price_output=2000".to_owned()];
        let words = [&["--suite", suites], more].concat();
        [role, prices].concat().into_iter().chain(words.into_iter().map(str::to_owned)).collect::<Vec<_>>()
    };
    let said = figures(folder.path(), "policy", &of("xstest,figstep", &["--dry-run"]));
    assert!(!folder.path().join("out").exists(), "something was written");
    assert_eq!(said[..3], [11.0, 0.0, 6.0], "calls, from the journal, images");
    let [calls, failed, _, prompt, completion, _] = figures(folder.path(), "policy", &of("xstest,figstep", &[]))[..]
    else {
        panic!("other columns")
    };
    assert_eq!((calls, failed), (11.0, 0.0));

    let said = figures(folder.path(), "policy", &of("xstest,figstep,mossbench", &["--dry-run"]));
    assert_eq!(said[..3], [6.0, 11.0, 6.0]);
    let used = figures(folder.path(), "policy", &of("xstest,figstep,mossbench", &[]));
    assert_eq!(used[0], 17.0);
    assert_close("prompt tokens", said[3], used[3] - prompt);
    assert_close("completion tokens", said[4], used[4] - completion);
}

#[test]
fn a_model_on_this_machine_counts_its_own_prompts() {
    let folder = folder_with_benchmarks();
    let of = |more: &[&str]| {
        let words = ["--suite", "figstep,mossbench", "--model"].into_iter().map(str::to_owned);
        words.chain([random().display().to_string()]).chain(more.iter().map(|word| (*word).to_owned())).collect()
    };
    let arguments: Vec<String> = of(&["--dry-run"]);
    let said = figures(folder.path(), "model", &arguments);
    assert_eq!(said[..3], [12.0, 0.0, 12.0]);
    let arguments: Vec<String> = of(&[]);
    figures(folder.path(), "mossbench", &arguments);
    let journal = rusqlite::Connection::open(folder.path().join("out/journal.sqlite")).unwrap();
    let tokens: f64 = journal.query_row("SELECT total(prompt_tokens) FROM calls", [], |row| row.get(0)).unwrap();
    assert_eq!(said[3], tokens);
}
