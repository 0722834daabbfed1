//! Calls to an endpoint that spoils one in five: every request ends answered or failed, none is lost, none is paid for
//! twice, and what the journal holds costs nothing again. One that fails everybody is an outage.

mod common;

use std::sync::Arc;

use common::{ask, echo, open, settings};
use endpoint::{Endpoint, Journal, RoleSettings};
use fake_endpoint::{Call, Failure, FakeEndpoint, Reply, completion};
use serde_json::json;

const REQUESTS: usize = 400;

/// A model's wrong or refusing answer is an answer; judging it is not the endpoint's work.
fn check_answer(text: &str, number: usize) {
    let right = format!("echo question {number}");
    let is_spoiled = text == "{\"verdict\":\"fine\"}" || text == "I cannot judge that." || text.starts_with("<think>");
    assert!(text == right || is_spoiled, "{number}: {text}");
}

#[test]
fn every_request_ends_once_and_is_paid_for_once() {
    let fake = FakeEndpoint::start(echo, 20).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let endpoint = open(settings(&fake.url()), folder.path());
    let (ended, outcomes) = ask(&endpoint, REQUESTS);
    ended.unwrap();
    let counts = fake.counts();
    assert!(counts.failures.len() >= 8, "kinds of failures met: {:?}", counts.failures);
    let mut failed = 0;
    for (number, outcome) in outcomes.iter().flatten().enumerate() {
        match outcome {
            Ok(text) => check_answer(text, number),
            // Of its own: no other call was to blame, and none is made again unless somebody asks for it.
            Err(reason) => {
                let known = ["the reply is empty", "with finish_reason `error`", "the input was flagged"];
                assert!(known.iter().any(|known| reason.contains(known)), "{number}: {reason}");
                failed += 1;
            }
        }
    }
    let of_failure = |failure| counts.failures.get(&failure).copied().unwrap_or(0);
    let flagged = of_failure(Failure::Flagged);
    assert_eq!(failed, flagged + of_failure(Failure::EmptyReply) + of_failure(Failure::BrokenOff));
    assert!(counts.answered.values().all(|&times| times == 1), "an answer was paid for twice");
    let paid = REQUESTS - flagged;
    assert_eq!(counts.answered.len(), paid);
    let spending = endpoint.spending();
    assert_eq!((spending.calls, spending.failed), (REQUESTS as u64, failed as u64));
    assert_eq!((spending.prompt_tokens, spending.completion_tokens), (100 * paid as u64, 10 * paid as u64));
    assert!((spending.cost - 2.0 * paid as f64).abs() < 1e-6);
    assert_eq!(counts.with_length, counts.calls, "a length was not told");

    // Again, and by another process: from the journal alone.
    drop(endpoint);
    let journal = Arc::new(Journal::open(&folder.path().join("journal.sqlite")).unwrap());
    let again = Endpoint::new("judge", settings(&fake.url()), journal.clone(), || false).unwrap();
    let (ended, repeated) = ask(&again, REQUESTS);
    ended.unwrap();
    assert_eq!(repeated, outcomes);
    assert_eq!((fake.counts().calls, journal.answered("judge")), (counts.calls, REQUESTS as u64));
    assert_eq!(again.spending(), spending);
}

#[test]
fn a_sick_endpoint_fails_each_request_and_a_later_try_asks_for_those_alone() {
    let fake = FakeEndpoint::start(echo, 100).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let hasty = RoleSettings { max_retries: 0, timeout: 0.3, ..settings(&fake.url()) };
    let endpoint = open(hasty.clone(), folder.path());
    let (ended, first) = ask(&endpoint, 60);
    ended.unwrap();
    let failed = first.iter().flatten().filter(|outcome| outcome.is_err()).count();
    assert!(failed > 8, "{failed} failed");
    assert_eq!(endpoint.spending().failed, failed as u64);
    let reasons: String = first.iter().flatten().filter_map(|outcome| outcome.clone().err()).collect();
    assert!(reasons.contains("(tried "), "{reasons}");

    let calls = fake.counts().calls;
    drop(endpoint);
    let unchanged = open(hasty.clone(), folder.path());
    assert_eq!(ask(&unchanged, 60).1, first);
    drop(unchanged);
    assert_eq!(fake.counts().calls, calls, "failures are kept until they are to be tried again");

    let journal = Journal::open(&folder.path().join("journal.sqlite")).unwrap();
    assert_eq!(journal.forget_failures("judge").unwrap(), failed);
    assert_eq!(journal.forget_failures("writer").unwrap(), 0);
    drop(journal);
    let retried = open(hasty, folder.path());
    let (ended, second) = ask(&retried, 60);
    ended.unwrap();
    assert!(fake.counts().calls >= calls + failed);
    // Paid for again is only what had failed though it was paid for.
    let paid_again: usize = fake.counts().answered.values().map(|times| times - 1).sum();
    assert!(paid_again <= failed, "{paid_again}");
    for (first, second) in first.iter().flatten().zip(second.iter().flatten()) {
        assert!(first.is_err() || first == second);
    }
}

