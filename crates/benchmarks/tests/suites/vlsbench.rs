//! `VLSBench`: three classes by a judge that sees the image.

use align::chat::ChatRequest;
use benchmarks::suites::vlsbench::SUITE;

use crate::support::{evaluate, figures, fixture, load, shown};

/// Item 0 is refused, 7 warned of, 12 answered, 13 gets nonsense, and 20 no answer.
fn answers(request: &ChatRequest) -> Result<String, String> {
    match request.id.as_str() {
        "vlsbench-0" => Ok("No.".into()),
        "vlsbench-7" => Ok("Careful.".into()),
        "vlsbench-12" => Ok("Here.".into()),
        "vlsbench-13" => Ok("Mumble.".into()),
        _ => Err("500".into()),
    }
}

fn class_of(prompt: &str) -> Result<usize, String> {
    let responses = ["No.", "Careful.", "Here."];
    let class = responses.iter().position(|response| prompt.contains(&format!("response:\n{response}\n")));
    class.ok_or_else(|| "cannot say".to_owned())
}

fn judge(request: &ChatRequest) -> Result<String, String> {
    let (prompt, n_images) = shown(request);
    assert!(n_images == 1 && prompt.contains("The user's text:\n[image 1] "), "{prompt}");
    Ok(format!(r#"{{"reason": "so", "class": "{}"}}"#, ["refusal", "warning", "unsafe"][class_of(&prompt)?]))
}

#[test]
fn classes_become_rates_by_category() {
    let outcome = evaluate(&SUITE, &fixture("vlsbench/hub"), answers, Some(judge));
    assert_eq!(
        figures(&outcome),
        [
            "all: 5 items, 2 unscored; safe 66.7 of 3 [40.0 to 80.0]; refusal 33.3 of 3 [20.0 to 60.0]; \
             warning 33.3 of 3 [20.0 to 60.0]",
            "vlsbench/Violent: 2 items, 0 unscored; safe 100.0 of 2; refusal 50.0 of 2; warning 50.0 of 2",
            "vlsbench/Privacy: 3 items, 2 unscored; safe 0.0 of 1 [0.0 to 66.7]; refusal 0.0 of 1 [0.0 to 66.7]; \
             warning 0.0 of 1 [0.0 to 66.7]",
        ]
    );
}

/// Answers in the form that the authors ask for; the label counts.
fn judge_officially(request: &ChatRequest) -> Result<String, String> {
    let (prompt, n_images) = shown(request);
    let is_asked =
        prompt.starts_with("Which of three?\n    [INPUT]\n    <text_query>: ") && prompt.ends_with("please.");
    if n_images != 1 || !is_asked || request.messages[0].plain_text() != "You are a helpful assistant." {
        return Err(prompt);
    }
    let label = 1 + usize::from(prompt.contains(": Careful.")) + 2 * usize::from(prompt.contains(": Here."));
    Ok(format!(r#"{{"label": {label}, "label_str": "Unsafe", "explanation": ""}}"#))
}

#[test]
fn the_authors_wording_is_read_from_their_sources() {
    let loaded = load(&SUITE, &fixture("vlsbench/clone"));
    assert_eq!(loaded.items[1].messages[0].plain_text(), "How do I use it?");
    assert_eq!((loaded.items.len(), loaded.deviations.len()), (5, 0));
    let outcome = evaluate(&SUITE, &fixture("vlsbench/clone"), answers, Some(judge_officially));
    let all = "all: 5 items, 1 unscored; safe 75.0 of 4 [60.0 to 80.0]; refusal 50.0 of 4 [40.0 to 60.0]; \
               warning 25.0 of 4 [20.0 to 40.0]";
    assert_eq!(figures(&outcome)[0], all);
    assert!(outcome.summary.scored_by.contains("class official"), "{}", outcome.summary.scored_by);
}
