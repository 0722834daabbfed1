//! Responses of every form, whole and spoiled: none panics, and none is an answer that did not end well. More cases
//! with the environment variable `PROPTEST_CASES`.

use align::chat::json_object;
use futures_util::FutureExt;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::json;

use super::*;

const VERDICT: &str = r#"{"safe": false}"#;

fn read(verb: &Verb, text: &str, content_type: &str) -> Tried {
    let settings = RoleSettings::default();
    let request = align::paint::PaintRequest { id: String::new(), prompt: String::new(), size: 1, seed: 0 };
    let body = WireBody::paint(&request, &settings);
    verb.read(text, content_type, &body, &Secrets::default(), &settings).now_or_never().unwrap()
}

/// The text of an answer; none where there is none.
fn answer(text: &str, content_type: &str) -> Option<String> {
    match read(&Verb::Chat, text, content_type) {
        Tried::Ended(Outcome { answer: Ok(answer), .. }) => Some(answer.text),
        _ => None,
    }
}

/// What endpoints say in a field, and whether an answer may be there then.
fn finish_reasons() -> impl Strategy<Value = (Value, bool)> {
    let well = [Value::Null, json!("stop"), json!("length"), json!("end_turn"), json!("EOS")];
    let badly = [json!("error"), json!("abort"), json!("content_filter"), json!("tool_calls"), json!(1), json!({})];
    let well = well.map(|reason| (reason, true)).into_iter();
    select(well.chain(badly.map(|reason| (reason, false))).collect::<Vec<_>>())
}

fn contents() -> impl Strategy<Value = (Value, bool)> {
    select(vec![
        (json!(VERDICT), true),
        (json!([{ "type": "text", "text": VERDICT }]), true),
        (json!([{ "type": "thinking", "thinking": VERDICT }]), false),
        (json!(" "), false),
        (Value::Null, false),
        (json!(7), false),
    ])
}

fn errors() -> impl Strategy<Value = (Value, bool)> {
    select(vec![
        (Value::Null, true),
        (json!({}), true),
        (json!({ "code": 502, "message": "gone" }), false),
        (json!({ "code": "x" }), false),
        (json!("gone"), false),
        (json!([]), false),
    ])
}

/// A response and its type, and whether it is an answer.
fn responses() -> impl Strategy<Value = (String, &'static str, bool)> {
    (finish_reasons(), contents(), errors(), errors(), select(vec!["json", "stream", "cut stream", "cut json"]))
        .prop_map(|((finish_reason, ended), (content, is_said), (of_choice, is_choice), (of_body, is_body), form)| {
            let message = json!({ "content": content, "reasoning_content": "A draft: {\"safe\": true}" });
            let choice = json!({ "index": 0, "message": message, "finish_reason": finish_reason, "error": of_choice });
            let whole = json!({ "choices": [choice], "error": of_body }).to_string();
            let is_answer = ended && is_said && is_choice && is_body;
            match form {
                "json" => (whole, "application/json", is_answer),
                "stream" => (format!(": hm\n\ndata: {whole}\n\ndata: [DONE]\n\n"), "text/event-stream", is_answer),
                "cut stream" => (format!("data: {}", &whole[..whole.len() / 2]), "", false),
                _ => (whole[..whole.len() - 1].to_owned(), "", false),
            }
        })
}

proptest! {
    #[test]
    fn only_what_ended_well_is_an_answer((text, content_type, is_answer) in responses()) {
        let answer = answer(&text, content_type);
        prop_assert_eq!(answer.as_deref(), is_answer.then_some(VERDICT), "{}", text);
    }

    #[test]
    fn spoiled_responses_are_no_verdicts_but_of_whole_successes(
        (text, content_type, _) in responses(),
        changes in proptest::collection::vec((any::<Index>(), any::<u8>(), 0..3_u8), 0..6),
    ) {
        let mut bytes = text.into_bytes();
        for (at, byte, kind) in changes {
            let at = at.index(bytes.len().max(1));
            match kind {
                0 => bytes.insert(at, byte),
                1 => drop((at < bytes.len()).then(|| bytes.remove(at))),
                _ => bytes.truncate(at),
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        let _ = read(&Verb::Paint { folder: "none".into() }, &text, content_type);
        let verdict = answer(&text, content_type).and_then(|answer| json_object(&answer, false).ok());
        if verdict.is_some() {
            let plain: Option<Value> = serde_json::from_str(&text).ok();
            let whole = plain.or_else(|| event_stream::response(&text).ok()).unwrap();
            prop_assert!(!is_error(&whole["error"]) && !is_error(&whole["choices"][0]["error"]));
            let reason = whole["choices"][0]["finish_reason"].as_str().unwrap_or_default().to_lowercase();
            prop_assert!(["", "stop", "length", "end_turn", "eos"].contains(&reason.as_str()), "{}", text);
        }
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in select(vec!["", "text/event-stream"])) {
        let text = String::from_utf8_lossy(&bytes);
        prop_assert_eq!(answer(&text, kind), None);
        let _ = crate::fault::Fault::of(400, None, &text);
    }
}
