//! How a batch is cut into micro-batches, and how they are shared out between threads.
//!
//! The cut depends on the sequences' lengths alone, never on the number of threads, and sums are taken in its order: so
//! the same batch gives the same bits on any number of cores.

use std::collections::BTreeMap;
use std::sync::mpsc;

use align::engine::EngineError;

use crate::turns::{EndsTurns, Turns};

/// A batch is cut into at least about this many parts where it has as many sequences, so that a few cores have work and
/// end together.
const LEAST_PARTS: usize = 8;

/// Cuts sequences of these lengths into micro-batches of at most `token_limit` tokens, padding included (a longer
/// sequence stands alone). Returns indexes, longest first, so that neighbours pad each other little.
pub fn micro_batches(lengths: &[usize], token_limit: usize) -> Vec<Vec<usize>> {
    let total: usize = lengths.iter().sum();
    let limit = token_limit.min(total.div_ceil(LEAST_PARTS));
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for index in longest_first(lengths) {
        match batches.last_mut() {
            Some(batch) if lengths[batch[0]] * (batch.len() + 1) <= limit => batch.push(index),
            _ => batches.push(vec![index]),
        }
    }
    batches
}

/// Puts sequences of these lengths end to end in rows of at most `token_limit` tokens (a longer sequence stands alone):
/// longest first, each in the first row that has room for it (first-fit decreasing, which needs at most 11/9 of the
/// fewest rows and one more; Johnson 1973). Returns indexes, row by row.
pub fn packs(lengths: &[usize], token_limit: usize) -> Vec<Vec<usize>> {
    let total: usize = lengths.iter().sum();
    let limit = token_limit.min(total.div_ceil(LEAST_PARTS));
    let mut rows: Vec<(usize, Vec<usize>)> = Vec::new();
    for index in longest_first(lengths) {
        let room = rows.iter_mut().find(|(filled, _)| filled + lengths[index] <= limit);
        match room {
            Some((filled, row)) => {
                *filled += lengths[index];
                row.push(index);
            }
            None => rows.push((lengths[index], vec![index])),
        }
    }
    rows.into_iter().map(|(_, row)| row).collect()
}

fn longest_first(lengths: &[usize]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&index| (std::cmp::Reverse(lengths[index]), index));
    order
}

/// Models wider than this keep all cores busy with one part of a batch; each further part would cost a set of
/// gradients.
const WIDE: usize = 1024;

/// How many parts of a batch are trained side by side by a model of some width.
pub fn parts_at_once(hidden_size: usize, workers: usize) -> usize {
    if hidden_size > WIDE { 1 } else { workers.max(1) }
}

/// Results that may wait for an earlier one, beside a job in work on each thread; bounds memory.
pub const RESULTS_WAITING: usize = 1;

/// Runs `work` on every job, on as many threads as there are pools, and hands results to `collect` in the jobs' order,
/// while further jobs are worked on.
///
/// Each pool has one thread: operations on small tensors gain nothing from being split further while there are other
/// jobs. A job alone has all cores to itself.
///
/// Errors: the first of `work`'s in the jobs' order.
pub fn in_order<J: Sync, R: Send>(
    pools: &[rayon::ThreadPool],
    jobs: &[J],
    work: impl Fn(&J) -> Result<R, EngineError> + Sync,
    mut collect: impl FnMut(R),
) -> Result<(), EngineError> {
    if pools.len() < 2 || jobs.len() < 2 {
        return jobs.iter().try_for_each(|job| work(job).map(&mut collect));
    }
    let turns = Turns::new(jobs.len(), pools.len() + RESULTS_WAITING);
    let (work, turns) = (&work, &turns);
    std::thread::scope(|scope| {
        let (sender, results) = mpsc::channel();
        for pool in pools {
            let sender = sender.clone();
            scope.spawn(move || {
                // However the thread ends, none waits for what it will not do.
                let _ends = EndsTurns(turns);
                while let Some(index) = turns.next() {
                    if sender.send((index, pool.install(|| work(&jobs[index])))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let _ends = EndsTurns(turns);
        let mut early = BTreeMap::new();
        let mut due = 0;
        for (index, result) in results {
            early.insert(index, result);
            while let Some(result) = early.remove(&due) {
                collect(result?);
                due += 1;
                turns.collected(due);
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

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
    fn packs_hold_every_sequence_once_and_little_air() {
        let lengths: Vec<usize> = (0..200).map(|index| 1 + index * 37 % 101).collect();
        let rows = packs(&lengths, 128);
        let mut seen: Vec<usize> = rows.concat();
        seen.sort_unstable();
        assert_eq!(seen, (0..lengths.len()).collect::<Vec<_>>());
        let filled = |row: &Vec<usize>| row.iter().map(|&index| lengths[index]).sum::<usize>();
        assert!(rows.iter().all(|row| filled(row) <= 128));
        let least = lengths.iter().sum::<usize>().div_ceil(128);
        assert!(
            rows.len() <= least * 11 / 9 + 1,
            "{} rows, at least {least}",
            rows.len()
        );
        assert_eq!(packs(&[300, 5, 5], 128), [vec![0], vec![1, 2]]);
    }

    fn pools(n: usize) -> Vec<rayon::ThreadPool> {
        let pool = |_| rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        (0..n).map(pool).collect()
    }

    #[test]
    fn results_come_in_order_and_threads_do_not_run_far_ahead() {
        let begun = AtomicUsize::new(0);
        let jobs: Vec<usize> = (0..50).collect();
        let mut collected = Vec::new();
        let work = |job: &usize| {
            begun.fetch_add(1, Ordering::SeqCst);
            // The first job of each five takes longer than the others.
            std::thread::sleep(std::time::Duration::from_millis(if job.is_multiple_of(5) {
                5
            } else {
                0
            }));
            Ok(*job)
        };
        in_order(&pools(3), &jobs, work, |job| {
            let ahead = begun.load(Ordering::SeqCst) - collected.len();
            assert!(ahead <= 3 + RESULTS_WAITING, "{ahead} begun and not collected");
            collected.push(job);
        })
        .unwrap();
        assert_eq!(collected, jobs);
    }

    #[test]
    fn the_first_error_in_order_ends_the_work() {
        let jobs: Vec<usize> = (0..40).collect();
        let mut collected = 0;
        let work = |job: &usize| match job {
            7 | 20 => Err(EngineError::Numerics(format!("job {job}"))),
            _ => Ok(()),
        };
        let error = in_order(&pools(2), &jobs, work, |()| collected += 1).unwrap_err();
        assert_eq!(
            (collected, error.to_string()),
            (7, EngineError::Numerics("job 7".into()).to_string())
        );
    }

    #[test]
    fn two_sequences_make_two_parts() {
        assert_eq!(micro_batches(&[10, 10], 1000).len(), 2);
        assert_eq!(micro_batches(&[10], 1000).len(), 1);
    }
}
