//! What answers cost and what they may: empty, refused and uncounted ones, budgets before the first answer, and keys
//! that endpoints give back.

mod common;

use std::path::Path;
use std::sync::Arc;

use align::chat::ChatModel;
use common::{ask, echo, open, requests, settings};
use endpoint::{Endpoint, Journal, RoleSettings, Spending};
use fake_endpoint::{Call, FakeEndpoint, Reply, completion};
use serde_json::{Value, json};

fn reply(status: u16, body: &impl ToString) -> Reply {
    Reply { status, retry_after: None, body: body.to_string() }
}

/// A whole response with a choice of one's own.
fn with_choice(choice: Value) -> String {
    let mut response: Value = serde_json::from_str(&completion("")).unwrap();
    response["choices"][0] = choice;
    response.to_string()
}

/// What the first request gets from an endpoint with that choice, and what is counted.
fn choose(choice: &Value) -> (Result<String, String>, Spending) {
    let body = with_choice(choice.clone());
    let fake = FakeEndpoint::start_responding(move |_| reply(200, &body)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let endpoint = open(settings(&fake.url()), folder.path());
    let (ended, mut outcomes) = ask(&endpoint, 1);
    ended.unwrap();
    assert_eq!(fake.counts().calls, 1, "{choice} was requested again");
    let spent = endpoint.spending();
    drop(endpoint);
    let again = open(settings(&fake.url()), folder.path());
    assert_eq!(again.spending(), spent, "the journal says otherwise");
    (outcomes[0].take().unwrap(), spent)
}

/// Whether an endpoint that replies so refused, as the first caller and then the journal have it.
fn is_refused(status: u16, body: &str) -> [bool; 2] {
    let text = body.to_owned();
    let fake = FakeEndpoint::start_responding(move |_| reply(status, &text)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    [(); 2].map(|()| {
        let mut refused = None;
        let endpoint = open(settings(&fake.url()), folder.path());
        let ended = endpoint.answer(&mut requests(1), &mut |_, answer| refused = Some(answer.unwrap_err().is_refused));
        ended.unwrap();
        assert_eq!(fake.counts().calls, 1, "{body} was requested again");
        refused.unwrap()
    })
}

#[test]
fn what_the_endpoint_refuses_as_harmful_is_known_as_such() {
    let error = |message: &str| json!({ "error": { "message": message } }).to_string();
    let ended = |reason: &str| with_choice(json!({ "message": { "content": "on" }, "finish_reason": reason }));
    let coded = json!({ "message": { "content": "" }, "error": { "code": "content_filter", "message": "no" } });
    for (status, body, expected) in [
        (200, ended("content_filter"), true),
        (200, ended("PROHIBITED_CONTENT"), true),
        (200, with_choice(coded), true),
        (200, ended("abort"), false),
        (200, ended("stop").replace("on", ""), false),
        (400, error("The prompt triggered our content management policy"), true),
        (400, error("This model's maximum context length is 4096 tokens"), false),
        (403, error("The input was flagged"), true),
        (403, error("request rejected: inappropriate content"), true),
        (413, error("too large"), false),
        (451, error("no"), true),
    ] {
        assert_eq!(is_refused(status, &body), [expected; 2], "{status} {body}");
    }
}

#[test]
fn a_journal_of_an_earlier_version_still_opens() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    drop(Journal::open(&path).unwrap());
    let file = rusqlite::Connection::open(&path).unwrap();
    file.execute_batch("ALTER TABLE calls DROP COLUMN refused").unwrap();
    drop(file);
    let body = json!({ "error": { "message": "flagged" } }).to_string();
    let fake = FakeEndpoint::start_responding(move |_| reply(403, &body)).unwrap();
    let (ended, outcomes) = ask(&open(settings(&fake.url()), folder.path()), 1);
    ended.unwrap();
    assert!(outcomes[0].as_ref().unwrap().as_ref().unwrap_err().contains("flagged"));
}

#[test]
fn an_answer_that_ended_well_is_one_and_all_else_is_a_failure_and_paid_for() {
    let parts = json!([{ "type": "thinking", "thinking": [{ "type": "text", "text": "hm" }] },
        { "type": "text", "text": "one " }, { "type": "text", "text": "two" }]);
    for (choice, expected) in [
        (json!({ "message": { "content": parts }, "finish_reason": "stop" }), Ok("one two")),
        (json!({ "message": { "content": "one" }, "finish_reason": null }), Ok("one")),
        (json!({ "message": { "content": "one" }, "finish_reason": "eos_token" }), Ok("one")),
        (json!({ "message": { "content": "one" }, "finish_reason": "MAX_TOKENS" }), Ok("one")),
        (json!({ "message": { "content": "one", "reasoning": "hm" }, "error": null }), Ok("one")),
        (json!({ "message": { "content": null, "refusal": "no" } }), Ok("no")),
        (json!({ "message": { "content": "<think>hm</think>" }, "finish_reason": "stop" }), Ok("<think>hm</think>")),
        (json!({ "message": { "content": null }, "finish_reason": "content_filter" }), Err("content filter")),
        (json!({ "message": { "content": "on" }, "finish_reason": "abort" }), Err("finish_reason `abort`")),
        (
            json!({ "message": { "content": "on" }, "finish_reason": "SAFETY" }),
            Err("content filter stopped the answer (safety)"),
        ),
        (json!({ "message": { "content": "on" }, "finish_reason": 7 }), Err("finish_reason `7`")),
        (
            json!({ "message": { "content": "" }, "finish_reason": "error", "error": { "code": 502, "message": "gone",
                "metadata": { "raw": "upstream" } } }),
            Err("broke the answer off (error): gone (upstream)"),
        ),
        (json!({ "error": "gone" }), Err("broke the answer off (): gone")),
        (json!({ "message": { "content": "on", "error": "gone" }, "finish_reason": "stop" }), Err("gone")),
        (json!({ "message": { "content": null }, "finish_reason": "length" }), Err("the reply is empty")),
        (json!({ "message": { "content": " \n" }, "finish_reason": "stop" }), Err("the reply is empty")),
        (json!({ "message": { "content": null, "tool_calls": [{}] } }), Err("the call of a tool")),
        (
            json!({ "message": { "content": null, "reasoning_content": "{\"safe\": true}" }, "finish_reason": "stop" }),
            Err("all 14 letters stand in `reasoning_content`"),
        ),
        (
            json!({ "message": { "content": "", "reasoning": "I see" }, "finish_reason": "length" }),
            Err("max_tokens was reached while the model was thinking (5 letters in `reasoning`)"),
        ),
    ] {
        let (answer, spent) = choose(&choice);
        match (&answer, expected) {
            (Ok(text), Ok(expected)) => assert_eq!(text, expected),
            (Err(reason), Err(expected)) => assert!(reason.contains(expected), "{reason}"),
            _ => panic!("{choice}: {answer:?}"),
        }
        assert_eq!((spent.calls, spent.failed), (1, u64::from(answer.is_err())));
        assert_eq!((spent.prompt_tokens, spent.cost), (100, 2.0));
    }
}

#[test]
fn thinking_beside_the_text_is_kept_and_joined_for_policies() {
    use align::chat::ChatModel;
    use endpoint::Journal;
    use endpoint::settings::Thinking;
    let message =
        json!({ "content": "Yes.", "reasoning_content": " Both show a cup. ", "reasoning": "Both show a cup." });
    let body = with_choice(json!({ "message": message, "finish_reason": "stop" }));
    let fake = FakeEndpoint::start_responding(move |_| reply(200, &body)).unwrap();
    let joined = "<think>Both show a cup.</think>\nYes.";
    for (role, thinking, text) in [
        ("policy", Thinking::Auto, joined),
        ("policy-2", Thinking::Auto, joined),
        ("judge", Thinking::Auto, "Yes."),
        ("judge", Thinking::Joined, joined),
        ("policy", Thinking::Apart, "Yes."),
    ] {
        // Twice: from the endpoint, and from the journal.
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            let journal = Journal::open(&folder.path().join("journal.sqlite")).unwrap();
            let settings = RoleSettings { thinking, ..settings(&fake.url()) };
            let endpoint = Endpoint::new(role, settings, std::sync::Arc::new(journal), || false).unwrap();
            let mut answers = Vec::new();
            endpoint.answer(&mut common::requests(1), &mut |_, answer| answers.push(answer.unwrap())).unwrap();
            assert_eq!(answers[0].text, text, "{role} {thinking:?}");
            assert_eq!(answers[0].thinking.trim(), if text == joined { "" } else { "Both show a cup." });
        }
    }
}