fn bad_gateway() -> Reply {
    let body = "<html><head><title>502 Bad Gateway</title></head></html>".to_owned();
    Reply { status: 502, retry_after: None, body }
}

fn server_error() -> Reply {
    Reply { status: 500, retry_after: None, body: "sorry".to_owned() }
}

fn answered(number: usize) -> Reply {
    Reply { status: 200, retry_after: None, body: completion(&number.to_string()) }
}

#[test]
fn an_endpoint_that_fails_everybody_is_an_outage_and_nothing_is_held_against_requests() {
    let fake = FakeEndpoint::start_responding(|_| bad_gateway()).unwrap();
    for max_retries in [0, 2] {
        let folder = tempfile::tempdir().unwrap();
        let hasty = RoleSettings { max_retries, max_outage: 0.4, concurrency: 4, ..settings(&fake.url()) };
        let calls = fake.counts().calls;
        let endpoint = open(hasty, folder.path());
        let (ended, outcomes) = ask(&endpoint, 1000);
        let message = ended.unwrap_err().to_string();
        assert!(message.contains("without an answer for ") && message.contains("the page \"502 Bad"), "{message}");
        assert_eq!((outcomes.iter().flatten().count(), endpoint.spending().calls), (0, 0));
        // One after the other: no storm of calls goes out to an endpoint that is down.
        assert!(fake.counts().calls - calls < 40, "{} calls", fake.counts().calls - calls);
    }
}

#[test]
fn an_outage_amid_the_work_is_held_against_none_of_the_calls_in_flight() {
    let fake = FakeEndpoint::start_responding({
        let calls = std::sync::atomic::AtomicUsize::new(0);
        move |_| if calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < 20 { answered(0) } else { bad_gateway() }
    })
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let hasty = RoleSettings { max_retries: 1, max_outage: 0.5, concurrency: 8, ..settings(&fake.url()) };
    let (ended, outcomes) = ask(&open(hasty, folder.path()), 100);
    assert!(ended.unwrap_err().to_string().contains("without an answer for "));
    let ended: Vec<_> = outcomes.iter().flatten().collect();
    assert!(ended.len() == 20 && ended.iter().all(|outcome| outcome.is_ok()), "{ended:?}");
}

#[test]
fn requests_at_which_the_endpoint_always_fails_stop_no_others() {
    /// Makes 12 calls, of which those from the number on that is given fail.
    fn check(concurrency: usize, bad: std::ops::Range<usize>, failure: fn() -> Reply, said: &str) {
        let failing = bad.clone();
        let fake = FakeEndpoint::start_responding(move |call| {
            let number = call.words.rsplit(' ').next().and_then(|word| word.parse().ok()).unwrap_or_default();
            if failing.contains(&number) { failure() } else { answered(number) }
        })
        .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let patient = RoleSettings { max_retries: 1, max_outage: 2.5, concurrency, ..settings(&fake.url()) };
        let (ended, outcomes) = ask(&open(patient, folder.path()), 12);
        ended.unwrap();
        for (number, outcome) in outcomes.iter().flatten().enumerate() {
            match outcome {
                Ok(text) => assert_eq!(*text, number.to_string()),
                Err(reason) => assert!(bad.contains(&number) && reason.starts_with(said), "{number}: {reason}"),
            }
        }
    }

    std::thread::scope(|scope| {
        // All at once, one after the other, and as the last.
        for (concurrency, bad) in [(64, 3..4), (1, 0..1), (1, 11..12)] {
            scope.spawn(move || check(concurrency, bad, bad_gateway, "502 Bad Gateway: the page"));
        }
        for concurrency in [64, 1] {
            scope.spawn(move || check(concurrency, 5..7, server_error, "500 Internal Server Error: sorry"));
        }
    });
}

#[test]
fn a_spent_budget_ends_cleanly_and_more_of_it_goes_on() {
    let fake = FakeEndpoint::start(echo, 0).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let poor = RoleSettings { max_cost: 40.0, concurrency: 4, ..settings(&fake.url()) };
    let endpoint = open(poor.clone(), folder.path());
    let (ended, outcomes) = ask(&endpoint, 100);
    assert_eq!(ended.unwrap_err().to_string(), "stopped: role judge: max_cost of 40 is spent: 40.0000 so far");
    let answered = outcomes.iter().flatten().count();
    assert_eq!((answered, fake.counts().calls), (20, 20), "2 a call");
    drop(endpoint);
    let rich = RoleSettings { max_cost: 400.0, ..poor };
    let (ended, outcomes) = ask(&open(rich, folder.path()), 100);
    ended.unwrap();
    assert_eq!((outcomes.iter().flatten().count(), fake.counts().calls), (100, 100));
}

