//! Sampling: prompts with pictures in, completions with the log-probability of every token out.
//!
//! Prompts join a batch (`continuous`): each is computed once and its keys and values are shared by all its members
//! (`decoder`); each step then adds one token to every sequence, and sequences that have ended leave. [`generate`]
//! takes its prompts in chunks of at most `batch_size` sequences, shared out between worker threads; a server lets
//! requests join a [`ContinuousBatch`] as they come, long prompts piece by piece.
//!
//! A sequence depends on the weights, its prompt and its seed alone: not on its companions, the batch size or the
//! number of workers. On the CPU this holds bit for bit, in tokens and log-probabilities, while no inner dimension of
//! a product (hidden and feed-forward width, prompt length) exceeds 512; beyond, matrix
//! products may split their sums by the size of the batch, and scores are equal up to rounding.

mod adjustments;
mod chunk;
mod continuous;
mod decoder;
pub mod kv_cache;
mod sampler;
mod sequence;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use burn::tensor::Tensor;

use crate::batch::TokenSequence;
use crate::error::Error;
use crate::model::Vlm;
pub use adjustments::Adjustments;
use chunk::{Place, Task};
pub use continuous::{Constraint, ContinuousBatch, Event, Member, Request, Token};

/// One prompt, and the seed of each of its completions.
#[derive(Clone, Debug)]
pub struct Prompt<'a> {
    /// Token ids, image placeholders expanded, and the pictures' grids.
    pub sequence: TokenSequence<'a>,
    /// Its pictures' rows `[m, d]` as [`Vlm::encode_images`] gives them; none for a prompt without pictures.
    pub images: Option<Tensor<2>>,
    /// One completion for each.
    pub seeds: &'a [u64],
}

/// How to sample.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerateOptions {
    /// Scores are divided by this; 0 takes the likeliest token and reports its log-probability at temperature 1.
    pub temperature: f64,
    /// Only the smallest set of likeliest tokens whose probability reaches this is drawn from; 1 keeps all.
    pub top_p: f64,
    /// At most this many tokens a completion.
    pub max_new_tokens: usize,
    /// A completion ends with the first of these, which is part of it.
    pub stop_tokens: Vec<u32>,
    /// Do not end at a stop token.
    pub ignore_eos: bool,
    /// Tokens never drawn: placeholders of pictures, above all.
    pub banned_tokens: Vec<u32>,
    /// Sequences computed at once by a worker; bounds memory.
    pub batch_size: usize,
    /// Threads that compute chunks side by side. 1 on anything but a CPU.
    pub workers: usize,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_p: 1.0,
            max_new_tokens: 128,
            stop_tokens: Vec::new(),
            ignore_eos: false,
            banned_tokens: Vec::new(),
            batch_size: 64,
            workers: 1,
        }
    }
}

/// Why a completion ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// A stop token was drawn.
    Stop,
    /// The token limit was reached.
    Length,
}

/// One completion.
#[derive(Clone, Debug, PartialEq)]
pub struct Generated {
    /// The tokens drawn, the stop token included.
    pub token_ids: Vec<u32>,
    /// For each token, its log-probability (nats) under the distribution it was drawn from: after the ban, temperature
    /// and the cut at `top_p`.
    pub logprobs: Vec<f32>,
    /// Why it ended.
    pub finish_reason: FinishReason,
}

/// What the model itself thinks of a token and of the likeliest ones: log-probabilities (nats) at temperature 1 with
/// nothing banned or cut, as a scorer gives them.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelLogprobs {
    /// The sampled token's.
    pub sampled: f32,
    /// The likeliest tokens and theirs, the likeliest first.
    pub top: Vec<(u32, f32)>,
}

/// Called for every completion as soon as it ends, with its prompt's index; from any worker.
pub type OnFinished<'a> = &'a (dyn Fn(usize, &Generated) + Sync);

