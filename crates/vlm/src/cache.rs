//! A cache of values with a limit in bytes, for many threads: what was computed from a file or its bytes.

use std::hash::Hash;
use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync;

/// So few values are expected that the library keeps them in one shard: a value may take the whole limit.
const EXPECTED_VALUES: usize = 32;

/// Keeps the values in use. Threads that need the same value wait for one of them to compute it.
#[derive(Debug)]
pub struct Cache<K, V> {
    byte_limit: usize,
    values: sync::Cache<K, Arc<V>, SizeOf<V>>,
}

/// A value weighs its bytes.
struct SizeOf<V>(fn(&V) -> usize);

impl<V> Clone for SizeOf<V> {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

impl<K, V> Weighter<K, Arc<V>> for SizeOf<V> {
    fn weight(&self, _: &K, value: &Arc<V>) -> u64 {
        (self.0)(value) as u64
    }
}

impl<K: Clone + Eq + Hash, V> Cache<K, V> {
    /// An empty cache for values of at most `byte_limit` bytes in all; `size_of` returns a value's.
    pub fn new(byte_limit: usize, size_of: fn(&V) -> usize) -> Self {
        Self { byte_limit, values: sync::Cache::with_weighter(EXPECTED_VALUES, byte_limit as u64, SizeOf(size_of)) }
    }

    /// The most bytes kept.
    pub fn byte_limit(&self) -> usize {
        self.byte_limit
    }

    /// The value kept for `key`, or that of `make`.
    ///
    /// Errors: `make`'s, which is not kept.
    pub fn get_or_insert<E>(&self, key: &K, make: impl FnOnce() -> Result<V, E>) -> Result<Arc<V>, E> {
        self.values.get_or_insert_with(key, || make().map(Arc::new))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn cache(byte_limit: usize) -> Cache<&'static str, Vec<u8>> {
        Cache::new(byte_limit, Vec::len)
    }

    fn value() -> Vec<u8> {
        vec![7; 9408]
    }

    #[test]
    fn a_value_is_computed_once_for_however_many_threads() {
        let (cache, n_computed) = (cache(1 << 20), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let outcome = cache.get_or_insert(&"a.png", || {
                        n_computed.fetch_add(1, Ordering::Relaxed);
                        Ok::<_, ()>(value())
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
            Ok::<_, ()>(value())
        });
        outcome.unwrap();
        computes
    }

    #[test]
    fn values_beyond_the_limit_are_dropped_and_those_in_use_outlast_them() {
        let cache = cache(20_000);
        assert!(computes(&cache, "a") && computes(&cache, "b"), "two values fit");
        assert!(!computes(&cache, "a") && !computes(&cache, "b"), "kept");
        for key in ["c", "d", "e", "f"] {
            assert!(!computes(&cache, "a"), "used before and after every other");
            assert!(computes(&cache, key), "new");
            assert!(cache.values.len() == 2 && cache.values.weight() <= 20_000);
        }
        assert!(computes(&cache, "c"), "used once and dropped");
    }

    #[test]
    fn errors_are_not_kept_and_a_full_cache_still_gives_values() {
        let cache = cache(0);
        assert_eq!(cache.get_or_insert(&"a", || Err("no image")), Err("no image"));
        assert_eq!(cache.get_or_insert(&"a", || Ok::<_, ()>(value())).unwrap().len(), 9408);
        assert!(cache.values.is_empty());
    }
}
