//! Who takes which job next: threads share out a list of jobs, and never run far ahead of what is done with the
//! results.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The turns of some threads at a list of jobs.
pub struct Turns {
    n_jobs: usize,
    /// How many jobs may be begun beyond those whose results were collected.
    ahead: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    next: usize,
    collected: usize,
    ended: bool,
}

impl Turns {
    pub fn new(n_jobs: usize, ahead: usize) -> Self {
        Self {
            n_jobs,
            ahead,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// The next job, once it may be begun; none where all are taken, or the work has ended.
    pub fn next(&self) -> Option<usize> {
        let mut state = self.locked();
        while !state.ended && state.next < self.n_jobs {
            if state.next < state.collected + self.ahead {
                state.next += 1;
                return Some(state.next - 1);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        None
    }

    /// Says that the results of so many jobs, the first ones, were collected.
    pub fn collected(&self, n_jobs: usize) {
        self.locked().collected = n_jobs;
        self.changed.notify_all();
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the work when it goes, so that no thread waits for one that failed.
pub struct EndsTurns<'a>(pub &'a Turns);

impl Drop for EndsTurns<'_> {
    fn drop(&mut self) {
        self.0.locked().ended = true;
        self.0.changed.notify_all();
    }
}
