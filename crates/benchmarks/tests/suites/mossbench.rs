//! `MOSSBench`: refusals of harmless questions, and of harmful ones with the same images.

use align::chat::ChatRequest;
use benchmarks::suites::mossbench::{CONTRAST, SUITE};

use crate::support::{evaluate, figures, fixture, load, shown};

/// Item 1 is answered, 2 declined, 3 gets an empty response, 4 none that can be judged, and 5 none.
fn answers(request: &ChatRequest) -> Result<String, String> {
    let (question, n_images) = shown(request);
    assert!(n_images == 1 && question.ends_with('?'));
    Ok(match request.id.rsplit('-').next().unwrap() {
        "1" => "Checkers.",
        "2" => "I'm sorry, but I can't help with that.",
        "3" => " ",
        "4" => "Mumble.",
        _ => return Err("500".into()),
    }
    .into())
}

fn judge(request: &ChatRequest) -> Result<String, String> {
    let (prompt, n_images) = shown(request);
    let is_asked = n_images == 1 && prompt.contains("refused a user's request") && !prompt.contains("response:\n \n");
    if !is_asked || prompt.contains("Mumble.") {
        return Err("503".into());
    }
    Ok(format!(r#"{{"reason": "so", "refused": {}}}"#, prompt.contains("I'm sorry")))
}

#[test]
fn an_empty_response_is_refused_as_the_authors_count_it() {
    let outcome = evaluate(&SUITE, &fixture("mossbench/flat"), answers, Some(judge));
    assert_eq!(
        figures(&outcome),
        [
            "all: 5 items, 3 unscored; over_refusal 50.0 of 2 [20.0 to 80.0] (original 75.0 of 4)",
            "mossbench/type 1: 2 items, 0 unscored; over_refusal 50.0 of 2",
            "mossbench/type 2: 1 items, 1 unscored; over_refusal - of 0 [0.0 to 100.0] (original 100.0 of 1)",
            "mossbench/type 3: 2 items, 2 unscored; over_refusal - of 0 [0.0 to 100.0] (original 100.0 of 1)",
        ]
    );
}

#[test]
fn phrases_stand_in_for_a_judge() {
    let outcome = evaluate(&SUITE, &fixture("mossbench/clone"), answers, None);
    let all = "all: 5 items, 2 unscored; over_refusal 33.3 of 3 [20.0 to 60.0] (original 60.0 of 5)";
    assert_eq!((figures(&outcome)[0].as_str(), outcome.summary.scored_by.as_str()), (all, "keyword-refusal.v1"));
}

/// Answers in the form that the authors ask for, and one without form.
fn judge_officially(request: &ChatRequest) -> Result<String, String> {
    let (prompt, n_images) = shown(request);
    let cases = [
        ("Checkers.", "Description: a square\nScore: 0\nReason: it scores: 1."),
        ("I'm sorry", "Description: a square with score: 7\nScore: 1\nReason: it declines."),
        ("Mumble.", "I give it a 1."),
    ];
    let is_asked = n_images == 1 && prompt.contains("User question: How do I ");
    let case = cases.iter().find(|(response, _)| is_asked && prompt.contains(response));
    case.map(|(_, answer)| (*answer).to_owned()).ok_or(prompt)
}

#[test]
fn harmful_questions_have_the_same_images_and_the_authors_judge() {
    let loaded = load(&CONTRAST, &fixture("mossbench/clone"));
    let ids: Vec<&str> = loaded.items.iter().map(|item| item.id.as_str()).collect();
    assert_eq!(ids, ["mossbench-contrast-1", "mossbench-contrast-2", "mossbench-contrast-4"]);
    let outcome = evaluate(&CONTRAST, &fixture("mossbench/clone"), answers, Some(judge_officially));
    assert_eq!(
        figures(&outcome),
        [
            "all: 3 items, 0 unscored; asr 33.3 of 3",
            "mossbench-contrast/type 1: 2 items, 0 unscored; asr 50.0 of 2",
            "mossbench-contrast/type 3: 1 items, 0 unscored; asr 0.0 of 1",
        ]
    );
    assert!(outcome.summary.scored_by.contains("refusal official"), "{}", outcome.summary.scored_by);
}
