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

fn both<'a>(engine: &'a mut DigitEngine, chat: &'a dyn ChatModel) -> [Policy<'a>; 2] {
    [
        Policy {
            name: Some("model".into()),
            model: PolicyModel::Engine(engine),
        },
        Policy {
            name: Some("policy".into()),
            model: PolicyModel::Chat(chat),
        },
    ]
}

#[test]
fn several_policies_answer_each_prompt_and_silence_is_counted_not_scored() {
    let folder = tempfile::tempdir().unwrap();
    let (items, config, rubric) = (pool(), small(), rubric());
    let settings = Curation {
        pool: Pool::Items(&items),
        ..curation(&rubric, &config)
    };
    let output = output(folder.path(), "both");
    let silent_on = Cell::new(Some("h7 "));
    let chat = Script::new(|request: &ChatRequest| digit(request, silent_on.get()));
    let mut engine = DigitEngine::new();
    let summary = run(&mut both(&mut engine, &chat), &settings, output, &mut Silent).unwrap();
    // One prompt is not scored by the judge, the other not answered by one of the two.
    assert_eq!((summary.n_samples, summary.n_unscored), (31 * 8, 8 + 4));
    let counts = |name: &str| {
        let counts = &summary.policies[name];
        (counts.n_samples, counts.n_unanswered, counts.n_unscored)
    };
    assert_eq!((counts("model"), counts("policy")), ((124, 0, 4), (124, 4, 8)));

    let samples = std::fs::read_to_string(folder.path().join("samples.jsonl")).unwrap();
    let line = samples
        .lines()
        .find(|line| line.contains(r#""id":"h7","number":5"#))
        .unwrap();
    insta::assert_snapshot!(line, @r#"{"id":"h7","number":5,"policy":"policy","response":null,"judgement":{"unscored":"no answer: 500: sorry"}}"#);
    let records = std::fs::read_to_string(folder.path().join("curation.jsonl")).unwrap();
    assert!(records.contains(r#""n_scored":4"#) && records.contains(r#""n_scored":8"#));

    // What had no score is asked for again, and nothing else.
    silent_on.set(None);
    chat.asked.borrow_mut().clear();
    let again = Curation {
        retry_unscored: true,
        ..settings
    };
    let drawn = engine.completions;
    let summary = run(&mut both(&mut engine, &chat), &again, output, &mut Silent).unwrap();
    assert_eq!((summary.n_unscored, engine.completions), (8, drawn));
    let asked: Vec<String> = chat.asked.borrow().iter().map(|request| request.id.clone()).collect();
    assert_eq!(asked, ["h7 7", "h7 6", "h7 5", "h7 4"]);
    assert!(!folder.path().join("samples.before-retry.jsonl").exists());

    let undisturbed = tempfile::tempdir().unwrap();
    let chat = Script::new(|request: &ChatRequest| digit(request, None));
    let mut engine = DigitEngine::new();
    let output = super::output(undisturbed.path(), "both");
    run(&mut both(&mut engine, &chat), &settings, output, &mut Silent).unwrap();
    for name in ["samples.jsonl", "summary.json", "curated.jsonl"] {
        let read = |folder: &Path| std::fs::read_to_string(folder.join(name)).unwrap();
        assert_eq!(read(folder.path()), read(undisturbed.path()), "{name}");
    }
}

#[test]
fn a_retry_that_was_stopped_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (items, config, rubric) = (pool(), small(), rubric());
    let settings = Curation {
        pool: Pool::Items(&items),
        ..curation(&rubric, &config)
    };
    let output = output(folder.path(), "digits");
    run(
        &mut [Policy::local(&mut DigitEngine::new())],
        &settings,
        output,
        &mut Silent,
    )
    .unwrap();
    let before = std::fs::read_to_string(folder.path().join("samples.jsonl")).unwrap();
    let again = Curation {
        retry_unscored: true,
        ..settings
    };
    let stopped = run(
        &mut [Policy::local(&mut DigitEngine::new())],
        &again,
        output,
        &mut Stopping,
    );
    assert!(matches!(stopped, Err(CurateError::Interrupted { .. })));
    let mut engine = DigitEngine::new();
    run(&mut [Policy::local(&mut engine)], &settings, output, &mut Silent).unwrap();
    assert_eq!(engine.completions, 0);
    assert_eq!(
        std::fs::read_to_string(folder.path().join("samples.jsonl")).unwrap(),
        before
    );
}

#[test]
fn a_nucleus_is_refused_where_a_policy_is_not_told_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let config = CurateConfig { top_p: 0.9, ..small() };
    let (items, rubric) = (pool(), rubric());
    let chat = Script::new(|request: &ChatRequest| digit(request, None));
    let settings = Curation {
        pool: Pool::Items(&items),
        ..curation(&rubric, &config)
    };
    let mut policies = [Policy {
        name: Some("policy".into()),
        model: PolicyModel::Chat(&chat),
    }];
    let message = run(&mut policies, &settings, output(folder.path(), "chat"), &mut Silent).unwrap_err();
    assert!(
        message
            .to_string()
            .contains("`curate.top_p`: expected 1 where a policy"),
        "{message}"
    );
}
