//! The fake engine keeps the promises of the engine trait, so that what is tested on it is tested truly.

use super::*;
use align::engine::LossAndGradient;
use align::types::Role;

fn engine() -> FakeEngine {
    FakeEngine::new("red green blue stop now", |_| vec![("red stop".into(), 3.0), ("green stop now".into(), 1.0)])
}

fn question() -> Vec<Message> {
    vec![Message::text(Role::User, "which color ?")]
}

fn request(seeds: std::ops::Range<u64>) -> SampleRequest {
    SampleRequest { id: "question".to_owned(), messages: question(), seeds: seeds.collect() }
}

/// Minus the log-probability of the whole reply.
struct Imitate;

impl TokenLoss for Imitate {
    fn evaluate(&self, _index: usize, scores: &TokenScores) -> LossAndGradient {
        let loss = -scores.logprobs.iter().copied().map(f64::from).sum::<f64>();
        LossAndGradient { loss, gradient: vec![-1.0; scores.logprobs.len()] }
    }
}

fn loss_of(engine: &mut FakeEngine, sequence: &Sequence) -> f64 {
    let scores = engine.logprobs(std::slice::from_ref(sequence), Weights::Current).unwrap();
    Imitate.evaluate(0, &scores[0]).loss
}

#[test]
fn replies_come_as_often_as_their_weights_say() {
    let sampled = engine().sample(&[request(0..2000)], &SamplingParams::default()).unwrap();
    let red = sampled[0].completions.iter().filter(|completion| completion.text == "red stop").count();
    assert!((1420..=1560).contains(&red), "expected about 1500 of 2000, got {red}");
}

#[test]
fn a_seed_decides_its_completion_whatever_else_is_sampled() {
    let params = SamplingParams::default();
    let together = engine().sample(&[request(0..5), request(3..9)], &params).unwrap();
    let alone = engine().sample(&[request(4..5)], &params).unwrap();
    assert_eq!(together[0].completions[4], alone[0].completions[0]);
    assert_eq!(together[1].completions[1], alone[0].completions[0]);
}

#[test]
fn sampled_logprobs_are_the_ones_that_training_computes() {
    let mut engine = engine();
    let sampled = engine.sample(&[request(0..20)], &SamplingParams::default()).unwrap();
    for completion in &sampled[0].completions {
        let reply = Reply::Tokens(completion.token_ids.clone());
        let sequence = Sequence { id: "question".to_owned(), messages: question(), reply };
        let scores = engine.logprobs(&[sequence], Weights::Current).unwrap();
        assert_eq!(scores[0].logprobs, completion.logprobs);
    }
}

#[test]
fn temperature_and_top_p_change_the_distribution_sampled_from() {
    let greedy = SamplingParams { temperature: 0.0, ..SamplingParams::default() };
    let sampled = engine().sample(&[request(0..50)], &greedy).unwrap();
    assert!(sampled[0].completions.iter().all(|completion| completion.text == "red stop"));
    let nucleus = SamplingParams { top_p: 0.7, ..SamplingParams::default() };
    let sampled = engine().sample(&[request(0..50)], &nucleus).unwrap();
    assert!(sampled[0].completions.iter().all(|completion| completion.logprobs.iter().all(|p| p.abs() < 1e-6)));
    let short = SamplingParams { max_new_tokens: 1, ..SamplingParams::default() };
    let sampled = engine().sample(&[request(0..5)], &short).unwrap();
    assert!(sampled[0].completions.iter().all(|completion| completion.finish_reason == FinishReason::Length));
}

#[test]
fn gradients_agree_with_finite_differences() {
    let sequence =
        Sequence { id: "question".to_owned(), messages: question(), reply: Reply::Text("green stop".into()) };
    let mut engine = engine();
    // One step of plain gradient descent along each coordinate is read off through the loss itself.
    engine.forward_backward(std::slice::from_ref(&sequence), &Imitate).unwrap();
    engine.optim_step(&AdamW { learning_rate: 0.0, ..AdamW::default() }).unwrap();
    engine.forward_backward(std::slice::from_ref(&sequence), &Imitate).unwrap();
    let gradients = engine.table.gradients.clone();
    assert_eq!(gradients.len(), 3);
    for (place, gradient) in gradients {
        for (word, expected) in gradient.iter().enumerate() {
            let [above, below, _] = [1e-2, -1e-2, 0.0].map(|by| {
                engine.table.rows.get_mut(&place).unwrap().logits[word] = by;
                loss_of(&mut engine, &sequence)
            });
            let slope = (above - below) / 2e-2;
            assert!((slope - expected).abs() < 1e-3, "{place:?} {word}: expected {expected}, got {slope}");
        }
    }
}

#[test]
fn training_moves_the_policy_and_leaves_the_reference() {
    let mut engine = engine();
    let sequence = Sequence { id: "question".to_owned(), messages: question(), reply: Reply::Text("blue now".into()) };
    let before = engine.logprobs(std::slice::from_ref(&sequence), Weights::Reference).unwrap();
    for _ in 0..60 {
        engine.forward_backward(std::slice::from_ref(&sequence), &Imitate).unwrap();
        let step = engine.optim_step(&AdamW { learning_rate: 0.3, ..AdamW::default() }).unwrap();
        assert!(step.grad_norm > 0.0);
    }
    assert!(loss_of(&mut engine, &sequence) < 0.05);
    assert_eq!(engine.logprobs(&[sequence], Weights::Reference).unwrap(), before);
}

fn train(engine: &mut FakeEngine, sequence: &Sequence) {
    engine.forward_backward(std::slice::from_ref(sequence), &Imitate).unwrap();
    let optimizer = AdamW { learning_rate: 0.1, ..AdamW::default() };
    engine.optim_step(&optimizer).unwrap();
}

#[test]
fn a_checkpoint_brings_back_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = folder.path().join("checkpoint-1");
    let sequence = Sequence { id: "question".to_owned(), messages: question(), reply: Reply::Text("blue".into()) };
    let mut engine = engine();
    train(&mut engine, &sequence);
    engine.save(&checkpoint, SaveKind::Checkpoint).unwrap();
    train(&mut engine, &sequence);
    let mut again = self::engine();
    again.load(&checkpoint).unwrap();
    assert_ne!(again.state(), engine.state());
    train(&mut again, &sequence);
    assert_eq!(again.state(), engine.state());
}

#[test]
fn bad_replies_and_corrupt_checkpoints_are_named() {
    let mut engine = engine();
    for (reply, problem) in [
        (Reply::Text("mauve".into()), "word `mauve`: not in the vocabulary"),
        (Reply::Tokens(vec![6]), "token 6: expected one below 6"),
    ] {
        let sequence = Sequence { id: "question".to_owned(), messages: question(), reply };
        let error = engine.logprobs(&[sequence], Weights::Current).unwrap_err();
        assert_eq!(error.to_string(), problem);
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("fake_engine.json"), "{").unwrap();
    let corrupt = engine.load(folder.path()).unwrap_err().to_string();
    assert!(corrupt.contains("fake_engine.json: EOF while parsing"), "{corrupt}");
}
