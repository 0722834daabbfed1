//! Files within a zip archive, which a workbook is.

use std::io::Read;

use flate2::read::DeflateDecoder;

/// Most bytes of a file within an archive.
const MOST_BYTES: u64 = 1 << 30;
/// What the directory's end begins with, and each of its entries, and how long they are without names.
const END: (&[u8], usize) = (b"PK\x05\x06", 22);
const ENTRY: (&[u8], usize) = (b"PK\x01\x02", 46);
const STORED: usize = 0;
const DEFLATED: usize = 8;

/// A file within an archive.
pub(super) struct Entry<'a> {
    pub(super) name: &'a str,
    method: usize,
    bytes: &'a [u8],
}

/// The files of an archive; none where it is none.
pub(super) fn entries(archive: &[u8]) -> Option<Vec<Entry<'_>>> {
    let end = archive.windows(END.0.len()).rposition(|window| window == END.0)?;
    let end = archive.get(end..end + END.1)?;
    let (count, mut at) = (number(end, 10, 2)?, number(end, 16, 4)?);
    let mut entries = Vec::new();
    for _ in 0..count {
        let entry = archive.get(at..at + ENTRY.1).filter(|entry| entry.starts_with(ENTRY.0))?;
        let (method, size, offset) = (number(entry, 10, 2)?, number(entry, 20, 4)?, number(entry, 42, 4)?);
        let name_size = number(entry, 28, 2)?;
        let name = archive.get(at + ENTRY.1..at + ENTRY.1 + name_size)?;
        // The file's own head repeats its name, and has an extra field of its own.
        let head = archive.get(offset..offset + 30)?;
        let start = offset + 30 + number(head, 26, 2)? + number(head, 28, 2)?;
        let bytes = archive.get(start..start + size)?;
        entries.push(Entry { name: std::str::from_utf8(name).ok()?, method, bytes });
        at += ENTRY.1 + name_size + number(entry, 30, 2)? + number(entry, 32, 2)?;
    }
    Some(entries)
}

impl Entry<'_> {
    /// The file's text; none where it is damaged or too large.
    pub(super) fn text(&self) -> Option<String> {
        let mut text = String::new();
        let n_bytes = match self.method {
            STORED => self.bytes.take(MOST_BYTES).read_to_string(&mut text),
            DEFLATED => DeflateDecoder::new(self.bytes).take(MOST_BYTES).read_to_string(&mut text),
            _ => return None,
        };
        n_bytes.ok().filter(|n_bytes| (*n_bytes as u64) < MOST_BYTES).map(|_| text)
    }
}

/// A number of so many bytes, the lowest first.
fn number(bytes: &[u8], at: usize, n_bytes: usize) -> Option<usize> {
    let bytes = bytes.get(at..at + n_bytes)?;
    Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
}