/// Samples the completions of every prompt, in the order of prompts and seeds.
///
/// For the time of the call the decoder's weights are held once more, adapters merged, in the layout that is fastest
/// for few rows; nothing is recorded for a backward pass.
///
/// Errors: `Input` when an option is out of range, a prompt has fewer than 2 tokens or
/// ends in an image token, its image tokens, grids and rows disagree, it
/// has no room for `max_new_tokens` further positions; `Numerics` when the model's scores are not finite numbers; `Io`
/// when no thread can be started.
pub fn generate(
    model: &Vlm,
    prompts: &[Prompt],
    options: &GenerateOptions,
    on_finished: Option<OnFinished>,
) -> Result<Vec<Vec<Generated>>, Error> {
    check_options(options)?;
    check_lengths(model, prompts, options)?;
    let model = model.for_sampling();
    let chunks = chunks(prompts, options);
    let options = Arc::new(options.clone());
    let tasks = chunks.iter().map(|places| Task {
        model: &model,
        prompts,
        places,
        options: &options,
        on_finished,
    });
    let finished = run_all(&tasks.collect::<Vec<_>>(), options.workers)?;

    let mut slots: Vec<Vec<Option<Generated>>> = prompts.iter().map(|prompt| vec![None; prompt.seeds.len()]).collect();
    for (place, generated) in chunks.iter().flatten().zip(finished.into_iter().flatten()) {
        slots[place.prompt][place.seed] = Some(generated);
    }
    Ok(slots
        .into_iter()
        .map(|completions| completions.into_iter().flatten().collect())
        .collect())
}

fn check_options(options: &GenerateOptions) -> Result<(), Error> {
    let problem = |name: &str, expected: &str, got: &dyn std::fmt::Display| {
        Err(Error::Input(format!(
            "sampling option `{name}`: expected {expected}, got {got}"
        )))
    };
    if !(options.temperature.is_finite() && options.temperature >= 0.0) {
        return problem("temperature", "a number from 0", &options.temperature);
    }
    if !(options.top_p > 0.0 && options.top_p <= 1.0) {
        return problem("top_p", "a number above 0 and at most 1", &options.top_p);
    }
    for (name, value) in [
        ("max_new_tokens", options.max_new_tokens),
        ("batch_size", options.batch_size),
        ("workers", options.workers),
    ] {
        if value == 0 {
            return problem(name, "at least 1", &value);
        }
    }
    Ok(())
}

fn check_lengths(model: &Vlm, prompts: &[Prompt], options: &GenerateOptions) -> Result<(), Error> {
    for (index, prompt) in prompts.iter().enumerate() {
        check_length(model, prompt.sequence.ids.len(), options).map_err(|problem| Error::Prompt { index, problem })?;
    }
    Ok(())
}

/// What is wrong with a prompt of so many tokens.
fn check_length(model: &Vlm, n_tokens: usize, options: &GenerateOptions) -> Result<(), String> {
    let longest = model.config().text.max_position_embeddings;
    if n_tokens < 2 {
        Err(format!("expected at least 2 tokens, got {n_tokens}"))
    } else if n_tokens.saturating_add(options.max_new_tokens) > longest {
        Err(format!(
            "expected at most {longest} tokens with its completion, got {n_tokens} and up to {} more",
            options.max_new_tokens
        ))
    } else {
        Ok(())
    }
}

/// Chunks that each worker gets where there are enough sequences: those of short prompts, whose completions tend to be
/// short too, then fill the time that others take longer.
const CHUNKS_A_WORKER: usize = 2;
/// Fewer sequences than this are not worth a chunk of their own.
const LEAST_IN_CHUNK: usize = 16;

