//! Endpoints that take only so many calls, that are out of reach, and a user who wants to stop: requests wait, none is
//! written down as failed for what it has not done.

mod common;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use align::chat::ChatError;
use common::{ask, echo, open, open_until, settings};
use endpoint::{Journal, RoleSettings};
use fake_endpoint::{FakeEndpoint, Reply, completion};

fn too_many(retry_after: Option<&'static str>) -> Reply {
    Reply { status: 429, retry_after, body: "slow down".to_owned() }
}

fn answered(words: &str) -> Reply {
    Reply { status: 200, retry_after: None, body: completion(&echo(words)) }
}

/// An endpoint that lets so many calls in for each window of time.
fn limited(calls: usize, window: Duration, retry_after: Option<&'static str>) -> FakeEndpoint {
    let began = Instant::now();
    let let_in = Mutex::new((0, 0));
    FakeEndpoint::start_responding(move |call| {
        let now = began.elapsed().as_millis() / window.as_millis();
        let mut let_in = let_in.lock().unwrap();
        if let_in.0 != now {
            *let_in = (now, 0);
        }
        let_in.1 += 1;
        if let_in.1 > calls { too_many(retry_after) } else { answered(call.words) }
    })
    .unwrap()
}

#[test]
fn a_rate_limit_fails_no_request_whatever_the_concurrency() {
    for retry_after in [Some("0"), None, Some("0.2")] {
        let fake = limited(20, Duration::from_millis(200), retry_after);
        let folder = tempfile::tempdir().unwrap();
        let few_tries = RoleSettings { max_retries: 1, ..settings(&fake.url()) };
        let (ended, outcomes) = ask(&open(few_tries, folder.path()), 200);
        ended.unwrap();
        assert!(outcomes.iter().flatten().all(Result::is_ok), "{retry_after:?}");
        let counts = fake.counts();
        assert!(counts.answered.values().all(|&times| times == 1));
        // 64 at once, every time they are let go, would be three in four refused.
        assert!(counts.calls < 3 * 200, "{retry_after:?}: {} calls", counts.calls);
    }
}

#[test]
fn an_endpoint_that_takes_no_calls_ends_the_work_and_nothing_is_held_against_requests() {
    let refusing = [(Some("3600"), "slow down"), (None, "insufficient_quota: pay first")];
    for (retry_after, body) in refusing {
        let fake =
            FakeEndpoint::start_responding(move |_| Reply { body: body.to_owned(), ..too_many(retry_after) }).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let endpoint = open(settings(&fake.url()), folder.path());
        let (ended, outcomes) = ask(&endpoint, 100);
        let message = ended.unwrap_err().to_string();
        assert!(message.contains("cannot be used") && message.contains(body), "{message}");
        assert_eq!(outcomes.iter().flatten().count(), 0);
        assert_eq!(endpoint.spending().calls, 0);
    }
}

#[test]
fn an_outage_is_waited_for_and_a_long_one_ends_the_work_with_nothing_recorded() {
    let fake = FakeEndpoint::start(echo, 0).unwrap();
    let (url, port) = (fake.url(), fake.port());
    drop(fake);
    let folder = tempfile::tempdir().unwrap();
    let impatient = RoleSettings { max_outage: 0.5, ..settings(&url) };
    let endpoint = open(impatient, folder.path());
    let (ended, outcomes) = ask(&endpoint, 100);
    let message = ended.unwrap_err().to_string();
    assert!(message.contains("out of reach for "), "{message}");
    assert_eq!(outcomes.iter().flatten().count(), 0);
    assert_eq!(endpoint.spending().calls, 0);
    drop(endpoint);

    let patient = open(settings(&url), folder.path());
    let fake = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(600));
        FakeEndpoint::start_at(port, echo, 0).unwrap()
    });
    let (ended, outcomes) = ask(&patient, 100);
    ended.unwrap();
    assert!(outcomes.iter().flatten().all(Result::is_ok));
    assert_eq!(fake.join().unwrap().counts().calls, 100);
}

#[test]
fn who_wants_to_stop_waits_for_no_further_try_and_no_failure_is_written_down() {
    static WANTS_STOP: AtomicBool = AtomicBool::new(false);
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let fake = FakeEndpoint::start_responding(|_| {
        if CALLS.fetch_add(1, Ordering::SeqCst) == 20 {
            WANTS_STOP.store(true, Ordering::SeqCst);
        }
        Reply { status: 500, retry_after: None, body: "sorry".to_owned() }
    })
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let endpoint = open_until(settings(&fake.url()), folder.path(), || WANTS_STOP.load(Ordering::SeqCst));
    let began = Instant::now();
    let (ended, outcomes) = ask(&endpoint, 200);
    assert!(matches!(ended, Err(ChatError::Interrupted)), "{ended:?}");
    assert_eq!(outcomes.iter().flatten().count(), 0);
    assert_eq!(endpoint.spending().calls, 0);
    // Eight further tries would take minutes.
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_journal_is_used_by_one_process_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("judge.journal.sqlite");
    let first = Journal::open(&path).unwrap();
    let message = Journal::open(&path).unwrap_err();
    assert!(message.contains("judge.journal.sqlite: another process is using this journal"), "{message}");
    drop(first);
    Journal::open(&path).unwrap();
}
