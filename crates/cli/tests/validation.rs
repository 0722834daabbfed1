//! Samples that cannot be trained: reported before training, with row and reason; and what a dry run says.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

const MODEL: &str = "../../fixtures/parity/qwen2_5_vl";

fn fixture(below: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(MODEL).join(below);
    path.display().to_string()
}

fn sample(id: &str, image: &str, text: &str) -> String {
    let content = format!(r#"[{{"type": "image", "image": "{image}"}}, {{"type": "text", "text": "{text}"}}]"#);
    format!(
        r#"{{"id": "{id}", "messages": [{{"role": "user", "content": {content}}}, {{"role": "assistant", "content": "A red square."}}]}}"#
    )
}

/// Three samples that can be trained, a blank line, and four that cannot.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs_err::write(folder.path().join("corrupt.png"), "no image").unwrap();
    let good = fixture("images/a.png");
    let lines = [
        sample("one", &good, "What is it?"),
        sample("two", &good, "What is there?"),
        String::new(),
        sample("missing", "nowhere.png", "What is it?"),
        sample("corrupt", "corrupt.png", "What is it?"),
        sample("placeholder", &good, "Look: <|image_pad|>"),
        sample("long", &good, &"very ".repeat(400)),
        sample("three", &good, "And this?"),
    ];
    fs_err::write(folder.path().join("train.jsonl"), lines.join("\n")).unwrap();
    folder
}

fn sft(folder: &TempDir, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_scruple"))
        .current_dir(folder.path())
        .args(["sft", "--out", "run", "data.train=train.jsonl", "sft.general_ratio=0"])
        .args(["sft.max_length=300", "sft.max_steps=1", "sft.train_batch_size=3"])
        .arg(format!("model.path={}", fixture("model")))
        .args(more)
        .output()
        .unwrap()
}

fn text(bytes: &[u8], folder: &TempDir) -> String {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    text.replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn samples_that_cannot_be_trained_are_listed_with_row_and_reason() {
    let folder = folder();
    let output = sft(&folder, &["data.max_rejected=0.6"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr, &folder));
    let list = fs_err::read_to_string(folder.path().join("run/rejected.jsonl")).unwrap();
    let rejected: Vec<serde_json::Value> = list.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let rows: Vec<_> =
        rejected.iter().map(|line| (line["row"].as_u64().unwrap(), line["id"].as_str().unwrap())).collect();
    assert_eq!(rows, [(4, "missing"), (5, "corrupt"), (6, "placeholder"), (7, "long")]);
    for (line, reason) in
        rejected.iter().zip(["nowhere.png", "corrupt.png", "<|image_pad|>", "expected at most 300 tokens"])
    {
        assert!(line["reason"].as_str().unwrap().contains(reason), "{line}");
    }
    let message = text(&output.stderr, &folder);
    assert!(
        message.contains("4 of 7 samples cannot be trained, the first: train.jsonl:4: item `missing`"),
        "{message}"
    );
    let metrics = fs_err::read_to_string(folder.path().join("run/metrics.jsonl")).unwrap();
    assert!(metrics.contains("\"epoch\":1.0"), "the three others were trained: {metrics}");
}

#[test]
fn too_many_of_them_end_the_run_before_it_begins() {
    let folder = folder();
    let output = sft(&folder, &[]);
    assert_eq!(output.status.code(), Some(3));
    let message = text(&output.stderr, &folder);
    assert!(message.contains("`data.max_rejected` allows a share of 0.05"), "{message}");
    assert!(message.contains("hint: run/rejected.jsonl lists them all"), "{message}");
    assert!(!folder.path().join("run/config.resolved.json").exists());
    // None is left at all.
    let output = sft(&folder, &["sft.max_length=3", "data.max_rejected=1"]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr, &folder));
}