/// Shares sequences out: prompts of like length together and the longest first, a group in one chunk unless it alone is
/// more than a batch, and about as many sequences in each chunk, with work for every worker where there is enough.
fn chunks(prompts: &[Prompt], options: &GenerateOptions) -> Vec<Vec<Place>> {
    let total: usize = prompts.iter().map(|prompt| prompt.seeds.len()).sum();
    let balanced = (options.workers * CHUNKS_A_WORKER).min(total / LEAST_IN_CHUNK);
    let n_chunks = total
        .div_ceil(options.batch_size)
        .max(balanced)
        .next_multiple_of(options.workers);
    let mut order: Vec<usize> = (0..prompts.len()).collect();
    order.sort_by_key(|&prompt| std::cmp::Reverse(prompts[prompt].sequence.ids.len()));

    let mut chunks: Vec<Vec<Place>> = Vec::new();
    let mut n_placed = 0;
    for prompt in order {
        let places: Vec<Place> = (0..prompts[prompt].seeds.len())
            .map(|seed| Place { prompt, seed })
            .collect();
        for group in places.chunks(options.batch_size) {
            // A chunk ends where its part of all sequences is nearest, so that what it has too much the next has less.
            let is_nearer_with = (2 * n_placed + group.len()) * n_chunks <= 2 * chunks.len() * total;
            match chunks.last_mut() {
                Some(chunk) if chunk.len() + group.len() <= options.batch_size && is_nearer_with => {
                    chunk.extend_from_slice(group);
                }
                _ => chunks.push(group.to_vec()),
            }
            n_placed += group.len();
        }
    }
    chunks
}

/// Runs every task, `workers` at a time, and returns their results in order.
fn run_all(tasks: &[Task], workers: usize) -> Result<Vec<Vec<Generated>>, Error> {
    if workers.min(tasks.len()) <= 1 {
        return tasks.iter().map(Task::run).collect();
    }
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<_>> = Mutex::new(tasks.iter().map(|_| None).collect());
    let work = || {
        while let Some((index, task)) = {
            let index = next.fetch_add(1, Ordering::Relaxed);
            tasks.get(index).map(|task| (index, task))
        } {
            let result = task.run();
            let mut results = results.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            results[index] = Some(result);
        }
    };
    // A pool of one thread for each worker: tensor operations that would share out rows between threads stay where
    // they are, as the other cores have chunks of their own.
    let pools = (0..workers.min(tasks.len()))
        .map(|_| {
            rayon::ThreadPoolBuilder::new()
                .num_threads(1)
                .build()
                .map_err(std::io::Error::other)
        })
        .collect::<Result<Vec<_>, _>>()?;
    std::thread::scope(|scope| {
        for pool in &pools {
            scope.spawn(|| pool.install(work));
        }
    });
    let results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    results.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(groups: &[usize], batch_size: usize, workers: usize) -> Vec<usize> {
        let seeds = [0; 100];
        let ids = [1; 10];
        let prompts: Vec<Prompt> = groups
            .iter()
            .map(|&n| Prompt {
                sequence: TokenSequence { ids: &ids, grids: &[] },
                images: None,
                seeds: &seeds[..n],
            })
            .collect();
        let options = GenerateOptions {
            batch_size,
            workers,
            ..GenerateOptions::default()
        };
        chunks(&prompts, &options).iter().map(Vec::len).collect()
    }

    #[test]
    fn chunks_are_even_keep_groups_whole_and_stay_within_the_batch() {
        assert_eq!(sizes(&[5; 5], 64, 2), [15, 10]);
        assert_eq!(sizes(&[5; 13], 64, 2), [15, 20, 15, 15]);
        assert_eq!(sizes(&[1; 64], 32, 2), [16, 16, 16, 16]);
        assert_eq!(sizes(&[1; 300], 32, 2), [30; 10]);
        assert_eq!(sizes(&[8; 3], 10, 1), [8, 8, 8]);
        assert_eq!(sizes(&[70, 2], 32, 1), [32, 32, 8]);
        assert_eq!(sizes(&[], 32, 2), [0; 0]);
        assert_eq!(sizes(&[1], 32, 2), [1]);
    }

    #[test]
    fn options_out_of_range_are_refused() {
        let message = |options: GenerateOptions| check_options(&options).unwrap_err().to_string();
        assert_eq!(
            message(GenerateOptions {
                temperature: -1.0,
                ..GenerateOptions::default()
            }),
            "sampling option `temperature`: expected a number from 0, got -1"
        );
        assert_eq!(
            message(GenerateOptions {
                top_p: 0.0,
                ..GenerateOptions::default()
            }),
            "sampling option `top_p`: expected a number above 0 and at most 1, got 0"
        );
        assert_eq!(
            message(GenerateOptions {
                batch_size: 0,
                ..GenerateOptions::default()
            }),
            "sampling option `batch_size`: expected at least 1, got 0"
        );
    }
}
