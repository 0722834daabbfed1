//! Makes many calls to an endpoint that spoils some of them, and prints what came of it as one JSON line.
//!
//!     cargo run --release -p endpoint --example ten_thousand_calls -- [CALLS] [IN_FLIGHT] [FAULTS_PER_HUNDRED]
//!
//! Client and endpoint share one process, so memory and processor time are those of both.

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use align::chat::{ChatModel, ChatParams, ChatRequest};
use align::types::{Message, Role};
use endpoint::{Endpoint, Journal, RoleSettings};
use fake_endpoint::FakeEndpoint;
use serde_json::json;

fn main() -> Result<(), Box<dyn Error>> {
    let mut numbers = std::env::args().skip(1).map(|word| word.parse::<usize>());
    let mut next = |default: usize| numbers.next().unwrap_or(Ok(default));
    let (calls, concurrency, faulty) = (next(10_000)?, next(1_000)?, next(20)?);
    let fake = FakeEndpoint::start(|words| format!("echo {words}"), faulty as u64)?;
    let folder = tempfile::tempdir()?;
    let journal = Journal::open(&folder.path().join("journal.sqlite"))?;
    let settings = RoleSettings {
        url: fake.url(),
        model: "fake".to_owned(),
        api_key_env: "NO_SUCH_KEY".to_owned(),
        concurrency,
        timeout: 5.0,
        max_retries: 9,
        ..RoleSettings::default()
    };
    let endpoint = Endpoint::new("judge", settings, Arc::new(journal), || false)?;
    let (mut answered, mut failed) = (0, 0);
    let mut requests = (0..calls).map(|number| ChatRequest {
        id: format!("r{number}"),
        messages: vec![Message::text(Role::User, format!("question {number}"))],
        params: ChatParams { max_tokens: 16, ..ChatParams::default() },
    });
    let began = Instant::now();
    endpoint.answer(&mut requests, &mut |_, answer| match answer {
        Ok(_) => answered += 1,
        Err(_) => failed += 1,
    })?;
    let counts = fake.counts();
    let paid_twice = counts.answered.values().filter(|&&times| times > 1).count();
    let report = json!({
        "calls": calls, "answered": answered, "failed": failed, "paid_twice": paid_twice, "made": counts.calls,
        "spoiled": counts.failures.values().sum::<usize>(), "seconds": began.elapsed().as_secs_f64(),
        "peak_rss_mb": peak_rss_mb(),
    });
    println!("{report}");
    Ok(())
}

/// The process's largest resident memory; none where the system does not tell.
fn peak_rss_mb() -> Option<f64> {
    let status = fs_err::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes / 1024.0)
}
