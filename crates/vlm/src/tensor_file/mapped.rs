//! A memory-mapped file: pages are read on access, and released when they are no longer needed.

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
        #[expect(unsafe_code, reason = "a memory map is what keeps loading a large checkpoint within its own size")]
        let map = unsafe { Mmap::map(&file) }?;
        Ok(Self(Arc::new(map)))
    }

    /// All of it.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// A part of it, which keeps the map alive. The part must lie within.
    pub fn range(&self, range: Range<usize>) -> MappedRange {
        MappedRange { map: Arc::clone(&self.0), range }
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

    /// Releases the part's pages from this process's memory; they are read again on the next access.
    #[cfg(unix)]
    pub fn release(&self) {
        // SAFETY: the pages are a file's and are never written to, so that reading again gives the same bytes.
        #[expect(unsafe_code, reason = "pages once read would count until the map is closed")]
        let advised = unsafe {
            let advice = memmap2::UncheckedAdvice::DontNeed;
            self.map.unchecked_advise_range(advice, self.range.start, self.range.len())
        };
        // Advice alone: a system that ignores it keeps the pages a while longer.
        drop(advised);
    }

    /// Nothing to do: this system reclaims pages by itself.
    #[cfg(not(unix))]
    pub fn release(&self) {}
}

impl AsRef<[u8]> for MappedRange {
    fn as_ref(&self) -> &[u8] {
        self.bytes()
    }
}
