//! How a batch is cut into micro-batches, and how they are shared out between threads.
//!
//! The cut depends on the sequences' lengths alone, never on the number of threads, and sums are taken in its order: so
//! the same batch gives the same bits on any number of cores.

use align::engine::EngineError;

/// A batch is cut into at least this many parts where it has as many sequences, so that two cores have work.
const LEAST_PARTS: usize = 2;

/// Cuts sequences of these lengths into micro-batches of at most `token_limit` tokens, padding included (a longer
/// sequence stands alone). Returns indexes, longest first, so that neighbours pad each other little.
pub fn micro_batches(lengths: &[usize], token_limit: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&index| (std::cmp::Reverse(lengths[index]), index));
    let total: usize = lengths.iter().sum();
    let limit = token_limit.min(total.div_ceil(LEAST_PARTS));
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for index in order {
        match batches.last_mut() {
            Some(batch) if lengths[batch[0]] * (batch.len() + 1) <= limit => batch.push(index),
            _ => batches.push(vec![index]),
        }
    }
    batches
}

/// Runs `work` on every job, on as many threads as there are pools, and hands results to `collect` in the jobs' order.
///
/// Each pool has one thread: operations on small tensors gain nothing from being split further.
///
/// Errors: the first of `work`'s in the jobs' order.
pub fn in_order<J: Sync, R: Send>(
    pools: &[rayon::ThreadPool],
    jobs: &[J],
    work: impl Fn(&J) -> Result<R, EngineError> + Sync,
    mut collect: impl FnMut(R),
) -> Result<(), EngineError> {
    for wave in jobs.chunks(pools.len().max(1)) {
        let results: Vec<Result<R, EngineError>> = std::thread::scope(|scope| {
            let threads: Vec<_> = wave
                .iter()
                .zip(pools)
                .map(|(job, pool)| scope.spawn(|| pool.install(|| work(job))))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        });
        for result in results {
            collect(result?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sequence_stands_in_one_micro_batch_within_the_limit() {
        let lengths = [5, 100, 7, 7, 40, 300, 1];
        let batches = micro_batches(&lengths, 128);
        let mut seen: Vec<usize> = batches.concat();
        seen.sort_unstable();
        assert_eq!(seen, (0..lengths.len()).collect::<Vec<_>>());
        for batch in &batches {
            let longest = batch.iter().map(|&index| lengths[index]).max().unwrap();
            assert!(batch.len() == 1 || longest * batch.len() <= 128, "{batch:?}");
        }
    }

    #[test]
    fn two_sequences_make_two_parts() {
        assert_eq!(micro_batches(&[10, 10], 1000).len(), 2);
        assert_eq!(micro_batches(&[10], 1000).len(), 1);
    }
}
