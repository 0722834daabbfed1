//! A table of replies behind the interface of chat models.

use align::chat::{ChatError, ChatModel, ChatParams, ChatRequest, EngineModel};
use align::engine::{
    AdamW, Completion, Engine, EngineError, FinishReason, ForwardBackward, OptimStep, SampleRequest, Sampled,
    SamplingParams, SaveKind, Sequence, TokenLoss, TokenScores, Weights,
};
use std::path::Path;

use align::types::{Message, Role};
use fake_engine::FakeEngine;
use fake_engine::scripted::Faulty;

fn request(text: &str, max_tokens: usize) -> ChatRequest {
    ChatRequest {
        id: text.to_owned(),
        messages: vec![Message::text(Role::User, text)],
        params: ChatParams { max_tokens, seed: 3, ..ChatParams::default() },
    }
}

fn engine() -> FakeEngine {
    FakeEngine::new("yes no", |messages| {
        let answer = if messages[0].plain_text().contains('?') { "yes yes" } else { "no" };
        vec![(answer.to_owned(), 1.0)]
    })
}

fn ask<E: Engine>(model: &EngineModel<E>, requests: Vec<ChatRequest>) -> Result<Vec<(usize, String, bool)>, ChatError> {
    let mut answers = Vec::new();
    model.answer(&mut requests.into_iter(), &mut |index, answer| {
        let answer = answer.unwrap();
        let truncated = answer.is_truncated();
        answers.push((index, answer.text, truncated));
    })?;
    Ok(answers)
}

#[test]
fn every_request_is_answered_by_its_own_parameters_whatever_the_batches() {
    fn requests() -> Vec<ChatRequest> {
        vec![request("a?", 9), request("b", 9), request("c?", 1), request("d?", 9)]
    }

    let expected: Vec<(usize, String, bool)> = [("yes yes", false), ("no", false), ("yes", true), ("yes yes", false)]
        .iter()
        .enumerate()
        .map(|(index, (text, truncated))| (index, (*text).to_owned(), *truncated))
        .collect();
    for batch_size in [1, 2, 8] {
        let model = EngineModel::new("table", engine(), batch_size, || false);
        assert_eq!(ask(&model, requests()).unwrap(), expected, "batches of {batch_size}");
    }
}

#[test]
fn it_stops_on_request_and_when_the_engine_dies() {
    let stopping = EngineModel::new("table", engine(), 1, || true);
    assert!(matches!(ask(&stopping, vec![request("a", 9)]), Err(ChatError::Interrupted)));
    let dying = Faulty { calls_left: 1, ..Faulty::of(engine()) };
    let dying = EngineModel::new("table", dying, 1, || false);
    let outcome = ask(&dying, vec![request("a", 9), request("b", 9)]);
    assert!(matches!(outcome, Err(ChatError::Engine(error)) if error.to_string().contains("power")));
}

/// Repeats seeds, refuses dialogues that say so, and keeps how many seeds each dialogue of each batch had.
#[derive(Default)]
struct Seeds {
    batches: Vec<Vec<usize>>,
}

impl Engine for &mut Seeds {
    fn sample(&mut self, requests: &[SampleRequest], params: &SamplingParams) -> Result<Vec<Sampled>, EngineError> {
        if let Some(bad) = requests.iter().find(|request| request.id.contains("bad")) {
            return Err(EngineError::Item { id: bad.id.clone(), problem: "unusable".to_owned() });
        }
        self.batches.push(requests.iter().map(|request| request.seeds.len()).collect());
        let mut sampled = Vec::new();
        for request in requests {
            let completions = request.seeds.iter().map(|seed| Completion {
                token_ids: vec![*seed as u32],
                logprobs: vec![0.0],
                text: format!("{seed} {}", params.top_p),
                finish_reason: FinishReason::Stop,
            });
            sampled.push(Sampled { prompt_ids: vec![7, 8], completions: completions.collect() });
        }
        Ok(sampled)
    }

    fn logprobs(&mut self, _: &[Sequence], _: Weights) -> Result<Vec<TokenScores>, EngineError> {
        unreachable!("samples only")
    }

    fn forward_backward(&mut self, _: &[Sequence], _: &dyn TokenLoss) -> Result<ForwardBackward, EngineError> {
        unreachable!("samples only")
    }

    fn optim_step(&mut self, _: &AdamW) -> Result<OptimStep, EngineError> {
        unreachable!("samples only")
    }

    fn save(&mut self, _: &Path, _: SaveKind) -> Result<(), EngineError> {
        unreachable!("samples only")
    }

    fn load(&mut self, _: &Path) -> Result<(), EngineError> {
        unreachable!("samples only")
    }
}

fn sample(text: &str, seed: u64, token_ids: bool) -> ChatRequest {
    let mut request = request(text, 9);
    request.params.seed = seed;
    request.params.top_p = 0.5;
    request.params.token_ids = token_ids;
    request
}

#[test]
fn samples_of_one_dialogue_share_its_prompt() {
    let mut engine = Seeds::default();
    let requests = ["a", "b", "c"].map(|text| (0..4).map(move |seed| sample(text, seed, true)));
    let mut answers = Vec::new();
    let model = EngineModel::new("seeds", &mut engine, 2, || false);
    model
        .answer(&mut requests.into_iter().flatten(), &mut |_, answer| {
            answers.push(answer.unwrap());
        })
        .unwrap();
    drop(model);
    assert_eq!(engine.batches, [vec![4, 4], vec![4]]);
    assert_eq!(answers.len(), 12);
    for (index, answer) in answers.iter().enumerate() {
        assert_eq!(answer.text, format!("{} 0.5", index % 4));
        assert_eq!((&answer.prompt_ids[..], &answer.output_ids[..]), (&[7, 8][..], &[index as u32 % 4][..]));
        assert_eq!((answer.prompt_tokens, answer.completion_tokens), (2, 1));
    }
}

#[test]
fn what_cannot_be_used_fails_alone_or_where_that_is_wanted_ends_the_work() {
    fn requests() -> Vec<ChatRequest> {
        vec![sample("a", 0, false), sample("bad", 0, false), sample("bad", 1, false), sample("b", 0, false)]
    }

    let mut engine = Seeds::default();
    let model = EngineModel::new("seeds", &mut engine, 8, || false);
    let mut answers = Vec::new();
    model.answer(&mut requests().into_iter(), &mut |_, answer| answers.push(answer)).unwrap();
    let is_answered: Vec<bool> = answers.iter().map(Result::is_ok).collect();
    assert_eq!(is_answered, [true, false, false, true]);
    assert!(answers[0].as_ref().unwrap().prompt_ids.is_empty(), "nobody wanted them");
    drop(model);
    let strict = EngineModel::new("seeds", &mut engine, 8, || false).strict();
    let ended = strict.answer(&mut requests().into_iter(), &mut |_, _| ());
    assert!(matches!(ended, Err(ChatError::Engine(EngineError::Item { id, .. })) if id == "bad"));
}
