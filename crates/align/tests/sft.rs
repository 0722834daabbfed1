//! Fine-tuning on the fake engine: it memorizes, mixes as set, and resumes after any kill to the same bytes.

use std::collections::BTreeSet;

use align::engine::Engine;
use align::progress::{Progress, Silent};
use align::run_dir::RunDir;
use align::sft::{Mixture, SftConfig, run};
use align::training::{Outcome, TrainingError};
use align::types::{Item, Message, Role};
use fake_engine::FakeEngine;
use fake_engine::scripted::StopsAfter;

fn labeled(id: &str, label: &str) -> Item {
    let messages = vec![Message::text(Role::User, format!("ask {id}")), Message::text(Role::Assistant, label)];
    serde_json::from_value(serde_json::json!({ "id": id, "messages": messages })).unwrap()
}

fn items() -> Vec<Item> {
    ["warn about heat", "answer red", "warn", "answer about red heat", "red"]
        .iter()
        .enumerate()
        .map(|(index, label)| labeled(&format!("safety-{index}"), label))
        .collect()
}

fn general() -> Vec<Item> {
    (0..3).map(|index| labeled(&format!("general-{index}"), "answer red")).collect()
}

fn engine() -> FakeEngine {
    FakeEngine::new("warn about heat answer red", |_| vec![("red".into(), 1.0)])
}

fn config() -> SftConfig {
    SftConfig {
        general_ratio: 0.4,
        train_batch_size: 3,
        num_train_epochs: 30.0,
        learning_rate: 0.3,
        max_grad_norm: 0.0,
        weight_decay: 0.0,
        ..SftConfig::default()
    }
}

fn train(
    engine: &mut dyn Engine,
    config: &SftConfig,
    folder: &std::path::Path,
    progress: &mut dyn Progress,
) -> Result<Outcome, TrainingError> {
    let settings = serde_json::to_value(config).unwrap();
    let mut run_dir = RunDir::open(folder, &settings, config.seed, None)?;
    run(engine, &items(), &general(), config, &mut run_dir, progress)
}

/// The metrics of a run without its times.
fn metrics(folder: &std::path::Path) -> Vec<serde_json::Value> {
    let mut lines: Vec<serde_json::Value> = align::json_lines::read_json_lines(&folder.join("metrics.jsonl")).unwrap();
    for line in &mut lines {
        line.as_object_mut().unwrap().remove("step_time");
    }
    lines
}

#[test]
fn it_memorizes_its_labels() {
    let folder = tempfile::tempdir().unwrap();
    let mut engine = engine();
    let outcome = train(&mut engine, &config(), folder.path(), &mut Silent).unwrap();
    assert_eq!(outcome, Outcome::Finished { steps: 90 });
    let params = align::engine::SamplingParams { temperature: 0.0, ..Default::default() };
    for item in items() {
        let request =
            align::engine::SampleRequest { id: item.id.clone(), messages: item.prompt().to_vec(), seeds: vec![0] };
        let sampled = engine.sample(&[request], &params).unwrap();
        assert_eq!(Some(&sampled[0].completions[0].text), item.label().as_ref());
    }
    let lines = metrics(folder.path());
    let [first, last] = [&lines[0], &lines[89]].map(|line| line["loss"].as_f64().unwrap());
    assert!(last < 0.1 && first > 1.0);
    assert_eq!(lines[89]["epoch"], 30.0);
    // Reply tokens of the first epoch, end tokens included: five safety items and three general ones.
    assert_eq!(lines[2]["num_tokens"], f64::from(4 + 3 + 2 + 5 + 2 + 3 * 3));
}

#[test]
fn every_turn_is_learned_or_the_last_alone() {
    let mut dialogue = labeled("dialogue", "answer about red heat");
    let later = [Message::text(Role::User, "and then"), Message::text(Role::Assistant, "warn")];
    dialogue.messages.extend(later);
    // End tokens included.
    for (mask_history, tokens_learned) in [(false, 7.0), (true, 2.0)] {
        let folder = tempfile::tempdir().unwrap();
        let config = SftConfig { mask_history, general_ratio: 0.0, max_steps: 1, ..config() };
        let mut run_dir = RunDir::open(folder.path(), &serde_json::json!({}), 0, None).unwrap();
        let items = [dialogue.clone()];
        run(&mut engine(), &items, &[], &config, &mut run_dir, &mut Silent).unwrap();
        assert_eq!(metrics(folder.path())[0]["num_tokens"], tokens_learned);
    }
}

