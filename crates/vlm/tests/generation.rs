//! Sampling against the published code's greedy tokens, against the scorer, and against itself in other batches.

#[allow(dead_code, reason = "each test file uses its part of what all share")]
mod common;

use std::collections::HashMap;
use std::sync::Arc;

use burn::tensor::Tensor;
use common::{Case, Fixture, assert_close, committed_folder, fixtures, values};
use vlm::batch::{Batch, TokenSequence};
use vlm::generate::{
    Constraint, ContinuousBatch, Event, FinishReason, GenerateOptions, Generated, Member, Prompt, Request, generate,
};
use vlm::model::Vlm;

/// The six cases of a fixture, ended where the reply begins.
struct Prompts {
    fixture: Fixture,
    model: Vlm,
    cases: Vec<Case>,
    images: Vec<Option<Tensor<2>>>,
}

impl Prompts {
    fn of(fixture: Fixture) -> Self {
        let device = common::device();
        let model = Vlm::load(&fixture.model_folder(), &device).unwrap();
        let mut cases = fixture.cases();
        for case in &mut cases {
            case.ids.truncate(fixture.integers(&format!("{}.prompt_len", case.id))[0] as usize);
        }
        let mut images = Vec::new();
        for case in &cases {
            let pixels = fixture.pixel_values(case, &device);
            images.push(pixels.map(|pixels| model.encode_images(pixels, &case.grids).unwrap()));
        }
        Self { fixture, model, cases, images }
    }

    fn with_seeds<'a>(&'a self, seeds: &'a [Vec<u64>]) -> Vec<Prompt<'a>> {
        let parts = self.cases.iter().zip(&self.images).zip(seeds);
        parts
            .map(|((case, images), seeds)| Prompt { sequence: case.sequence(), images: images.clone(), seeds })
            .collect()
    }

    fn sample(&self, seeds: &[Vec<u64>], options: &GenerateOptions) -> Vec<Vec<Generated>> {
        generate(&self.model, &self.with_seeds(seeds), options).unwrap()
    }

    /// Every completion computed with no other beside it.
    fn sample_alone(&self, seeds: &[Vec<u64>], options: &GenerateOptions) -> Vec<Vec<Generated>> {
        let mut completions = Vec::new();
        for prompt in self.with_seeds(seeds) {
            let alone = prompt.seeds.iter().map(|seed| Prompt { seeds: std::slice::from_ref(seed), ..prompt.clone() });
            let alone = alone.map(|prompt| generate(&self.model, &[prompt], options).unwrap().concat());
            completions.push(alone.flatten().collect());
        }
        completions
    }
}

/// Groups of unequal size.
fn seeds() -> Vec<Vec<u64>> {
    [3, 1, 4, 2, 1, 5]
        .iter()
        .enumerate()
        .map(|(case, n)| (0..*n).map(|seed| 100 * case as u64 + seed).collect())
        .collect()
}

fn options() -> GenerateOptions {
    GenerateOptions { max_new_tokens: 40, ignore_eos: true, ..GenerateOptions::default() }
}

#[test]
fn greedy_tokens_are_those_of_the_published_code() {
    for prompts in fixtures().into_iter().map(Prompts::of) {
        let options = GenerateOptions {
            temperature: 0.0,
            max_new_tokens: 24,
            stop_tokens: vec![555, 557],
            ignore_eos: true,
            ..GenerateOptions::default()
        };
        let completions = prompts.sample(&vec![vec![0]; 6], &options);
        for (case, completions) in prompts.cases.iter().zip(&completions) {
            let expected = prompts.fixture.integers(&format!("{}.greedy", case.id));
            let got: Vec<i64> = completions[0].token_ids.iter().map(|&token| i64::from(token)).collect();
            assert_eq!(got, expected, "{}", case.id);
            assert_eq!(completions[0].finish_reason, FinishReason::Length);
        }
    }
}

/// The log-probabilities that the model gives `tokens` when they are scored in one pass.
fn scored(model: &Vlm, prompt: &Prompt, tokens: &[u32]) -> Vec<f32> {
    let ids = [prompt.sequence.ids, tokens].concat();
    let batch = Batch::new(&[TokenSequence { ids: &ids, ..prompt.sequence }], model.config()).unwrap();
    let hidden = model.hidden_states(&batch, prompt.images.clone()).unwrap();
    let first = prompt.sequence.ids.len() - 1;
    let rows: Vec<usize> = (first..first + tokens.len()).collect();
    values(model.token_scores(hidden, &rows, tokens).unwrap().logprobs)
}

