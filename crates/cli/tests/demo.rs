//! The whole loop through the binary, on a world of a few items: what it prints and leaves behind, and that a killed
//! demo, resumed, ends in the same bytes.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

const SETTINGS: [&str; 24] = [
    "mini.train=12",
    "mini.train_general=10",
    "mini.easy=2",
    "mini.hard=4",
    "mini.real=2",
    "mini.general=4",
    "mirage.sft.max_steps=2",
    "mirage.sft.train_batch_size=4",
    "refusal.sft.max_steps=2",
    "refusal.sft.train_batch_size=4",
    "safer.curate.num_samples=2",
    "safer.curate.num_kept=8",
    "mirage_safer.curate.num_samples=2",
    "mirage_safer.curate.num_kept=8",
    "safer.grpo.max_steps=3",
    "safer.grpo.prompts_per_step=2",
    "safer.grpo.max_refills=0",
    "safer.grpo.save_steps=1",
    "safer.rollout.num_generations=3",
    "mirage_safer.grpo.max_steps=3",
    "mirage_safer.grpo.prompts_per_step=2",
    "mirage_safer.grpo.max_refills=0",
    "mirage_safer.grpo.save_steps=1",
    "mirage_safer.rollout.num_generations=3",
];

fn demo(folder: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scruple"));
    command.args(["demo", "--json", "--out"]).arg(folder).args(SETTINGS).args(more);
    command
}

fn finish(folder: &Path, more: &[&str]) -> Output {
    let output = demo(folder, more).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Kills the demo as soon as the file is there.
fn kill_at(mut child: Child, file: &Path) {
    let began = Instant::now();
    while !file.exists() {
        assert!(began.elapsed() < Duration::from_mins(3), "{} was not written", file.display());
        assert!(child.try_wait().unwrap().is_none(), "ended too early");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

fn figures(output: &Output) -> Value {
    let printed = String::from_utf8(output.stdout.clone()).unwrap();
    serde_json::from_str(printed.lines().last().unwrap()).unwrap()
}

#[test]
fn it_prints_its_figures_and_a_killed_one_resumes_to_the_same() {
    fn rollouts(folder: &Path) -> String {
        let text = fs_err::read_to_string(folder.join("runs/mirage+safer/rollouts.jsonl")).unwrap();
        text.replace(&folder.display().to_string(), "")
    }

    let folder = tempfile::tempdir().unwrap();
    let [whole, killed] = ["whole", "killed"].map(|name| folder.path().join(name));
    let mut printed = figures(&finish(&whole, &[]));
    for model in ["base", "mirage", "refusal", "safer", "mirage+safer"] {
        let of_model = &printed["models"][model];
        for (split, n) in [("easy", 2), ("hard", 4), ("real", 2)] {
            let shares = ["asr", "hr", "rsr", "rr"].map(|rate| of_model[split][rate].as_f64().unwrap());
            assert!((shares.iter().sum::<f64>() - 100.0).abs() < 1e-9, "{model} {split}: {shares:?}");
            assert_eq!(of_model[split]["n"], n, "{model} {split}");
            assert!(of_model[split]["unscored"].is_u64());
        }
        assert!(of_model["benign"]["over_refusal"].is_f64() && of_model["benign"]["n"] == 8);
        assert!(of_model["general"]["accuracy"].is_f64() && of_model["general"]["n"] == 4);
    }
    assert!(printed["wall_s"].is_f64() && printed["peak_rss_mb"].is_f64());

    let page = fs_err::read_to_string(whole.join("report.html")).unwrap();
    assert!(page.contains("<svg") && !page.contains("http://") && !page.contains("https://"));
    let report: Value = serde_json::from_str(&fs_err::read_to_string(whole.join("report.json")).unwrap()).unwrap();
    assert_eq!(report["missing"], Value::Array(Vec::new()));

    for file in ["curate/safer/samples.jsonl", "runs/mirage+safer/checkpoint-1/run_state.json"] {
        let mut command = demo(&killed, &[]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        kill_at(command.spawn().unwrap(), &killed.join(file));
    }
    let mut resumed = figures(&finish(&killed, &[]));
    called_again(&whole, &printed);
    for figures in [&mut printed, &mut resumed] {
        let figures = figures.as_object_mut().unwrap();
        figures.remove("wall_s");
        figures.remove("peak_rss_mb");
    }
    assert_eq!(resumed, printed);
    for file in [
        "runs/mirage/checkpoint-2/adapter_model.safetensors",
        "runs/safer/checkpoint-3/adapter_model.safetensors",
        "runs/mirage+safer/checkpoint-3/adapter_model.safetensors",
        "runs/mirage+safer/checkpoint-3/optimizer.safetensors",
        "curate/safer/curated.jsonl",
    ] {
        let [whole, killed] = [&whole, &killed].map(|folder| fs_err::read(folder.join(file)).unwrap());
        assert!(whole == killed, "{file} differs after kill -9");
    }
    // Rollouts name the images, which lie in each demo's own folder.
    assert!(rollouts(&whole) == rollouts(&killed), "other rollouts after kill -9");
}

/// What a demo that is done says when it is called again: its figures, without any work, unless it is to be another one.
fn called_again(folder: &Path, printed: &Value) {
    let file = folder.join("world/train.jsonl");
    let written = || fs_err::metadata(&file).unwrap().modified().unwrap();
    let before = written();
    assert_eq!(figures(&finish(folder, &[])), *printed);
    assert_eq!(written(), before);
    let refused = demo(folder, &["--seed", "1"]).output().unwrap();
    let message = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{message}");
    assert!(message.contains("demo.settings.json: `mini.seed` differs from the run's: expected 0, got 1"), "{message}");
    assert!(message.contains("`--restart`"), "{message}");
    assert_eq!(written(), before);
}

#[test]
fn settings_that_cannot_be_used_are_refused_before_anything_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("demo");
    let output = demo(&out, &["safer.grpo.learning_rate=-1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        message,
        "error: override `safer.grpo.learning_rate=-1`: `safer.grpo.learning_rate`: expected a number above 0, got -1\n"
    );
    assert!(!out.exists());
}