#[test]
fn general_items_have_their_share_of_every_epoch() {
    let (items, general) = (items(), general());
    let mixture = Mixture::new(&items, &general, &config()).unwrap();
    assert_eq!(mixture.steps_per_epoch(), 3);
    let epochs = [1..4, 4..7].map(|steps| -> Vec<&str> {
        let items = steps.flat_map(|step| mixture.batch(step));
        items.map(|item| item.id.as_str()).collect()
    });
    for ids in &epochs {
        let safety: BTreeSet<_> = ids.iter().filter(|id| id.starts_with("safety")).collect();
        assert_eq!(safety.len(), 5);
        assert_eq!(ids.iter().filter(|id| id.starts_with("general")).count(), 3);
        assert_eq!(ids.len(), 8);
    }
    assert_ne!(epochs[0], epochs[1]);
    let none = SftConfig { general_ratio: 0.0, ..config() };
    assert_eq!(Mixture::new(&items, &[], &none).unwrap().steps_per_epoch(), 2);
}

#[test]
fn splitting_the_batch_changes_nothing() {
    let [whole, halves, thirds] = [1, 2, 3].map(|gradient_accumulation_steps| {
        let folder = tempfile::tempdir().unwrap();
        let mut engine = engine();
        let config = SftConfig { gradient_accumulation_steps, max_steps: 6, ..config() };
        train(&mut engine, &config, folder.path(), &mut Silent).unwrap();
        let loss = metrics(folder.path())[5]["loss"].as_f64().unwrap();
        (engine.state(), (loss * 1e9).round())
    });
    assert_eq!(halves, whole);
    assert_eq!(thirds, whole);
}

#[test]
fn interrupted_anywhere_it_ends_in_the_same_bytes() {
    let config = SftConfig { max_steps: 7, save_steps: 3, ..config() };
    let uninterrupted = tempfile::tempdir().unwrap();
    let mut whole = engine();
    train(&mut whole, &config, uninterrupted.path(), &mut Silent).unwrap();
    for step in 1..7 {
        let folder = tempfile::tempdir().unwrap();
        let outcome = train(&mut engine(), &config, folder.path(), &mut StopsAfter(step)).unwrap();
        assert_eq!(outcome, Outcome::Interrupted { step });
        let mut resumed = engine();
        let outcome = train(&mut resumed, &config, folder.path(), &mut Silent).unwrap();
        assert_eq!(outcome, Outcome::Finished { steps: 7 });
        assert_eq!(resumed.state(), whole.state(), "stopped after step {step}");
        assert_eq!(metrics(folder.path()), metrics(uninterrupted.path()));
    }
}

#[test]
fn a_finished_run_is_loaded_and_not_trained_again() {
    let folder = tempfile::tempdir().unwrap();
    let config = SftConfig { max_steps: 2, ..config() };
    let mut first = engine();
    train(&mut first, &config, folder.path(), &mut Silent).unwrap();
    let mut again = engine();
    assert_eq!(train(&mut again, &config, folder.path(), &mut Silent).unwrap(), Outcome::Finished { steps: 2 });
    assert_eq!(again.state(), first.state());
    assert_eq!(metrics(folder.path()).len(), 2);
    assert!(folder.path().join("done").exists());
}

#[test]
fn bad_data_and_settings_are_named() {
    fn message(items: &[Item], general: &[Item], config: &SftConfig) -> String {
        let folder = tempfile::tempdir().unwrap();
        let mut run_dir = RunDir::open(folder.path(), &serde_json::json!({}), 0, None).unwrap();
        run(&mut engine(), items, general, config, &mut run_dir, &mut Silent).unwrap_err().to_string()
    }
    let unlabeled = Item { messages: vec![Message::text(Role::User, "ask")], ..labeled("plain", "") };
    insta::assert_snapshot!(message(&[], &general(), &config()), @"no items to train on: expected at least one, got an empty list");
    insta::assert_snapshot!(message(&[unlabeled], &general(), &config()), @"item `plain`: expected the last message to be the assistant's, got none to learn");
    insta::assert_snapshot!(message(&items(), &[], &config()), @"`sft.general_ratio`: expected 0 where no general items are given, got 0.4");
    insta::assert_snapshot!(message(&items(), &[], &SftConfig { general_ratio: 1.0, ..config() }), @"`sft.general_ratio`: expected a number from 0 to below 1, got 1");
    insta::assert_snapshot!(message(&items(), &[], &SftConfig { learning_rate: f64::NAN, ..config() }), @"`sft.learning_rate`: expected a number above 0, got NaN");
    insta::assert_snapshot!(message(&items(), &[], &SftConfig { train_batch_size: 0, ..config() }), @"`sft.train_batch_size`: expected a whole number of at least 1, got 0");
    let unknown = serde_json::from_str::<SftConfig>(r#"{"batch": 3}"#).unwrap_err().to_string();
    assert!(unknown.starts_with("unknown field `batch`"), "{unknown}");
}