#[test]
fn a_dry_run_counts_and_writes_nothing() {
    let folder = folder();
    let output = sft(&folder, &["--dry-run", "train.gradient_checkpointing=true", "sft.packing=true"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr, &folder));
    let table = text(&output.stdout, &folder);
    assert!(
        table.starts_with("samples     3 usable, 4 rejected\n            train.jsonl:4: item `missing`"),
        "{table}"
    );
    for line in [
        "steps       1 of 3 samples: 1.00 epochs of 3 samples",
        "vision_tower: 220.19 k, frozen",
        "(train.gradient_checkpointing = true: recomputed)",
        "FLOP/s, measured here",
    ] {
        assert!(table.contains(line), "no `{line}` in\n{table}");
    }
    assert!(!folder.path().join("run").exists());
}

#[test]
fn a_dry_run_of_reinforcement_counts_prompts_and_responses() {
    let folder = folder();
    let prompts = fs_err::read_to_string(folder.path().join("train.jsonl")).unwrap();
    let prompts = prompts.replace("\"messages\"", "\"truth\": {}, \"messages\"");
    fs_err::write(folder.path().join("prompts.jsonl"), prompts).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_scruple"))
        .current_dir(folder.path())
        .args(["rl", "--out", "run", "--dry-run", "data.prompts=prompts.jsonl", "data.max_prompt_length=300"])
        .args(["grpo.prompts_per_step=2", "rollout.num_generations=4", "rollout.max_completion_length=100"])
        .arg(format!("model.path={}", fixture("model")))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr, &folder));
    let table = text(&output.stdout, &folder);
    for line in [
        "samples     3 usable, 4 rejected",
        "steps       2 of 2 prompts with 4 responses each",
        "responses: at most 100 tokens each",
        "KV cache while sampling",
        "sampling: ",
    ] {
        assert!(table.contains(line), "no `{line}` in\n{table}");
    }
    assert!(!folder.path().join("run").exists());
}

#[test]
fn dropout_and_reinforcement_do_not_go_together() {
    let folder = folder();
    let output = Command::new(env!("CARGO_BIN_EXE_scruple"))
        .current_dir(folder.path())
        .args(["rl", "--out", "run", "train.type=lora", "train.lora_dropout=0.1"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr, &folder).contains("`train.lora_dropout`: expected 0, since"));
}

#[test]
fn the_size_of_one_image_is_used_by_qwen_and_refused_by_name_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let said = |size: &str, more: &[&str]| {
        let line = sample("one", &fixture("images/a.png"), "What?").replace(r#".png"}"#, &format!(r#".png"{size}}}"#));
        fs_err::write(folder.path().join("train.jsonl"), line).unwrap();
        let output = sft(&folder, &[&["sft.train_batch_size=1"], more].concat());
        (output.status.code(), text(&output.stdout, &folder) + &text(&output.stderr, &folder))
    };
    let image_tokens = |size: &str| {
        let (code, said) = said(size, &["--dry-run"]);
        assert_eq!(code, Some(0), "{said}");
        said.lines().find(|line| line.contains("image")).unwrap_or_else(|| panic!("{said}")).to_owned()
    };
    let plain = image_tokens("");
    assert_eq!(image_tokens(r#", "detail": "low""#), plain);
    assert_ne!(image_tokens(r#", "resized_height": 140, "resized_width": 140"#), plain);

    let internvl = format!("model.path={}", fixture("../internvl/model"));
    for (size, model, expected) in [
        (r#", "max_pixels": 3000"#, None, "`max_pixels` of one image: expected at least its `min_pixels` (3136, "),
        (
            r#", "max_pixels": -1"#,
            None,
            "train.jsonl:1: `messages[0].content[0]`: `max_pixels`: expected a whole number of pixels from 1 to 4294967295, got -1",
        ),
        (
            r#", "resized_width": 28"#,
            None,
            "`resized_width` of one image: expected `resized_height` beside it, got none",
        ),
        (
            r#", "max_pixels": 5000"#,
            Some(&*internvl),
            "a.png: `max_pixels` of one image is not for this model: expected none",
        ),
    ] {
        let (code, said) = said(size, model.as_slice());
        assert!(code == Some(3) && said.contains(expected), "{said}");
    }
}