#[test]
fn an_endpoint_that_cannot_be_used_ends_the_run_at_once() {
    let fake = FakeEndpoint::start(echo, 0).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let lost = RoleSettings { url: fake.url().replace("/v1", "/v2"), ..settings(&fake.url()) };
    let (ended, _) = ask(&open(lost, folder.path()), 100);
    let message = ended.unwrap_err().to_string();
    assert!(message.contains("/v2 cannot be used: 404 Not Found"), "{message}");
    assert_eq!(open(settings(&fake.url()), folder.path()).spending().calls, 0, "nothing is written down as failed");
}

#[test]
fn redirects_that_keep_the_method_are_followed_and_others_end_the_run() {
    fn said(call: &Call) -> Reply {
        let has_key = call.headers.contains_key("authorization");
        Reply { status: 200, retry_after: None, body: completion(&format!("{has_key} {}", echo(call.words))) }
    }

    let fake = FakeEndpoint::start_responding(said).unwrap();
    let other = FakeEndpoint::start_responding(said).unwrap();
    for (status, port, expected) in [
        (307, fake.port(), Ok("true echo question 0")),
        (308, fake.port(), Ok("true echo question 0")),
        (307, other.port(), Ok("false echo question 0")),
        (302, fake.port(), Err("302 Found, to http://127.0.0.1")),
        (301, fake.port(), Err("give that address as url")),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let url = fake.url().replace("/v1", &format!("/moved/{status}/{port}"));
        // A variable that is there in any case stands for a key.
        let moved = RoleSettings { api_key_env: "CARGO_MANIFEST_DIR".to_owned(), ..settings(&url) };
        let (ended, outcomes) = ask(&open(moved, folder.path()), 1);
        match expected {
            Ok(text) => assert_eq!(outcomes[0], Some(Ok(text.to_owned()))),
            Err(expected) => {
                let message = ended.unwrap_err().to_string();
                assert!(message.contains(expected), "{message}");
            }
        }
    }
}

#[test]
fn an_address_may_end_in_what_is_called() {
    let fake = FakeEndpoint::start(echo, 0).unwrap();
    for ending in ["/chat/completions", "/chat/completions/?version=2"] {
        let folder = tempfile::tempdir().unwrap();
        let (ended, outcomes) = ask(&open(settings(&(fake.url() + ending)), folder.path()), 1);
        ended.unwrap();
        assert_eq!(outcomes[0], Some(Ok("echo question 0".to_owned())));
    }
}

#[test]
fn errors_in_the_body_of_a_success_are_told_apart_as_statuses_are() {
    for (error, expected) in [
        (json!({ "code": 502, "message": "Provider returned error" }), Err("without an answer for ")),
        (json!({ "code": 402, "message": "Insufficient credits" }), Err("402 Payment Required: Insufficient credits")),
        (json!({ "code": "400", "message": "too long" }), Ok("400 Bad Request: too long")),
        (json!({ "type": "invalid_request_error", "message": "too long" }), Ok("400 Bad Request: too long")),
        (json!({ "code": 403, "message": "the input was flagged" }), Ok("403 Forbidden: the input was flagged")),
        (json!("no"), Err("500 Internal Server Error: no")),
    ] {
        let body = json!({ "error": error, "choices": [{ "message": { "content": "half" } }] }).to_string();
        let reply = move |_: &Call| Reply { status: 200, retry_after: None, body: body.clone() };
        let (fake, folder) = (FakeEndpoint::start_responding(reply).unwrap(), tempfile::tempdir().unwrap());
        let hasty = RoleSettings { max_retries: 0, max_outage: 0.1, ..settings(&fake.url()) };
        let (ended, outcomes) = ask(&open(hasty, folder.path()), 1);
        match expected {
            Ok(reason) => assert_eq!(outcomes[0], Some(Err(reason.to_owned()))),
            Err(expected) => {
                let message = ended.unwrap_err().to_string();
                assert!(message.contains(expected), "{message}");
                assert_eq!(outcomes[0], None);
            }
        }
    }
}

#[test]
fn calls_keep_to_a_rate() {
    let fake = FakeEndpoint::start(echo, 0).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let slow = RoleSettings { requests_per_minute: 1200, ..settings(&fake.url()) };
    let began = std::time::Instant::now();
    ask(&open(slow, folder.path()), 11).0.unwrap();
    // Ten gaps of a twentieth of a second; a lower bound, so no load of the machine can spoil it.
    assert!(began.elapsed().as_secs_f64() >= 0.49);
}
