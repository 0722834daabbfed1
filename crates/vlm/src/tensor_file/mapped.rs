//! A file in memory: pages that are read when they are looked at, and given back when they are no longer needed.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use memmap2::Mmap;

use crate::error::Error;

/// A whole file, mapped for reading.
#[derive(Debug)]
pub(super) struct MappedFile(Arc<Mmap>);

impl MappedFile {
    /// Maps a file.
    ///
    /// Errors: `Io` when it cannot be opened.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = fs_err::File::open(path)?;
        // SAFETY: the map is read-only. A file rewritten in place by another process while it is mapped would be read
        // in a mixed state, and one cut short would end this process; everything this crate writes, and everything the
        // hub's tools do, is renamed into place, so that an open map keeps the old file.
        #[expect(
            unsafe_code,
            reason = "a memory map is what keeps loading a large checkpoint within its own size"
        )]
        let map = unsafe { Mmap::map(&file) }?;
        Ok(Self(Arc::new(map)))
    }

    /// All of it.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// A part of it, which keeps the map alive. The part must lie within.
    pub fn range(&self, range: Range<usize>) -> MappedRange {
        MappedRange {
            map: Arc::clone(&self.0),
            range,
        }
    }
}

/// A part of a mapped file.
#[derive(Clone, Debug)]
pub(super) struct MappedRange {
    map: Arc<Mmap>,
    range: Range<usize>,
}

impl MappedRange {
    /// The part's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.map[self.range.clone()]
    }

    /// Takes the part's pages out of this process's memory; they are read anew if they are looked at again.
    #[cfg(unix)]
    pub fn give_back(&self) {
        // SAFETY: the pages are a file's and are never written to, so that what is read anew is what was there.
        #[expect(unsafe_code, reason = "pages once read would count until the map is closed")]
        let given_back = unsafe {
            let advice = memmap2::UncheckedAdvice::DontNeed;
            self.map
                .unchecked_advise_range(advice, self.range.start, self.range.len())
        };
        // Advice alone: a system that does not take it keeps the pages a while longer.
        drop(given_back);
    }

    /// Nothing to do: this system takes back pages by itself.
    #[cfg(not(unix))]
    pub fn give_back(&self) {}
}

impl AsRef<[u8]> for MappedRange {
    fn as_ref(&self) -> &[u8] {
        self.bytes()
    }
}
