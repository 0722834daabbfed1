//! Offline inference: all completions of given prompts, in chunks that workers take one after the other.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::chunk::{ChunkTask, CompletionIndex, Prompt};
use super::completion::Generated;
use super::options::GenerateOptions;
use crate::error::Error;
use crate::model::Vlm;

/// Samples the completions of every prompt, in the order of prompts and seeds.
///
/// For the time of the call the decoder's weights are in memory once more, adapters merged, in the layout that is fastest
/// for few rows; nothing is recorded for a backward pass.
///
/// Errors: `Input` when an option is out of range, a prompt has fewer than 2 tokens or
/// ends in an image token, its image tokens, grids and rows disagree, it
/// leaves fewer than `max_new_tokens` further positions; `Numerics` when the model's scores are not finite numbers; `Io`
/// when no thread can be started.
pub fn generate(model: &Vlm, prompts: &[Prompt], options: &GenerateOptions) -> Result<Vec<Vec<Generated>>, Error> {
    options.check()?;
    let max_positions = model.config().text.max_position_embeddings;
    for (index, prompt) in prompts.iter().enumerate() {
        options
            .check_length(prompt.sequence.ids.len(), max_positions)
            .map_err(|problem| Error::Prompt { index, problem })?;
    }
    let model = model.for_sampling();
    let chunks = chunks(prompts, options);
    let options = Arc::new(options.clone());
    let tasks: Vec<ChunkTask> =
        chunks.iter().map(|completions| ChunkTask { model: &model, prompts, completions, options: &options }).collect();
    let finished = run_all(&tasks, options.workers)?;

    let mut all: Vec<Vec<Option<Generated>>> = prompts.iter().map(|prompt| vec![None; prompt.seeds.len()]).collect();
    for (index, generated) in chunks.iter().flatten().zip(finished.into_iter().flatten()) {
        all[index.prompt][index.seed] = Some(generated);
    }
    Ok(all.into_iter().map(|completions| completions.into_iter().flatten().collect()).collect())
}

/// Chunks that each worker gets where there are enough sequences: those of short prompts, whose completions tend to be
/// short too, then fill the time that others take longer.
const CHUNKS_A_WORKER: usize = 2;
/// Fewer sequences than this are not worth a chunk of their own.
const LEAST_IN_CHUNK: usize = 16;

/// Splits sequences into chunks: prompts of like length together and the longest first, a group in one chunk unless it alone is
/// more than a batch, and about as many sequences in each chunk, with work for every worker where there is enough.
fn chunks(prompts: &[Prompt], options: &GenerateOptions) -> Vec<Vec<CompletionIndex>> {
    let total: usize = prompts.iter().map(|prompt| prompt.seeds.len()).sum();
    let balanced = (options.workers * CHUNKS_A_WORKER).min(total / LEAST_IN_CHUNK);
    let n_chunks = total.div_ceil(options.batch_size).max(balanced).next_multiple_of(options.workers);
    let mut order: Vec<usize> = (0..prompts.len()).collect();
    order.sort_by_key(|&prompt| std::cmp::Reverse(prompts[prompt].sequence.ids.len()));

    let mut chunks: Vec<Vec<CompletionIndex>> = Vec::new();
    let mut n_placed = 0;
    for prompt in order {
        let completions: Vec<CompletionIndex> =
            (0..prompts[prompt].seeds.len()).map(|seed| CompletionIndex { prompt, seed }).collect();
        for group in completions.chunks(options.batch_size) {
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
fn run_all(tasks: &[ChunkTask], workers: usize) -> Result<Vec<Vec<Generated>>, Error> {
    if workers.min(tasks.len()) <= 1 {
        return tasks.iter().map(ChunkTask::run).collect();
    }
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<_>> = Mutex::new(tasks.iter().map(|_| None).collect());
    // A pool of one thread for each worker: tensor operations that would split rows between threads stay where they are,
    // as the other cores have chunks of their own.
    let pools = (0..workers.min(tasks.len()))
        .map(|_| rayon::ThreadPoolBuilder::new().num_threads(1).build())
        .collect::<Result<Vec<_>, _>>()
        .map_err(std::io::Error::other)?;
    std::thread::scope(|scope| {
        for pool in &pools {
            scope.spawn(|| {
                pool.install(|| {
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let Some(task) = tasks.get(index) else { break };
                        let result = task.run();
                        results.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(result);
                    }
                });
            });
        }
    });
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::TokenSequence;

    fn sizes(groups: &[usize], batch_size: usize, workers: usize) -> Vec<usize> {
        let seeds = [0; 100];
        let ids = [1; 10];
        let prompts: Vec<Prompt> = groups
            .iter()
            .map(|&n| Prompt { sequence: TokenSequence { ids: &ids, grids: &[] }, images: None, seeds: &seeds[..n] })
            .collect();
        let options = GenerateOptions { batch_size, workers, ..GenerateOptions::default() };
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
}
