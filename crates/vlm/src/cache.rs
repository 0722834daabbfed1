//! A cache of values with a limit in bytes, for many threads: what was computed from a file or its bytes.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Keeps the most recently used values. Threads that need the same value wait for one of them to compute it.
#[derive(Debug)]
pub struct Cache<K, V> {
    byte_limit: usize,
    size_of: fn(&V) -> usize,
    entries: Mutex<Entries<K, V>>,
}

/// Holds a value; empty until a thread has computed it.
type Slot<V> = Arc<Mutex<Option<Arc<V>>>>;

#[derive(Debug)]
struct Entries<K, V> {
    by_key: HashMap<K, Entry<V>>,
    n_bytes: usize,
    clock: u64,
}

#[derive(Debug)]
struct Entry<V> {
    slot: Slot<V>,
    n_bytes: usize,
    last_used: u64,
}

impl<K: Clone + Eq + Hash, V> Cache<K, V> {
    /// An empty cache for values of at most `byte_limit` bytes in all; `size_of` returns a value's.
    pub fn new(byte_limit: usize, size_of: fn(&V) -> usize) -> Self {
        Self {
            byte_limit,
            size_of,
            entries: Mutex::new(Entries {
                by_key: HashMap::new(),
                n_bytes: 0,
                clock: 0,
            }),
        }
    }

    /// The most bytes kept.
    pub fn byte_limit(&self) -> usize {
        self.byte_limit
    }

    /// The value kept for `key`, or that of `make`.
    ///
    /// Errors: `make`'s, which is not kept.
    pub fn get_or_insert<E>(&self, key: &K, make: impl FnOnce() -> Result<V, E>) -> Result<Arc<V>, E> {
        let slot = lock(&self.entries).slot(key);
        let mut held = lock(&slot);
        if let Some(value) = &*held {
            return Ok(value.clone());
        }
        let outcome = make().map(Arc::new);
        match &outcome {
            Ok(value) => {
                *held = Some(value.clone());
                lock(&self.entries).account(key, (self.size_of)(value), self.byte_limit);
            }
            Err(_) => lock(&self.entries).remove(key),
        }
        outcome
    }
}

impl<K: Clone + Eq + Hash, V> Entries<K, V> {
    fn slot(&mut self, key: &K) -> Slot<V> {
        self.clock += 1;
        let clock = self.clock;
        let entry = self.by_key.entry(key.clone()).or_insert_with(|| Entry {
            slot: Slot::default(),
            n_bytes: 0,
            last_used: clock,
        });
        entry.last_used = clock;
        entry.slot.clone()
    }

    /// Notes the size of a new value, and drops the least recently used ones until all fit.
    fn account(&mut self, key: &K, n_bytes: usize, byte_limit: usize) {
        if let Some(entry) = self.by_key.get_mut(key) {
            self.n_bytes = self.n_bytes - entry.n_bytes + n_bytes;
            entry.n_bytes = n_bytes;
        }
        while self.n_bytes > byte_limit {
            // Entries without bytes are being computed; they are not kept yet, so there is nothing to drop.
            let held = self.by_key.iter().filter(|(_, entry)| entry.n_bytes > 0);
            let Some((oldest, _)) = held.min_by_key(|(_, entry)| entry.last_used) else {
                break;
            };
            let oldest = oldest.clone();
            self.remove(&oldest);
        }
    }

    fn remove(&mut self, key: &K) {
        if let Some(entry) = self.by_key.remove(key) {
            self.n_bytes -= entry.n_bytes;
        }
    }
}

/// Locks, also after another thread panicked while it held the lock: nothing is left half-done between two statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn cache(byte_limit: usize) -> Cache<&'static str, Vec<u8>> {
        Cache::new(byte_limit, Vec::len)
    }

    fn value() -> Result<Vec<u8>, ()> {
        Ok(vec![7; 9408])
    }

    #[test]
    fn a_value_is_computed_once_for_however_many_threads() {
        let (cache, n_computed) = (cache(1 << 20), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let outcome = cache.get_or_insert(&"a.png", || {
                        n_computed.fetch_add(1, Ordering::Relaxed);
                        value()
                    });
                    outcome.unwrap();
                });
            }
        });
        assert_eq!(n_computed.into_inner(), 1);
    }

    /// Whether a value has to be computed.
    fn computes(cache: &Cache<&'static str, Vec<u8>>, key: &'static str) -> bool {
        let mut computes = false;
        let outcome = cache.get_or_insert(&key, || {
            computes = true;
            value()
        });
        outcome.unwrap();
        computes
    }

    #[test]
    fn the_least_recently_used_values_are_dropped() {
        let cache = cache(20_000);
        assert!(computes(&cache, "a") && computes(&cache, "b"), "two values fit");
        assert!(!computes(&cache, "a"), "kept");
        assert!(computes(&cache, "c"), "in place of b");
        assert!(!computes(&cache, "a") && !computes(&cache, "c") && computes(&cache, "b"));
        assert!(lock(&cache.entries).n_bytes <= 20_000);
    }

    #[test]
    fn errors_are_not_kept_and_a_full_cache_still_gives_values() {
        let cache = cache(0);
        assert_eq!(cache.get_or_insert(&"a", || Err("no image")), Err("no image"));
        assert_eq!(cache.get_or_insert(&"a", value).unwrap().len(), 9408);
        assert!(lock(&cache.entries).by_key.is_empty());
    }
}
