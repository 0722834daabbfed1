//! A table of replies behind the door of chat models.

use align::chat::{ChatError, ChatModel, ChatParams, ChatRequest, EngineModel};
use align::engine::Engine;
use align::types::{Message, Role};
use fake_engine::FakeEngine;
use fake_engine::scripted::Faulty;

fn request(text: &str, max_tokens: usize) -> ChatRequest {
    ChatRequest {
        id: text.to_owned(),
        messages: vec![Message::text(Role::User, text)],
        params: ChatParams {
            temperature: 0.0,
            max_tokens,
            seed: 3,
            schema: None,
        },
    }
}

fn engine() -> FakeEngine {
    FakeEngine::new("yes no", |messages| {
        let answer = if messages[0].plain_text().contains('?') {
            "yes yes"
        } else {
            "no"
        };
        vec![(answer.to_owned(), 1.0)]
    })
}

fn ask<E: Engine>(model: &EngineModel<E>, requests: Vec<ChatRequest>) -> Result<Vec<(usize, String, bool)>, ChatError> {
    let mut answers = Vec::new();
    model.answer(&mut requests.into_iter(), &mut |index, answer| {
        let answer = answer.unwrap();
        answers.push((index, answer.text, answer.is_cut_off));
    })?;
    Ok(answers)
}

#[test]
fn every_request_is_answered_as_it_asks_whatever_the_batches() {
    let requests = || vec![request("a?", 9), request("b", 9), request("c?", 1), request("d?", 9)];
    let expected: Vec<(usize, String, bool)> = [("yes yes", false), ("no", false), ("yes", true), ("yes yes", false)]
        .iter()
        .enumerate()
        .map(|(index, (text, cut_off))| (index, (*text).to_owned(), *cut_off))
        .collect();
    for batch_size in [1, 2, 8] {
        let model = EngineModel::new("table", engine(), batch_size, || false);
        assert_eq!(ask(&model, requests()).unwrap(), expected, "batches of {batch_size}");
    }
}

#[test]
fn it_stops_when_asked_to_and_when_the_engine_dies() {
    let stopping = EngineModel::new("table", engine(), 1, || true);
    assert!(matches!(
        ask(&stopping, vec![request("a", 9)]),
        Err(ChatError::Interrupted)
    ));
    let dying = Faulty {
        calls_left: 1,
        ..Faulty::of(engine())
    };
    let dying = EngineModel::new("table", dying, 1, || false);
    let outcome = ask(&dying, vec![request("a", 9), request("b", 9)]);
    assert!(matches!(outcome, Err(ChatError::Model(reason)) if reason.contains("power")));
}
