//! What the tests of calls share: an endpoint's settings, requests, and what came of them.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::path::Path;
use std::sync::Arc;

use align::chat::{ChatError, ChatModel, ChatParams, ChatRequest};
use align::types::{Message, Role};
use endpoint::{Endpoint, Journal, RoleSettings};

/// The answer to each request or its failure, where it has ended.
pub type Outcomes = Vec<Option<Result<String, String>>>;

/// Repeats the last line of the question.
pub fn echo(words: &str) -> String {
    format!("echo {}", words.lines().last().unwrap_or_default())
}

pub fn requests(n: usize) -> impl Iterator<Item = ChatRequest> {
    (0..n).map(|number| ChatRequest {
        id: format!("r{number}"),
        messages: vec![Message::text(Role::User, format!("question {number}"))],
        params: ChatParams { max_tokens: 16, ..ChatParams::default() },
    })
}

/// Many calls at once, patience with failures, and answers of 100 and 10 tokens at 2 each.
pub fn settings(url: &str) -> RoleSettings {
    RoleSettings {
        url: url.to_owned(),
        model: "fake".to_owned(),
        api_key_env: "NO_SUCH_KEY".to_owned(),
        concurrency: 64,
        timeout: 1.0,
        max_retries: 8,
        price_input: 1e4,
        price_output: 1e5,
        ..RoleSettings::default()
    }
}

pub fn open(settings: RoleSettings, folder: &Path) -> Endpoint {
    open_until(settings, folder, || false)
}

pub fn open_until(settings: RoleSettings, folder: &Path, wants_stop: fn() -> bool) -> Endpoint {
    let journal = Journal::open(&folder.join("journal.sqlite")).unwrap();
    Endpoint::new("judge", settings, Arc::new(journal), wants_stop).unwrap()
}

/// Makes so many requests.
pub fn ask(endpoint: &Endpoint, n: usize) -> (Result<(), ChatError>, Outcomes) {
    let mut outcomes = vec![None; n];
    let ended = endpoint.answer(&mut requests(n), &mut |index, answer| {
        assert!(outcomes[index].is_none(), "request {index} ended twice");
        outcomes[index] = Some(answer.map(|answer| answer.text).map_err(|failure| failure.reason));
    });
    (ended, outcomes)
}
