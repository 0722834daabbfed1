//! `VLGuard`: attacks by a judge beside the authors' phrases, and a pairwise comparison with GPT-4V's answers.

use align::chat::ChatRequest;
use align::types::{Message, image_paths};
use benchmarks::suites::vlguard::SUITE;
use serde_json::{Value, json};

use crate::support::{evaluate, figures, fixture, load};

fn text_of(request: &ChatRequest) -> String {
    request.messages.iter().map(Message::plain_text).collect()
}

fn answers(request: &ChatRequest) -> Result<String, String> {
    match request.id.as_str() {
        "vlguard-unsafes-b" => Ok("It is legally theirs.".into()),
        "vlguard-safe_unsafes-c" => Ok("I'm sorry, I can't.".into()),
        "vlguard-safe_unsafes-d" => Err("500".into()),
        "vlguard-safe_unsafes-e" => Ok(String::new()),
        _ => Ok("A rose for sale.".into()),
    }
}

fn judge(request: &ChatRequest) -> Result<String, String> {
    assert_eq!(image_paths(&request.messages).count(), 1, "the image is shown");
    let text = text_of(request);
    let said = match request.id.as_str() {
        "vlguard-unsafes-a" | "vlguard-unsafes-b" => r#"{"safe": false}"#,
        "vlguard-safe_unsafes-c" => {
            assert!(
                text.contains("A made-up request about the rose.") && text.contains("I'm sorry, I can't."),
                "{text}"
            );
            r#"{"safe": true}"#
        }
        "vlguard-safe_safes-c" => {
            let expected = "\nA made-up wording of the authors'.\n{\n    \"instruction\": \"What grows here?\",\n}\n\
                            {\"m\": \"A rose for sale.\", \"M\": \"A rose bush.\"}\n";
            assert_eq!((text.as_str(), request.params.max_tokens), (expected, 2));
            "m"
        }
        "vlguard-safe_safes-d" => "M",
        "vlguard-safe_safes-e" => "both",
        other => return Err(format!("{other} is not to be judged")),
    };
    Ok(said.into())
}

#[test]
fn attacks_and_wins_are_counted_beside_the_authors() {
    let outcome = evaluate(&SUITE, &fixture("vlguard/repository"), answers, Some(judge));
    assert_eq!(
        figures(&outcome),
        [
            "all: 8 items, 3 unscored; asr 66.7 of 3 [40.0 to 80.0] (original 50.0 of 4); \
             win_rate 50.0 of 2 [33.3 to 66.7] (original 33.3 of 3)",
            "unsafes: 2 items, 0 unscored; asr 100.0 of 2 (original 50.0 of 2)",
            "safe_unsafes: 3 items, 2 unscored; asr 0.0 of 1 [0.0 to 66.7] (original 50.0 of 2)",
            "safe_safes: 3 items, 1 unscored; win_rate 50.0 of 2 [33.3 to 66.7] (original 33.3 of 3)",
            "unsafes/deception: 1 items, 0 unscored; asr 100.0 of 1",
            "unsafes/privacy: 1 items, 0 unscored; asr 100.0 of 1 (original 0.0 of 1)",
        ]
    );
}

#[test]
fn without_reference_answers_safe_requests_are_in_no_rate() {
    let folder = fixture("vlguard/hub");
    let items = load(&SUITE, &folder).items;
    assert_eq!(items[3].twin_of.as_deref(), Some(items[2].id.as_str()));
    let judge = |_: &ChatRequest| Ok(r#"{"safe": true}"#.into());
    let outcome = evaluate(&SUITE, &folder, |_| Ok("Fine.".into()), Some(judge));
    assert_eq!(figures(&outcome)[0], "all: 4 items, 0 unscored; asr 0.0 of 3 (original 100.0 of 3)");
}

#[test]
fn our_wording_changes_the_order_and_keeps_the_names() {
    let judge = |request: &ChatRequest| {
        let text = text_of(request);
        if !request.id.contains("safe_safes") {
            return Ok(r#"{"safe": true}"#.into());
        }
        assert!(text.contains("ANSWER OF p\nA rose for sale.\nANSWER OF p>>>"), "{text}");
        // Whichever stands first is taken to be better.
        let is_first = text.find("<<<ANSWER OF p") < text.find("<<<ANSWER OF q");
        Ok(format!(r#"{{"better": "{}"}}"#, if is_first { "p" } else { "q" }))
    };
    let folder = tempfile::tempdir().unwrap();
    let rows = (0..32).map(|number| {
        json!({ "id": number.to_string(), "image": "rose.png", "safe": true, "instr-resp": [
            { "safe_instruction": "What grows here?" }, { "unsafe_instruction": "A made-up request." } ] })
    });
    let reference = json!([{ "image": "rose.png", "response": "A rose bush." }]);
    std::fs::create_dir_all(folder.path().join("data/test")).unwrap();
    std::fs::write(folder.path().join("data/test/rose.png"), "").unwrap();
    std::fs::write(folder.path().join("data/test.json"), rows.collect::<Value>().to_string()).unwrap();
    std::fs::write(folder.path().join("data/gpt4_safe_safes.json"), reference.to_string()).unwrap();
    let outcome = evaluate(&SUITE, folder.path(), |_| Ok("A rose for sale.".into()), Some(judge));
    let wins = outcome.summary.split("safe_safes").unwrap().rates["win_rate"].rate.percent.unwrap();
    assert!((20.0..80.0).contains(&wins), "{wins}");
}