#[test]
fn what_a_forgotten_failure_cost_is_not_forgotten() {
    let filtered = with_choice(json!({ "message": { "content": null }, "finish_reason": "content_filter" }));
    let fake = FakeEndpoint::start_responding(move |_| reply(200, &filtered)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for round in 1..=3 {
        let journal = endpoint::Journal::open(&folder.path().join("journal.sqlite")).unwrap();
        assert_eq!(journal.forget_failures("judge").unwrap(), usize::from(round > 1));
        drop(journal);
        let endpoint = open(settings(&fake.url()), folder.path());
        ask(&endpoint, 1).0.unwrap();
        assert!((endpoint.spending().cost - 2.0 * f64::from(round)).abs() < 1e-9);
    }
}

#[test]
fn tokens_that_nobody_counts_are_estimated() {
    let fake = FakeEndpoint::start_responding(|call| {
        let mut response: Value = serde_json::from_str(&completion(&echo(call.words))).unwrap();
        response["usage"] = Value::Null;
        reply(200, &response)
    })
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let endpoint = open(settings(&fake.url()), folder.path());
    ask(&endpoint, 10).0.unwrap();
    let spent = endpoint.spending();
    assert_eq!(spent.estimated, 10);
    // "echo question 3" is 15 letters; a request is some 150.
    assert_eq!(spent.completion_tokens, 50);
    assert!((300..1000).contains(&spent.prompt_tokens), "{spent:?}");
    assert!(spent.cost > 0.0);
}

#[test]
fn a_first_wave_of_calls_does_not_go_beyond_the_budget() {
    fn spends_all(_: &Call) -> Reply {
        let mut response: Value = serde_json::from_str(&completion("")).unwrap();
        response["usage"] = json!({ "prompt_tokens": 40, "completion_tokens": 16 });
        reply(200, &response)
    }

    // What a call may take at most follows from its length: 16 tokens written and some 45 read. It takes 16 and 40.
    let of_money = RoleSettings { max_cost: 9.0, ..settings("") };
    let of_tokens = RoleSettings { max_total_tokens: 250, ..settings("") };
    for limited in [of_money, of_tokens] {
        let fake = FakeEndpoint::start_responding(spends_all).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let limited = RoleSettings { url: fake.url(), ..limited };
        let (ended, _) = ask(&open(limited, folder.path()), 100);
        assert!(matches!(ended, Err(align::chat::ChatError::Budget(_))), "{ended:?}");
        assert_eq!(fake.counts().calls, 5, "the fifth of 4.5, and no more");
    }
}

#[test]
fn images_are_reserved_at_their_price() {
    use align::paint::{PaintModel, PaintRequest};
    let fake = FakeEndpoint::start_painting(echo, |_, _| b"\x89PNG".to_vec(), 0).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let painter = RoleSettings { price_image: 0.25, max_cost: 1.0, ..settings(&fake.url()) };
    let mut requests =
        (0..100).map(|seed| PaintRequest { id: format!("p{seed}"), prompt: "a kettle".to_owned(), size: 64, seed });
    let endpoint = open(painter, folder.path());
    endpoint.paint(&mut requests, &mut |_, _| ()).unwrap_err();
    assert_eq!(fake.counts().calls, 4);
}

/// An endpoint that repeats the header that it was sent, as a status or as an answer.
fn repeating(status: u16) -> FakeEndpoint {
    FakeEndpoint::start_responding(move |call: &Call| {
        let header = call.headers["authorization"].to_str().unwrap();
        match status {
            200 => reply(200, &completion(&format!("you are {header}"))),
            _ => reply(status, &json!({ "error": { "message": format!("bad header: {header}") } })),
        }
    })
    .unwrap()
}

fn with_key(url: &str, folder: &Path) -> Endpoint {
    // A variable that is there in any case, since a test cannot set one safely; long enough to be a key.
    let api_key_env = "CARGO_MANIFEST_DIR".to_owned();
    let settings = RoleSettings { api_key_env, max_retries: 0, max_outage: 0.2, ..settings(url) };
    open(settings, folder)
}

#[test]
fn a_key_that_an_endpoint_repeats_is_kept_nowhere() {
    let key = env!("CARGO_MANIFEST_DIR");
    for status in [200, 400, 401, 500] {
        let fake = repeating(status);
        let folder = tempfile::tempdir().unwrap();
        let endpoint = with_key(&fake.url(), folder.path());
        let (ended, mut outcomes) = ask(&endpoint, 1);
        let said = match outcomes[0].take() {
            Some(Ok(text) | Err(text)) => text,
            None => ended.unwrap_err().to_string(),
        };
        assert!(said.contains("Bearer ***") && !said.contains(key), "{status}: {said}");
        drop(endpoint);
        for entry in fs_err::read_dir(folder.path()).unwrap() {
            let bytes = fs_err::read(entry.unwrap().path()).unwrap();
            assert!(!bytes.windows(key.len()).any(|part| part == key.as_bytes()), "{status}");
        }
    }
}

#[test]
fn an_address_is_told_without_what_gives_access() {
    let fake = FakeEndpoint::start(echo, 0).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let url = fake.url().replace("http://", "http://me:my-password@").replace("/v1", "/v2?key=other-secret");
    let (ended, _) = ask(&open(settings(&url), folder.path()), 1);
    let message = ended.unwrap_err().to_string();
    assert!(message.contains(&format!("http://127.0.0.1:{}/v2 cannot be used", fake.port())), "{message}");
    assert!(!message.contains("my-password") && !message.contains("secret"), "{message}");
}

#[test]
fn an_address_without_a_path_is_that_of_v1() {
    let fake = FakeEndpoint::start(echo, 0).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let bare = settings(fake.url().trim_end_matches("/v1"));
    let (ended, outcomes) = ask(&open(bare, folder.path()), 1);
    ended.unwrap();
    assert_eq!(outcomes[0], Some(Ok("echo question 0".to_owned())));
}

#[test]
fn a_budget_over_all_roles_counts_what_the_others_spent() {
    let fake = FakeEndpoint::start(echo, 0).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let journal = Arc::new(Journal::open(&folder.path().join("journal.sqlite")).unwrap());
    // Two a call.
    journal.limit_cost(5.0);
    let role = |name: &str| Endpoint::new(name, settings(&fake.url()), journal.clone(), || false).unwrap();
    let (ended, _) = ask(&role("judge"), 2);
    ended.unwrap();
    let (ended, outcomes) = ask(&role("policy"), 4);
    let message = ended.unwrap_err().to_string();
    assert!(message.contains("max_cost of 5 is spent by all roles together: 6.0000 so far"), "{message}");
    assert_eq!(outcomes.iter().flatten().count(), 1);
    let free = RoleSettings { price_input: 0.0, price_output: 0.0, ..settings(&fake.url()) };
    let (ended, _) = ask(&Endpoint::new("free", free, journal, || false).unwrap(), 4);
    ended.unwrap();
}
