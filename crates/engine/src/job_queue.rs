//! A queue of jobs for some threads, whose results are collected in the jobs' order.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Mutex, PoisonError};

use align::engine::EngineError;

/// Models wider than this keep all cores busy with one micro-batch; each further one would cost a set of gradients.
const WIDE: usize = 1024;

/// How many micro-batches are trained concurrently by a model of some width.
pub fn concurrent_micro_batches(hidden_size: usize, workers: usize) -> usize {
    if hidden_size > WIDE { 1 } else { workers.max(1) }
}

/// Results that may wait for an earlier one, beside a running job on each thread; bounds memory.
pub const PENDING_RESULTS: usize = 1;

/// Thread pools of one thread each, for [`run_in_order`].
///
/// Errors: `Model` where a thread cannot be started.
pub fn thread_pools(n: usize) -> Result<Vec<rayon::ThreadPool>, EngineError> {
    (0..n)
        .map(|_| rayon::ThreadPoolBuilder::new().num_threads(1).build())
        .collect::<Result<_, _>>()
        .map_err(|error| EngineError::Model(format!("cannot start worker threads: {error}")))
}

/// Runs `work` on every job, on as many threads as there are pools, and hands results to `collect` in the jobs' order,
/// while further jobs run.
///
/// Each pool has one thread: operations on small tensors gain nothing from being split further while there are other
/// jobs. A job alone has all cores to itself.
///
/// Errors: the first of `work`'s in the jobs' order.
pub fn run_in_order<J: Sync, R: Send>(
    pools: &[rayon::ThreadPool],
    jobs: &[J],
    work: impl Fn(&J) -> Result<R, EngineError> + Sync,
    mut collect: impl FnMut(R),
) -> Result<(), EngineError> {
    if pools.len() < 2 || jobs.len() < 2 {
        return jobs.iter().try_for_each(|job| work(job).map(&mut collect));
    }
    let (queue, queued) = mpsc::channel();
    let queued = Mutex::new(queued);
    let (work, queued) = (&work, &queued);
    std::thread::scope(|scope| {
        // Moved in here, so that threads stop waiting however this closure ends.
        let queue = queue;
        let (sender, results) = mpsc::channel();
        for pool in pools {
            let sender = sender.clone();
            scope.spawn(move || {
                while let Some(index) = next(queued) {
                    let outcome = catch_unwind(AssertUnwindSafe(|| pool.install(|| work(&jobs[index]))));
                    if sender.send((index, outcome)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut waiting = 0..jobs.len();
        for index in waiting.by_ref().take(pools.len() + PENDING_RESULTS) {
            queue.send(index).ok();
        }
        let (mut pending, mut due) = (BTreeMap::new(), 0);
        while due < jobs.len()
            && let Ok((index, outcome)) = results.recv()
        {
            pending.insert(index, outcome);
            while let Some(outcome) = pending.remove(&due) {
                collect(outcome.unwrap_or_else(|panic| resume_unwind(panic))?);
                due += 1;
                if let Some(index) = waiting.next() {
                    queue.send(index).ok();
                }
            }
        }
        Ok(())
    })
}

/// The next job's index, once there is one; none when the queue is closed.
fn next(queue: &Mutex<Receiver<usize>>) -> Option<usize> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn results_come_in_order_and_threads_do_not_run_far_ahead() {
        let begun = AtomicUsize::new(0);
        let jobs: Vec<usize> = (0..50).collect();
        let mut collected = Vec::new();
        run_in_order(
            &thread_pools(3).unwrap(),
            &jobs,
            |job| {
                begun.fetch_add(1, Ordering::SeqCst);
                // The first job of each five takes longer than the others.
                std::thread::sleep(Duration::from_millis(if job.is_multiple_of(5) { 5 } else { 0 }));
                Ok(*job)
            },
            |job| {
                let ahead = begun.load(Ordering::SeqCst) - collected.len();
                assert!(ahead <= 3 + PENDING_RESULTS, "{ahead} begun and not collected");
                collected.push(job);
            },
        )
        .unwrap();
        assert_eq!(collected, jobs);
    }

    #[test]
    fn the_first_error_in_order_ends_the_work() {
        let jobs: Vec<usize> = (0..40).collect();
        let mut collected = 0;
        let error = run_in_order(
            &thread_pools(2).unwrap(),
            &jobs,
            |job| match job {
                7 | 20 => Err(EngineError::Numerics(format!("job {job}"))),
                _ => Ok(()),
            },
            |()| collected += 1,
        )
        .unwrap_err();
        assert_eq!((collected, error.to_string()), (7, EngineError::Numerics("job 7".into()).to_string()));
    }

    #[test]
    fn a_job_that_panics_ends_the_work() {
        let pools = thread_pools(2).unwrap();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            run_in_order(
                &pools,
                &[0, 1, 2, 3, 4, 5],
                |job| {
                    assert!(*job != 3, "job 3 panics");
                    Ok(())
                },
                |()| {},
            )
        }));
        assert_eq!(outcome.unwrap_err().downcast_ref(), Some(&"job 3 panics"));
    }
}
