//! Threads beside the model's.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::oneshot;

use super::api_error::ApiError;

/// Wider models' products gain from every core, and bits are not promised of them; narrower ones' gain nothing from
/// being split, and come out as those of `generate` on one thread each.
const WIDEST_ON_ONE_THREAD: usize = 512;

/// How many threads the products of a model of this width take.
pub fn n_threads(hidden_size: usize) -> usize {
    if hidden_size > WIDEST_ON_ONE_THREAD { n_cores() } else { 1 }
}

/// How many threads run side by side on this machine.
pub fn n_cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A pool of so many threads.
///
/// Errors: when the system gives none.
pub fn pool(n_threads: usize) -> std::io::Result<rayon::ThreadPool> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(n_threads)
        // The request whose work panicked notices that no result comes.
        .panic_handler(|_| {})
        .build()
        .map_err(std::io::Error::other)
}

/// Pools that work side by side. Tensor operations stay in their pool.
pub struct Pools {
    pools: Vec<rayon::ThreadPool>,
    next: AtomicUsize,
}

impl Pools {
    /// So many pools of so many threads each.
    ///
    /// Errors: as [`pool`].
    pub fn new(n_pools: usize, n_threads: usize) -> std::io::Result<Self> {
        Ok(Self {
            pools: (0..n_pools.max(1)).map(|_| pool(n_threads)).collect::<Result<_, _>>()?,
            next: AtomicUsize::new(0),
        })
    }

    /// Does the work in one of the pools, unless the client has disconnected before it starts.
    ///
    /// Errors: the work's; 500 when it panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let (result, wait) = oneshot::channel();
        let index = self.next.fetch_add(1, Ordering::Relaxed) % self.pools.len();
        self.pools[index].spawn(move || {
            if !result.is_closed() {
                let _ = result.send(work());
            }
        });
        wait.await.map_err(|_| ApiError::internal("an error of the server's while it prepared the request"))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_models_take_every_core_narrow_ones_one() {
        assert_eq!([64, 128, 512].map(n_threads), [1; 3]);
        assert_eq!([513, 2048, 3584].map(n_threads), [n_cores(); 3]);
    }
}
