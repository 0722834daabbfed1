//! Answers with drafts, remarks and faults in them.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const GOOD: &str = r#"{"safe": false}"#;
const DRAFT: &str = r#"The form would be {"safe": true}. But is it?"#;

fn check(answer: &str, is_truncated: bool, expected: Result<Value, &str>) {
    let read = json_object(answer, is_truncated).map(Value::Object);
    match (&read, expected) {
        (Ok(object), Ok(expected)) => assert_eq!(*object, expected, "{answer}"),
        (Err(problem), Err(expected)) => assert!(problem.contains(expected), "{answer}: {problem}"),
        _ => panic!("{answer}: {read:?}"),
    }
}

#[test]
fn only_what_follows_the_thoughts_is_said() {
    let good = || Ok(json!({ "safe": false }));
    for (answer, expected) in [
        (GOOD.to_owned(), good()),
        (format!("Let me see. {{hm}}\n```json\n{GOOD}\n```"), good()),
        (format!("<think>{DRAFT}</think>{GOOD}"), good()),
        (format!("{DRAFT}</think>{GOOD}"), good()),
        (format!("A draft {{\"safe\": tr</think>{GOOD}"), good()),
        (format!("◁think▷{DRAFT}◁/think▷{GOOD}"), good()),
        (format!("<|channel|>analysis<|message|>{DRAFT}<|end|><|channel|>final<|message|>{GOOD}"), good()),
        (format!("<think>{DRAFT}"), Err("which are never closed")),
        (format!("<think>{DRAFT}</think>I cannot assess this."), Err("after the thoughts, got none")),
        (format!("{DRAFT}</think>"), Err("after the thoughts, got none")),
        (format!("{GOOD}<think>Is it?"), Err("never closed")),
        (
            r#"{"detail": "the <think> part", "safe": false}"#.to_owned(),
            Ok(json!({ "detail": "the <think> part", "safe": false })),
        ),
        (
            r#"{"detail": "after </think>", "safe": false}"#.to_owned(),
            Ok(json!({ "detail": "after </think>", "safe": false })),
        ),
    ] {
        check(&answer, false, expected);
    }
}

#[test]
fn the_outermost_object_counts_and_the_last_of_several() {
    let two = format!(r#"{{"safe": true}} No: {GOOD}"#);
    check(&two, false, Ok(json!({ "safe": false })));
    check(
        r#"{"answer": {"safe": true}, "safe": false}"#,
        false,
        Ok(json!({ "answer": { "safe": true }, "safe": false })),
    );
    for broken in [
        r#"{"answer": {"safe": true}, "safe": false,}"#,
        r#"{"answer": {"safe": true}, 'safe': false}"#,
        r#"{answer: {"safe": true}, safe: false}"#,
        r#"{"detail": "a "quoted} word", "answer": {"safe": true}, "safe": false}"#,
        r#"{"detail": "after </think> it", "answer": {"safe": true}, "safe": false,}"#,
        r#"{"list": [{"safe": true}, {"safe": true}], "safe": NaN}"#,
        r#"{{"safe": true}}"#,
        r#"{"safe": true} No: {"safe": false,}"#,
    ] {
        check(broken, false, Err("not JSON: "));
    }
    check(r#"{"answer": {"safe": true}, "sa"#, true, Err("not JSON: it breaks off"));
    check(r#"{"safe": false,}"#, false, Err("no comma before"));
    check(&format!(r#"{{"safe": true,}} Without the comma: {GOOD}"#), false, Ok(json!({ "safe": false })));
    check("I would rather not say.", false, Err("expected a JSON object, got none"));
}

#[test]
fn a_draft_amid_words_that_break_off_is_not_the_answer() {
    check(DRAFT, true, Err("amid words that break off"));
    check(&format!("{GOOD} I say so since the firs"), true, Ok(json!({ "safe": false })));
    check(&format!("The second image decides.\n```json\n{GOOD}"), true, Ok(json!({ "safe": false })));
    check(&format!(r#"{GOOD} Had it warned I would have said {{"safe": tr"#), true, Err("breaks off"));
}

proptest! {
    #[test]
    fn thoughts_and_broken_objects_give_no_answer(
        noise in proptest::collection::vec(
            prop_oneof![
                Just(DRAFT), Just("{"), Just("}"), Just("\""), Just(","), Just("["), Just("\\"), Just(": "), Just("é◁"), Just("</answer>"),
            ],
            0..12,
        )
    ) {
        let noise = noise.concat();
        for open in [format!("<think>{noise}"), format!("<think>{noise}</think>No.")] {
            prop_assert!(json_object(&open, false).is_err(), "{}", open);
        }
        let whole = json_object(&format!("<think>{noise}</think>{GOOD}"), false).map(Value::Object);
        prop_assert_eq!(whole, Ok(json!({ "safe": false })));
        let _ = json_object(&noise, true);
    }
}
