//! Long prompts prefilled in chunks against the same prompts prefilled whole, and what the requests beside them get
//! meanwhile.

#[allow(dead_code, reason = "each test file uses its part of what all share")]
mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::tensor::Tensor;
use common::{Case, Fixture, assert_close, fixtures};
use vlm::generate::{Adjustments, ContinuousBatch, Event, GenerateOptions, Member, Request, Token};
use vlm::model::Vlm;

/// A model with the prompts of its fixture, some of them made long by words before their images.
struct Prompts {
    model: Vlm,
    cases: Vec<Case>,
    images: Vec<Option<Tensor<2>>>,
}

/// The cases that are long.
const LONG: [usize; 2] = [1, 3];

impl Prompts {
    fn of(fixture: &Fixture) -> Self {
        let device = common::device();
        let model = Vlm::load(&fixture.model_folder(), &device).unwrap();
        let mut cases = fixture.cases();
        let mut images = Vec::new();
        for case in &cases {
            let pixels = fixture.pixel_values(case, &device);
            images.push(pixels.map(|pixels| model.encode_images(pixels, &case.grids).unwrap()));
        }
        for (index, case) in cases.iter_mut().enumerate() {
            case.ids.truncate(fixture.integers(&format!("{}.prompt_len", case.id))[0] as usize);
            if LONG.contains(&index) {
                let words = (0..580 + 50 * index as u32).map(|word| 10 + word * 7 % 200);
                case.ids.splice(0..0, words);
            }
        }
        Self { model, cases, images }
    }

    /// A case as a request of two completions, whose ids are their seeds.
    fn request(&self, case: usize, options: &GenerateOptions) -> Request<'_> {
        let seeds = 10 * case as u64..10 * case as u64 + 2;
        Request {
            sequence: self.cases[case].sequence(),
            images: self.images[case].clone(),
            members: seeds.map(|seed| Member { id: seed, seed, constraint: None }).collect(),
            options: Arc::new(options.clone()),
            adjustments: Arc::new(Adjustments::default()),
            n_top_logprobs: None,
        }
    }

    /// Every completion of every case, prompts of `LONG` prefilled in chunks of so many tokens, others beginning two
    /// steps after each other.
    fn sample(&self, chunk: Option<usize>, options: &GenerateOptions) -> Completions {
        let mut batch = ContinuousBatch::new(&self.model);
        let mut waiting = 0..self.cases.len();
        let mut completions = Completions::new();
        for step in 0.. {
            if step % 2 == 0
                && let Some(case) = waiting.next()
            {
                match chunk {
                    Some(_) if LONG.contains(&case) => batch.begin_prefill(self.request(case, options)).unwrap(),
                    _ => batch.prefill(vec![self.request(case, options)]).unwrap(),
                }
            }
            batch.prefill_chunk(chunk.unwrap_or(1));
            note(batch.step().unwrap(), &mut completions);
            if batch.n_running() == 0 && !batch.is_prefilling() && waiting.is_empty() {
                return completions;
            }
        }
        unreachable!("steps do not end")
    }
}

/// Tokens by the completions' ids.
type Completions = BTreeMap<u64, Vec<Token>>;

fn note(events: Vec<Event>, completions: &mut Completions) {
    for Event { id, token } in events {
        completions.entry(id).or_default().push(token.unwrap());
    }
}

fn options() -> GenerateOptions {
    GenerateOptions { max_new_tokens: 24, ignore_eos: true, ..GenerateOptions::default() }
}

fn ids(tokens: &[Token]) -> Vec<u32> {
    tokens.iter().map(|token| token.id).collect()
}

fn logprobs(tokens: &[Token]) -> Vec<f32> {
    tokens.iter().map(|token| token.logprob).collect()
}

#[test]
fn chunks_of_any_size_make_the_prompt_and_the_others_do_not_notice() {
    for fixture in fixtures() {
        let prompts = Prompts::of(&fixture);
        let whole = prompts.sample(None, &options());
        // Chunks of one query block and less, of several, and one for all.
        for chunk in [50, 200, 4096] {
            let chunked = prompts.sample(Some(chunk), &options());
            for (id, expected) in &whole {
                let got = &chunked[id];
                assert_eq!(ids(got), ids(expected), "completion {id} with chunks of {chunk}");
                if LONG.contains(&(*id as usize / 10)) {
                    assert_close("log-probabilities", &logprobs(got), &logprobs(expected), 1e-4);
                } else {
                    assert_eq!(logprobs(got), logprobs(expected), "completion {id} with chunks of {chunk}");
                }
            }
        }
    }
}

#[test]
fn others_continue_between_chunks_and_a_prompt_whose_completions_have_left_is_dropped() {
    let prompts = Prompts::of(&Fixture::committed());
    let mut batch = ContinuousBatch::new(&prompts.model);
    batch.prefill(vec![prompts.request(0, &options())]).unwrap();
    batch.begin_prefill(prompts.request(1, &options())).unwrap();
    batch.begin_prefill(prompts.request(3, &options())).unwrap();
    let mut completions = Completions::new();
    let mut computed = Vec::new();
    for _ in 0..4 {
        computed.push(batch.prefill_chunk(200));
        note(batch.step().unwrap(), &mut completions);
    }
    assert_eq!(computed[..3], [200; 3], "chunks of the first long prompt");
    assert_eq!(completions[&0].len(), 4, "a token for each chunk");
    assert_eq!(completions.get(&10).map(Vec::len), Some(1), "prefilled to its end");

    batch.abort(30);
    assert!(batch.is_prefilling(), "one completion of the second is still wanted");
    batch.prefill_chunk(200);
    batch.abort(31);
    assert!(!batch.is_prefilling());
    assert_eq!(batch.prefill_chunk(200), 0);
    while batch.n_running() > 0 {
        note(batch.step().unwrap(), &mut completions);
    }
    assert_eq!(completions.keys().copied().collect::<Vec<u64>>(), [0, 1, 10, 11]);
    assert!(completions.values().all(|tokens| tokens.len() == 24));
}

#[test]
fn adjustments_bind_their_own_request_alone_and_ends_wait_for_the_least_length() {
    let prompts = Prompts::of(&Fixture::committed());
    let options = GenerateOptions { temperature: 0.0, stop_tokens: (0..300).collect(), ignore_eos: false, ..options() };
    let bound = Adjustments {
        min_new_tokens: 9,
        presence_penalty: 200.0,
        score_bias: vec![(444, 150.0)],
        ..Adjustments::default()
    };
    let [free, bound] = [Adjustments::default(), bound].map(|adjustments| {
        let mut batch = ContinuousBatch::new(&prompts.model);
        let adjusted = Request { adjustments: Arc::new(adjustments), ..prompts.request(0, &options) };
        batch.prefill(vec![adjusted, prompts.request(2, &options)]).unwrap();
        let mut completions = Completions::new();
        while batch.n_running() > 0 {
            note(batch.step().unwrap(), &mut completions);
        }
        completions
    });
    assert_eq!(free[&20], bound[&20], "another request's");
    let tokens = ids(&bound[&0]);
    assert_eq!(tokens[0], 444, "the bias outweighs all scores: {tokens:?}");
    let mut once = tokens.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), tokens.len(), "the penalty outweighs the bias: {tokens:?}");
    assert!(tokens.len() > 9 && tokens[..9].iter().all(|token| *token >= 300), "{tokens:?}");
}
