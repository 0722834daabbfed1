//! A training command that is killed or interrupted, then called again, ends in the same bytes as one left alone.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

const STEPS: usize = 8;
const FIRST_CHECKPOINT: usize = 2;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/parity/qwen2_5_vl")
}

/// A folder with four samples, each of one image, in `train.jsonl`.
fn folder_with_data() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let lines = ["a", "b", "c", "d"].map(|name| {
        let image = fixture().join(format!("images/{name}.png"));
        let user = json!([{ "type": "image", "image": image }, { "type": "text", "text": "What is this?" }]);
        let messages = json!([
            { "role": "user", "content": user },
            { "role": "assistant", "content": format!("This is picture {name}.") },
        ]);
        format!("{}\n", json!({ "id": name, "messages": messages }))
    });
    fs_err::write(folder.path().join("train.jsonl"), lines.concat()).unwrap();
    folder
}

fn call(folder: &Path, out: &str, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scruple"));
    command
        .current_dir(folder)
        .args(["sft", "--out", out, "data.train=train.jsonl", "train.freeze_vision_tower=false"])
        .arg(format!("model.path={}", fixture().join("model").display()))
        .args(["sft.train_batch_size=3", "sft.learning_rate=1e-3", "sft.general_ratio=0"])
        .arg(format!("sft.max_steps={STEPS}"))
        .arg(format!("sft.save_steps={FIRST_CHECKPOINT}"))
        .args(more);
    command
}

fn begin(folder: &Path, out: &str, more: &[&str]) -> Child {
    let mut command = call(folder, out, more);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

fn finish(mut child: Child) -> Option<i32> {
    child.wait().unwrap().code()
}

/// Waits for the first checkpoint, then stops the process by the signal of that name; returns its exit code, if it
/// gave one.
fn stop(mut child: Child, run: &Path, signal: &str) -> Option<i32> {
    let began = Instant::now();
    while !run.join(format!("checkpoint-{FIRST_CHECKPOINT}")).exists() {
        assert!(began.elapsed() < Duration::from_mins(2), "no checkpoint was written");
        assert!(child.try_wait().unwrap().is_none(), "ended before its first checkpoint");
        std::thread::sleep(Duration::from_millis(5));
    }
    let sent = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    finish(child)
}

fn result(run: &Path) -> Vec<u8> {
    fs_err::read(run.join(format!("checkpoint-{STEPS}/model.safetensors"))).unwrap()
}

/// A folder below, and the model's folder linked beside it.
fn folder_elsewhere(folder: &Path) -> PathBuf {
    std::os::unix::fs::symlink(fixture().join("model"), folder.join("model")).unwrap();
    fs_err::create_dir(folder.join("elsewhere")).unwrap();
    folder.join("elsewhere")
}

#[test]
fn a_killed_run_resumes_to_the_same_bytes() {
    let folder = folder_with_data();
    let at = |name: &str| folder.path().join(name);
    assert_eq!(finish(begin(folder.path(), "whole", &[])), Some(0));

    let killed = stop(begin(folder.path(), "killed", &[]), &at("killed"), "KILL");
    assert_eq!(killed, None);
    assert_eq!(finish(begin(folder.path(), "killed", &[])), Some(0));
    assert!(result(&at("killed")) == result(&at("whole")), "other weights after kill -9");

    let interrupted = stop(begin(folder.path(), "interrupted", &[]), &at("interrupted"), "INT");
    assert_eq!(interrupted, Some(6));
    let elsewhere = folder_elsewhere(folder.path());
    let spelled = ["data.train=../train.jsonl", "model.path=../model"];
    assert_eq!(finish(begin(&elsewhere, "../interrupted", &spelled)), Some(0));
    assert!(result(&at("interrupted")) == result(&at("whole")), "other weights after Ctrl-C");
    let metrics = |name: &str| fs_err::read_to_string(at(name).join("metrics.jsonl")).unwrap().lines().count();
    assert_eq!([metrics("killed"), metrics("interrupted")], [STEPS, STEPS]);
}

/// Ends the child and returns its exit code, standard output and standard error.
fn output(folder: &Path, out: &str, more: &[&str]) -> (Option<i32>, String, String) {
    let output = call(folder, out, more).output().unwrap();
    let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (output.status.code(), stdout, stderr)
}

#[test]
fn a_run_that_is_done_is_printed_again_and_started_over_only_on_request() {
    let folder = folder_with_data();
    let run = folder.path().join("run");
    let weights = || {
        let metadata = fs_err::metadata(run.join(format!("checkpoint-{STEPS}/model.safetensors"))).unwrap();
        metadata.modified().unwrap()
    };
    let (code, printed, _) = output(folder.path(), "run", &[]);
    assert_eq!((code, printed.trim_end()), (Some(0), "run/checkpoint-8"));
    let written = weights();
    // Nothing is read any more, so that the data may be gone.
    fs_err::rename(folder.path().join("train.jsonl"), folder.path().join("moved.jsonl")).unwrap();
    assert_eq!(output(folder.path(), "run", &[]).1, printed);
    assert_eq!(weights(), written);
    fs_err::rename(folder.path().join("moved.jsonl"), folder.path().join("train.jsonl")).unwrap();

    let other = ["sft.learning_rate=2e-3"];
    let (code, _, refused) = output(folder.path(), "run", &other);
    assert_eq!(code, Some(2), "{refused}");
    assert!(
        refused.contains("`sft.learning_rate` differs from the run's: expected 0.001, got 0.002")
            && refused.contains("hint: ")
            && refused.contains("`--restart`"),
        "{refused}"
    );
    // What cannot be trained costs nothing that is there.
    let (code, _, refused) = output(folder.path(), "run", &["--restart", "sft.max_length=3"]);
    assert_eq!(code, Some(3), "{refused}");
    assert_eq!(weights(), written);
    let (code, _, stderr) = output(folder.path(), "run", &["--restart", other[0]]);
    assert_eq!(code, Some(0), "{stderr}");
    assert_ne!(weights(), written);
    assert_eq!(output(folder.path(), "run", &other).1, printed);
}

#[test]
fn an_evaluation_is_known_again_from_another_working_directory() {
    fn evaluate(place: &Path, way: &str, more: &[&str]) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_scruple"));
        command.current_dir(place).args(["eval", "eval.max_new_tokens=4"]).args(more);
        for (flag, name) in [("--model", "model"), ("--data", "train.jsonl"), ("--out", "answers")] {
            command.args([flag, &format!("{way}{name}")]);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    let folder = folder_with_data();
    let elsewhere = folder_elsewhere(folder.path());
    let answers = || fs_err::read(folder.path().join("answers/responses.jsonl")).unwrap();
    evaluate(folder.path(), "", &[]);
    let before = answers();
    evaluate(&elsewhere, "../", &[]);
    evaluate(&elsewhere, &format!("{}/", folder.path().display()), &[]);
    assert!(answers() == before, "other responses from another working directory");
}