/// Compares a completion's log-probabilities with the scorer's; returns how many.
fn compare_with_scores(model: &Vlm, prompt: &Prompt, completion: &Generated) -> usize {
    let tokens = &completion.token_ids;
    // Read back, image and video tokens would be placeholders: compare what comes before the first.
    let first = tokens.iter().position(|token| [567, 568].contains(token));
    let n = first.unwrap_or(tokens.len());
    let scored = scored(model, prompt, &tokens[..n]);
    assert_close("sampled against scored", &completion.logprobs[..n], &scored, 1e-4);
    n
}

#[test]
fn log_probabilities_are_those_of_the_scorer() {
    let (untied, tied) = ("qwen2_5_vl", "qwen2_5_vl_tied");
    for (name, with_adapter) in [(untied, false), (tied, false), (untied, true)] {
        let mut prompts = Prompts::of(Fixture::open(committed_folder(name)));
        if with_adapter {
            prompts.model.load_adapter(&prompts.fixture.adapter_folder()).unwrap();
        }
        let seeds = seeds();
        let completions = prompts.sample(&seeds, &options());
        let mut n_compared = 0;
        for (prompt, completions) in prompts.with_seeds(&seeds).iter().zip(&completions) {
            for completion in completions {
                n_compared += compare_with_scores(&prompts.model, prompt, completion);
            }
        }
        assert!(n_compared > 500, "{n_compared} tokens compared");
    }
}

#[test]
fn a_sequence_is_the_same_in_any_batch() {
    let prompts = Prompts::of(Fixture::committed());
    let seeds = seeds();
    // About one token in six ends a sequence, so that they leave the batch one after another.
    let stopping = GenerateOptions { stop_tokens: (0..100).collect(), ignore_eos: false, ..options() };
    for options in [options(), stopping] {
        let together = prompts.sample(&seeds, &options);
        assert_eq!(prompts.sample_alone(&seeds, &options), together, "alone");
        for (batch_size, workers) in [(5, 1), (64, 2), (3, 2)] {
            let split = prompts.sample(&seeds, &GenerateOptions { batch_size, workers, ..options.clone() });
            assert_eq!(split, together, "batches of {batch_size}, {workers} workers");
        }
    }
}

#[test]
fn a_long_prompt_is_the_same_in_any_batch_and_scored_as_it_was_sampled() {
    let mut prompts = Prompts::of(Fixture::committed());
    // From 512 tokens on a prompt is prefilled in another way.
    for case in [1, 3, 4] {
        let words = (0..600 + 50 * case as u32).map(|word| 10 + word * 7 % 200);
        prompts.cases[case].ids.splice(0..0, words);
    }
    let seeds = seeds();
    let together = prompts.sample(&seeds, &options());
    let alone = prompts.sample_alone(&seeds, &options());
    let in_turn = together.iter().flatten().zip(alone.iter().flatten());
    for (together, alone) in in_turn {
        assert_eq!(together.token_ids, alone.token_ids);
        // Products longer than 512 may be summed in another order.
        assert_close("log-probabilities", &together.logprobs, &alone.logprobs, 1e-5);
    }
    for (prompt, completions) in prompts.with_seeds(&seeds).iter().zip(&together) {
        compare_with_scores(&prompts.model, prompt, &completions[0]);
    }
}

/// Every prompt of the fixture's as a request whose members' ids are their seeds.
fn requests<'a>(prompts: &'a Prompts, seeds: &'a [Vec<u64>], options: &GenerateOptions) -> Vec<Request<'a>> {
    let options = Arc::new(options.clone());
    let prompts = prompts.with_seeds(seeds).into_iter();
    prompts
        .map(|prompt| Request {
            sequence: prompt.sequence,
            images: prompt.images,
            members: prompt.seeds.iter().map(|&seed| member(seed)).collect(),
            options: options.clone(),
            adjustments: Arc::default(),
            n_top_logprobs: Some(0),
        })
        .collect()
}

fn member(seed: u64) -> Member {
    Member { id: seed, seed, constraint: None }
}

#[test]
fn a_sequence_that_joins_a_running_batch_is_the_same() {
    let prompts = Prompts::of(Fixture::committed());
    let seeds = seeds();
    let options = GenerateOptions { stop_tokens: (0..100).collect(), ..options() };
    for ignore_eos in [true, false] {
        let options = GenerateOptions { ignore_eos, ..options.clone() };
        let expected = prompts.sample(&seeds, &options);
        let mut batch = ContinuousBatch::new(&prompts.model);
        let mut waiting = requests(&prompts, &seeds, &options).into_iter();
        let mut got: HashMap<u64, Vec<(u32, f32)>> = HashMap::new();
        for step in 0.. {
            // One prompt every three tokens, one of whose sequences leaves after nine.
            if step % 3 == 0 {
                batch.prefill(waiting.by_ref().take(1).collect()).unwrap();
            }
            if step == 9 {
                batch.abort(2);
            }
            for Event { id, token } in batch.step().unwrap() {
                let token = token.unwrap();
                got.entry(id).or_default().push((token.id, token.logprob));
            }
            if batch.n_running() == 0 && waiting.len() == 0 {
                break;
            }
        }
        for (seed, expected) in seeds.iter().flatten().zip(expected.iter().flatten()) {
            let expected: Vec<(u32, f32)> =
                expected.token_ids.iter().copied().zip(expected.logprobs.iter().copied()).collect();
            let n = if *seed == 2 { expected.len().min(9) } else { expected.len() };
            assert_eq!(got[seed], expected[..n], "seed {seed}, ignore_eos {ignore_eos}");
        }
    }
}

