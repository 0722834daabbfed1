//! Responses that were made elsewhere, scored from the outside: no model is opened, and what is missing is unscored.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/benchmarks").join(name)
}

fn eval(out: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scruple"));
    command.args(["eval", "--quiet", "--out"]).arg(out).args(arguments).output().unwrap()
}

fn accuracy(out: &Path, suite: &str) -> Value {
    let summary = fs_err::read_to_string(out.join(suite).join("summary.json")).unwrap();
    let summary: Value = serde_json::from_str(&summary).unwrap();
    assert_eq!(summary["deviations"][0]["here"], "made elsewhere");
    assert!(summary["made_with"]["params"].is_null(), "{}", summary["made_with"]);
    summary["groups"][0]["rates"]["accuracy"].clone()
}

#[test]
fn a_file_of_results_is_scored_with_and_without_the_benchmarks_files() {
    let folder = tempfile::tempdir().unwrap();
    let (results, hub) = (fixture("mmstar/results.xlsx"), fixture("mmstar/hub"));
    let results = results.to_str().unwrap();
    let (alone, beside) = (folder.path().join("alone"), folder.path().join("beside"));
    let output = eval(&alone, &["--suite", "mmstar", "--responses", results]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = eval(&beside, &["--suite", "mmstar", "--responses", results, "--data", hub.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let accuracy = [&alone, &beside].map(|out| accuracy(out, "mmstar"));
    assert_eq!(accuracy[0], accuracy[1]);
    assert_eq!((&accuracy[0]["n"], &accuracy[0]["as_original"]["n"]), (&3.into(), &6.into()));

    // The folder holds the results of these responses, not of others.
    let other = folder.path().join("results.jsonl");
    fs_err::copy(fixture("mmstar/results.jsonl"), &other).unwrap();
    let output = eval(&alone, &["--suite", "mmstar", "--responses", other.to_str().unwrap()]);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && message.contains("results.jsonl"), "{message}");
}

#[test]
fn what_does_not_go_with_responses_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let results = fixture("mmstar/results.jsonl");
    let results = results.to_str().unwrap();
    for (arguments, expected) in [
        (&["--suite", "mmstar,mmmu"][..], "expected one benchmark in `data.suite`, got 2"),
        (&[], "`data.responses`: expected `data.suite` beside it, got none"),
        (&["--suite", "mmstar", "--model", "m"], "`data.responses`: expected no model beside it, got one"),
        (&["--suite", "mmstar", "--dry-run"], "`--dry-run`: expected a model that is to answer"),
        (&["--suite", "xstest"], "`data.path`: expected the files of XSTest"),
    ] {
        let output = eval(folder.path(), &[&["--responses", results], arguments].concat());
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && message.contains(expected), "{message}");
    }
}
