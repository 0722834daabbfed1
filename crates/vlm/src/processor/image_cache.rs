//! Processed pictures by path, within a limit of memory, for many threads at once.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::Error;
use crate::image_processor::ImagePatches;

/// Keeps the pictures used last. Threads that want the same picture wait for one of them to process it.
#[derive(Debug)]
pub(super) struct ImageCache {
    byte_limit: usize,
    entries: Mutex<Entries>,
}

/// A picture's place; empty until a thread has processed it.
type Slot = Arc<Mutex<Option<Arc<ImagePatches>>>>;

#[derive(Debug, Default)]
struct Entries {
    by_path: HashMap<PathBuf, Entry>,
    n_bytes: usize,
    clock: u64,
}

#[derive(Debug, Default)]
struct Entry {
    slot: Slot,
    n_bytes: usize,
    last_used: u64,
}

impl ImageCache {
    /// An empty cache that keeps at most so many bytes of pictures.
    pub(super) fn new(byte_limit: usize) -> Self {
        Self {
            byte_limit,
            entries: Mutex::default(),
        }
    }

    /// The most bytes kept.
    pub(super) fn byte_limit(&self) -> usize {
        self.byte_limit
    }

    /// The picture kept for `path`, or what `process` makes of it; a fault is handed on and not kept.
    pub(super) fn get_or_insert(
        &self,
        path: &Path,
        process: impl FnOnce() -> Result<ImagePatches, Error>,
    ) -> Result<Arc<ImagePatches>, Error> {
        let slot = lock(&self.entries).slot(path);
        let mut picture = lock(&slot);
        if let Some(picture) = &*picture {
            return Ok(picture.clone());
        }
        let outcome = process().map(Arc::new);
        match &outcome {
            Ok(patches) => {
                *picture = Some(patches.clone());
                lock(&self.entries).account(path, patches.n_bytes(), self.byte_limit);
            }
            Err(_) => lock(&self.entries).remove(path),
        }
        outcome
    }
}

impl Entries {
    fn slot(&mut self, path: &Path) -> Slot {
        self.clock += 1;
        let clock = self.clock;
        if !self.by_path.contains_key(path) {
            self.by_path.insert(path.to_owned(), Entry::default());
        }
        self.by_path.get_mut(path).map_or_else(Slot::default, |entry| {
            entry.last_used = clock;
            entry.slot.clone()
        })
    }

    /// Notes the size of a picture that has come, and lets go of those unused for longest until all fit.
    fn account(&mut self, path: &Path, n_bytes: usize, byte_limit: usize) {
        if let Some(entry) = self.by_path.get_mut(path) {
            self.n_bytes = self.n_bytes - entry.n_bytes + n_bytes;
            entry.n_bytes = n_bytes;
        }
        while self.n_bytes > byte_limit {
            // Entries without bytes are being processed; they are not kept yet, so there is nothing to let go of.
            let held = self.by_path.iter().filter(|(_, entry)| entry.n_bytes > 0);
            let Some(oldest) = held
                .min_by_key(|(_, entry)| entry.last_used)
                .map(|(path, _)| path.clone())
            else {
                break;
            };
            self.remove(&oldest);
        }
    }

    fn remove(&mut self, path: &Path) {
        if let Some(entry) = self.by_path.remove(path) {
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
    use crate::image_processor::{ImageProcessor, ImageSettings, Pictures};
    use crate::resample::RgbPicture;

    /// A picture of 56 x 56 pixels, 9,408 bytes.
    fn patches() -> ImagePatches {
        let picture = RgbPicture::new(56, 56, vec![7; 56 * 56 * 3]).unwrap();
        ImageProcessor::new(ImageSettings::default()).process(&picture).unwrap()
    }

    #[test]
    fn a_picture_is_processed_once_by_however_many_threads() {
        let (cache, n_processed) = (ImageCache::new(1 << 20), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let process = || {
                        n_processed.fetch_add(1, Ordering::Relaxed);
                        Ok(patches())
                    };
                    cache.get_or_insert(Path::new("a.png"), process).unwrap();
                });
            }
        });
        assert_eq!(n_processed.into_inner(), 1);
    }

    #[test]
    fn the_pictures_unused_for_longest_go_when_room_is_short() {
        let cache = ImageCache::new(20_000);
        let get = |name: &str| {
            let mut fresh = false;
            let process = || {
                fresh = true;
                Ok(patches())
            };
            cache.get_or_insert(Path::new(name), process).unwrap();
            fresh
        };
        assert!(get("a") && get("b"), "two pictures fit");
        assert!(!get("a"), "kept");
        assert!(get("c"), "takes the place of b");
        assert!(!get("a") && !get("c") && get("b"));
        assert!(lock(&cache.entries).n_bytes <= 20_000);
    }

    #[test]
    fn faults_are_not_kept_and_a_full_cache_still_gives_pictures() {
        let cache = ImageCache::new(0);
        let fault = || Err(Error::Input("no picture".into()));
        assert!(cache.get_or_insert(Path::new("a"), fault).is_err());
        assert_eq!(
            cache.get_or_insert(Path::new("a"), || Ok(patches())).unwrap().n_bytes(),
            9408
        );
        assert!(lock(&cache.entries).by_path.is_empty());
    }
}
