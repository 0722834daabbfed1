//! What was computed from a file or its bytes, within a limit of memory, for many threads at once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Keeps the values used last. Threads that want the same value wait for one of them to make it.
#[derive(Debug)]
pub struct Cache<K, V> {
    byte_limit: usize,
    // A value's size in bytes.
    weigh: fn(&V) -> usize,
    entries: Mutex<Entries<K, V>>,
}

/// A value's place; empty until a thread has made it.
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
    /// An empty cache that keeps values of at most so many bytes altogether; `weigh` tells a value's.
    pub fn new(byte_limit: usize, weigh: fn(&V) -> usize) -> Self {
        Self {
            byte_limit,
            weigh,
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

    /// The value kept for `key`, or what `make` gives.
    ///
    /// Errors: `make`'s, which is not kept.
    pub fn get_or_insert<E>(&self, key: &K, make: impl FnOnce() -> Result<V, E>) -> Result<Arc<V>, E> {
        let slot = lock(&self.entries).slot(key);
        let mut place = lock(&slot);
        if let Some(value) = &*place {
            return Ok(value.clone());
        }
        let outcome = make().map(Arc::new);
        match &outcome {
            Ok(value) => {
                *place = Some(value.clone());
                lock(&self.entries).account(key, (self.weigh)(value), self.byte_limit);
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

    /// Notes the size of a value that has come, and lets go of those unused for longest until all fit.
    fn account(&mut self, key: &K, n_bytes: usize, byte_limit: usize) {
        if let Some(entry) = self.by_key.get_mut(key) {
            self.n_bytes = self.n_bytes - entry.n_bytes + n_bytes;
            entry.n_bytes = n_bytes;
        }
        while self.n_bytes > byte_limit {
            // Entries without bytes are being made; they are not kept yet, so there is nothing to let go of.
            let held = self.by_key.iter().filter(|(_, entry)| entry.n_bytes > 0);
            let Some(oldest) = held
                .min_by_key(|(_, entry)| entry.last_used)
                .map(|(key, _)| key.clone())
            else {
                break;
            };
            self.remove(&oldest);
        }
    }

    fn remove(&mut self, key: &K) {
        if let Some(entry) = self.by_key.remove(key) {
            self.n_bytes -= entry.n_bytes;
        }
    }
}

/// Locks, also after another thread died while it held the lock: nothing is left half-done between two statements.
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

    #[test]
    fn a_value_is_made_once_for_however_many_threads() {
        let (cache, n_made) = (cache(1 << 20), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let make = || {
                        n_made.fetch_add(1, Ordering::Relaxed);
                        Ok::<_, ()>(vec![7; 9408])
                    };
                    cache.get_or_insert(&"a.png", make).unwrap();
                });
            }
        });
        assert_eq!(n_made.into_inner(), 1);
    }

    #[test]
    fn the_values_unused_for_longest_go_when_room_is_short() {
        let cache = cache(20_000);
        let get = |name: &'static str| {
            let mut fresh = false;
            let make = || {
                fresh = true;
                Ok::<_, ()>(vec![7; 9408])
            };
            cache.get_or_insert(&name, make).unwrap();
            fresh
        };
        assert!(get("a") && get("b"), "two values fit");
        assert!(!get("a"), "kept");
        assert!(get("c"), "takes the place of b");
        assert!(!get("a") && !get("c") && get("b"));
        assert!(lock(&cache.entries).n_bytes <= 20_000);
    }

    #[test]
    fn faults_are_not_kept_and_a_full_cache_still_gives_values() {
        let cache = cache(0);
        assert_eq!(cache.get_or_insert(&"a", || Err("no picture")), Err("no picture"));
        let value = cache.get_or_insert(&"a", || Ok::<_, ()>(vec![7; 9408])).unwrap();
        assert_eq!(value.len(), 9408);
        assert!(lock(&cache.entries).by_key.is_empty());
    }
}
