//! How a server ends.

use serde_json::{Value, json};

use crate::client::{Server, request};

fn streamed(server: &Server, n_tokens: usize) -> impl Iterator<Item = String> + use<> {
    let more = json!({ "max_tokens": n_tokens, "ignore_eos": true, "temperature": 0 });
    server.stream(&request(&json!("What is a kettle?"), &more))
}

#[test]
fn on_termination_it_finishes_what_is_under_way_and_admits_nothing() {
    let mut server = Server::start(&[]);
    let mut events = streamed(&server, 600);
    events.next().expect("an event");
    server.terminate();
    while server.get("/health").status == 200 {}
    assert_eq!(server.get("/health").json(), json!({ "status": "stopping" }));
    let refused = server.chat(&request(&json!("Hello"), &json!({})));
    assert_eq!(refused.refusal(503, "stopping"), "the server is stopping");
    assert_eq!(refused.retry_after.as_deref(), Some("1"));
    let rest: Vec<String> = events.collect();
    assert_eq!(rest.last().map(String::as_str), Some("[DONE]"));
    let last: Value = serde_json::from_str(&rest[rest.len() - 2]).unwrap();
    assert_eq!(last["choices"][0]["finish_reason"], "length");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn what_takes_too_long_is_truncated_and_the_exit_code_says_so() {
    let mut server = Server::start(&["--shutdown-timeout", "0"]);
    let mut events = streamed(&server, 4000);
    events.next().expect("an event");
    server.terminate();
    assert_eq!(server.wait().code(), Some(6));
}
