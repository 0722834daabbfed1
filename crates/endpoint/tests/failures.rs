//! Calls to an endpoint that spoils one in five: every request ends answered or failed, none is lost, none is paid for
//! twice, and what the journal holds costs nothing again.

mod common;

use std::sync::Arc;

use common::{ask, echo, open, settings};
use endpoint::{Endpoint, Journal, RoleSettings};
use fake_endpoint::FakeEndpoint;

const REQUESTS: usize = 400;

#[test]
fn every_request_ends_once_and_is_paid_for_once() {
    let fake = FakeEndpoint::start(echo, 20).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let endpoint = open(settings(&fake.url()), folder.path());
    let (ended, outcomes) = ask(&endpoint, REQUESTS);
    ended.unwrap();
    let counts = fake.counts();
    assert!(counts.failures.len() >= 8, "kinds of failures met: {:?}", counts.failures);
    let answered = outcomes.iter().flatten().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(answered, REQUESTS, "{:?}", outcomes.iter().flatten().find(|outcome| outcome.is_err()));
    for (number, outcome) in outcomes.iter().flatten().enumerate() {
        let text = outcome.as_deref().unwrap();
        // A model's wrong or refusing answer is an answer; judging it is not the endpoint's work.
        let spoiled = ["{\"verdict\":\"fine\"}", "I cannot judge that."];
        assert!(text == format!("echo question {number}") || spoiled.contains(&text), "{number}: {text}");
    }
    assert!(counts.answered.values().all(|&times| times == 1), "an answer was paid for twice");
    assert_eq!(counts.answered.len(), REQUESTS);
    let spending = endpoint.spending();
    assert_eq!((spending.calls, spending.failed), (REQUESTS as u64, 0));
    assert_eq!((spending.prompt_tokens, spending.completion_tokens), (40_000, 4_000));
    assert!((spending.cost - 800.0).abs() < 1e-6);
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
    assert!(failed > 20, "{failed} failed");
    assert_eq!(endpoint.spending().failed, failed as u64);
    let reasons: String = first.iter().flatten().filter_map(|outcome| outcome.clone().err()).collect();
    for expected in ["500 Internal Server Error: sorry", "expected JSON", "(tried 1 times)"] {
        assert!(reasons.contains(expected), "no `{expected}` in {reasons}");
    }

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
    assert!(fake.counts().answered.values().all(|&times| times == 1));
    for (first, second) in first.iter().flatten().zip(second.iter().flatten()) {
        assert!(first.is_err() || first == second);
    }
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
fn calls_keep_to_a_rate() {
    let fake = FakeEndpoint::start(echo, 0).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let slow = RoleSettings { requests_per_minute: 1200, ..settings(&fake.url()) };
    let began = std::time::Instant::now();
    ask(&open(slow, folder.path()), 11).0.unwrap();
    // Ten gaps of a twentieth of a second; a lower bound, so no load of the machine can spoil it.
    assert!(began.elapsed().as_secs_f64() >= 0.49);
}