/// Counts down from the last token of the vocabulary by tens, and then has no more to say.
struct Countdown(u32);

impl Constraint for Countdown {
    fn ban(&mut self, ban: &mut dyn FnMut(u32)) -> Result<(), String> {
        (0..608).filter(|token| *token != self.0).for_each(ban);
        Ok(())
    }

    fn accept(&mut self, token: u32) -> Result<(), String> {
        self.0 = token.checked_sub(100).ok_or("nothing more to say")?;
        Ok(())
    }
}

#[test]
fn a_constraint_binds_its_own_sequence_alone() {
    let prompts = Prompts::of(Fixture::committed());
    let seeds = seeds();
    let expected = prompts.sample(&seeds, &options());
    let mut requests = requests(&prompts, &seeds, &options());
    requests[0].members.push(Member { constraint: Some(Box::new(Countdown(450))), ..member(77) });
    let mut batch = ContinuousBatch::new(&prompts.model);
    batch.prefill(requests).unwrap();
    let (mut counted, mut free, mut last) = (Vec::new(), Vec::new(), None);
    while batch.n_running() > 0 {
        for Event { id, token } in batch.step().unwrap() {
            match (id, token) {
                (77, Ok(token)) => counted.push(token.id),
                (77, Err(error)) => last = Some(error.to_string()),
                (0, token) => free.push(token.unwrap().id),
                _ => {}
            }
        }
    }
    assert_eq!(counted, [450, 350, 250, 150]);
    assert_eq!(last.as_deref(), Some("nothing more to say"));
    assert_eq!(free, expected[0][0].token_ids);
}

#[test]
fn another_seed_gives_another_completion() {
    let prompts = Prompts::of(Fixture::committed());
    let completions = prompts.sample(&[vec![1, 2, 1], vec![], vec![], vec![], vec![], vec![]], &options());
    assert_eq!(completions[0][0], completions[0][2]);
    assert_ne!(completions[0][0].token_ids, completions[0][1].token_ids);
    assert!(completions[1].is_empty());
}

#[test]
fn banned_tokens_are_never_sampled() {
    let prompts = Prompts::of(Fixture::committed());
    let banned_tokens: Vec<u32> = (0..608).filter(|token| token % 50 != 7).collect();
    for temperature in [0.0, 1.0, 3.0] {
        let options = GenerateOptions { temperature, banned_tokens: banned_tokens.clone(), ..options() };
        let completions = prompts.sample(&seeds(), &options);
        let tokens = completions.iter().flatten().flat_map(|completion| &completion.token_ids);
        assert!(tokens.clone().all(|token| token % 50 == 7) && tokens.count() == 16 * 40);
    }
}

#[test]
fn sequences_stop_at_a_stop_token_or_at_the_limit() {
    let prompts = Prompts::of(Fixture::committed());
    let options = GenerateOptions { stop_tokens: (0..40).collect(), ignore_eos: false, ..options() };
    let completions = prompts.sample(&seeds(), &options).concat();
    for completion in &completions {
        let (last, before) = completion.token_ids.split_last().unwrap();
        assert!(before.iter().all(|token| *token >= 40));
        match completion.finish_reason {
            FinishReason::Stop => assert!(*last < 40),
            FinishReason::Length => assert!(*last >= 40 && completion.token_ids.len() == 40),
        }
        assert_eq!(completion.logprobs.len(), completion.token_ids.len());
    }
    for reason in [FinishReason::Stop, FinishReason::Length] {
        assert!(completions.iter().any(|completion| completion.finish_reason == reason), "{reason:?} occurs");
    }
}

#[test]
fn prompts_that_do_not_fit_are_refused() {
    let prompts = Prompts::of(Fixture::committed());
    let seeds = seeds();
    let prompt = prompts.with_seeds(&seeds).remove(0);
    let without_images = Prompt { images: None, ..prompt.clone() };
    let endless = GenerateOptions { max_new_tokens: 128_000, ..options() };
    for (prompt, options, expected) in [
        (without_images, options(), "expected 6 image rows, one for each image token, got 0"),
        (prompt, endless, "prompt 0: expected at most 128000 tokens with its completion, got 34 and up to 128000 more"),
    ] {
        let error = generate(&prompts.model, &[prompt], &options).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}
