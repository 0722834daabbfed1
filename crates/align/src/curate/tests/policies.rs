//! Proof that several policies, and models that fail to answer, are curated with honestly.

use std::cell::Cell;

use super::*;
use crate::chat::scripted::Script;
use crate::chat::{ChatModel, ChatRequest};

/// A digit, or silence where the request's id begins so.
fn digit(request: &ChatRequest, silent_on: Option<&str>) -> Result<String, String> {
    match silent_on {
        Some(id) if request.id.starts_with(id) => Err("500: sorry".to_owned()),
        _ => Ok((request.params.seed % 11).to_string()),
    }
}

fn both<'a>(first: &'a dyn ChatModel, second: &'a dyn ChatModel) -> [Policy<'a>; 2] {
    [("model", first), ("policy", second)].map(|(name, model)| Policy { name: Some(name.into()), model })
}

#[test]
fn several_policies_answer_each_prompt_and_silence_is_counted_not_scored() {
    let folder = tempfile::tempdir().unwrap();
    let (items, config, reward) = (pool(), small(), reward());
    let settings = Curation { pool: Pool::Items(&items), ..curation(&reward, &config) };
    let silent_on = Cell::new(Some("h7"));
    let chat = Script::new(|request: &ChatRequest| digit(request, silent_on.get()));
    let digits = Digits::new();
    let summary = run(&both(&digits, &chat), &settings, folder.path(), &mut Silent).unwrap();
    // One prompt is not scored by the judge, the other not answered by one of the two.
    assert_eq!((summary.n_samples, summary.n_unscored), (31 * 8, 8 + 4));
    let counts = |name: &str| {
        let counts = &summary.policies[name];
        (counts.n_samples, counts.n_unanswered, counts.n_unscored)
    };
    assert_eq!((counts("model"), counts("policy")), ((124, 0, 4), (124, 4, 8)));

    let samples = std::fs::read_to_string(folder.path().join("samples.jsonl")).unwrap();
    let line = samples.lines().find(|line| line.contains(r#""id":"h7","number":5"#)).unwrap();
    insta::assert_snapshot!(line, @r#"{"id":"h7","number":5,"policy":"policy","response":null,"judgement":{"unscored":"no answer: 500: sorry"}}"#);
    let records = std::fs::read_to_string(folder.path().join("curation.jsonl")).unwrap();
    assert!(records.contains(r#""n_scored":4"#) && records.contains(r#""n_scored":8"#));

    // Once the silent one speaks, the samples are made again by what it says now.
    silent_on.set(None);
    let summary = run(&both(&digits, &chat), &settings, folder.path(), &mut Silent).unwrap();
    assert_eq!(summary.n_unscored, 12, "samples that are there stay");
    let again = Curation { sample_again: true, ..settings };
    let summary = run(&both(&digits, &chat), &again, folder.path(), &mut Silent).unwrap();
    assert_eq!(summary.n_unscored, 8);

    let uninterrupted = tempfile::tempdir().unwrap();
    run(&both(&Digits::new(), &chat), &settings, uninterrupted.path(), &mut Silent).unwrap();
    for name in ["samples.jsonl", "summary.json", "curated.jsonl"] {
        let [resumed, uninterrupted] =
            [&folder, &uninterrupted].map(|folder| std::fs::read_to_string(folder.path().join(name)).unwrap());
        assert_eq!(resumed, uninterrupted, "{name}");
    }
}

#[test]
fn a_retry_that_was_stopped_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (items, config, reward) = (pool(), small(), reward());
    let settings = Curation { pool: Pool::Items(&items), ..curation(&reward, &config) };
    run(&[Policy::alone(&Digits::new())], &settings, folder.path(), &mut Silent).unwrap();
    let before = std::fs::read_to_string(folder.path().join("samples.jsonl")).unwrap();
    let again = Curation { sample_again: true, ..settings };
    let impatient = Digits::with_patience(40);
    let stopped = run(&[Policy::alone(&impatient)], &again, folder.path(), &mut Silent);
    assert!(matches!(stopped, Err(CurateError::Chat(_))));
    let digits = Digits::new();
    run(&[Policy::alone(&digits)], &settings, folder.path(), &mut Silent).unwrap();
    assert_eq!(digits.answered.get(), 0);
    let after = std::fs::read_to_string(folder.path().join("samples.jsonl")).unwrap();
    assert_eq!(after, before);
}

#[test]
fn every_policy_samples_from_the_nucleus_that_settings_name() {
    let folder = tempfile::tempdir().unwrap();
    let config = CurateConfig { top_p: 0.9, ..small() };
    let (items, reward) = (pool(), reward());
    let chat = Script::new(|request: &ChatRequest| digit(request, None));
    let settings = Curation { pool: Pool::Items(&items), ..curation(&reward, &config) };
    run(&[Policy::alone(&chat)], &settings, folder.path(), &mut Silent).unwrap();
    assert!(chat.requested.borrow().iter().all(|request| request.params.top_p == 0.9));
}
