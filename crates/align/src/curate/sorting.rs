//! Sorting of more records than memory should hold: as many as may be held are sorted and written to a file without a
//! name, and these runs are merged when the order is needed. Such a file goes when it is closed, even by a kill.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::files::write_line;
use crate::json_lines::JsonLinesReader;
use crate::types::DataError;

/// So many records are held at once, some megabytes. In tests so few that every sort goes by files.
const HELD: usize = if cfg!(test) { 7 } else { 50_000 };
/// So many runs of one size become one, so that few files are open at a time, however many records there are.
const RUNS_OF_A_SIZE: usize = 16;

/// A file without a name in this folder, which is made if need be.
///
/// Errors: the operating system's, naming the folder.
pub(super) fn nameless_file(folder: &Path) -> std::io::Result<fs_err::File> {
    fs_err::create_dir_all(folder)?;
    let file = tempfile::tempfile_in(folder)
        .map_err(|error| std::io::Error::new(error.kind(), format!("{}: {error}", folder.display())))?;
    Ok(fs_err::File::from_parts(file, folder.join("a temporary file")))
}

/// Takes records in any order and gives them back in theirs.
pub(super) struct Sorter<T> {
    folder: PathBuf,
    held: Vec<T>,
    /// Sorted runs by size: each is made of [`RUNS_OF_A_SIZE`] of the size before.
    runs: Vec<Vec<JsonLinesReader<T>>>,
    /// How many records are in it.
    pub(super) n_records: usize,
}

impl<T: Ord + Serialize + DeserializeOwned + 'static> Sorter<T> {
    /// A sorter without records, whose files lie in this folder.
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), held: Vec::new(), runs: Vec::new(), n_records: 0 }
    }

    /// Takes a record.
    ///
    /// Errors: `Io` naming folder or file.
    pub(super) fn push(&mut self, record: T) -> Result<(), DataError> {
        self.held.push(record);
        self.n_records += 1;
        if self.held.len() == HELD {
            self.held.sort_unstable();
            let run = write_run(&self.folder, self.held.drain(..).map(Ok))?;
            self.add_run(run)?;
        }
        Ok(())
    }

    fn add_run(&mut self, mut run: JsonLinesReader<T>) -> Result<(), DataError> {
        for size in 0.. {
            if self.runs.len() == size {
                self.runs.push(Vec::new());
            }
            let alike = &mut self.runs[size];
            alike.push(run);
            if alike.len() < RUNS_OF_A_SIZE {
                break;
            }
            let merged = Sorted::merge(std::mem::take(alike).into_iter().map(source).collect())?;
            run = write_run(&self.folder, merged)?;
        }
        Ok(())
    }

    /// All records in their order.
    ///
    /// Errors: `Io` naming the file.
    pub(super) fn sorted(mut self) -> Result<Sorted<T>, DataError> {
        self.held.sort_unstable();
        let runs = self.runs.into_iter().flatten().map(source);
        Sorted::merge(runs.chain([source(self.held.into_iter().map(Ok))]).collect())
    }
}

/// Writes sorted records to a file without a name, to be read from its beginning.
fn write_run<T: Serialize + DeserializeOwned>(
    folder: &Path,
    records: impl Iterator<Item = Result<T, DataError>>,
) -> Result<JsonLinesReader<T>, DataError> {
    let mut file = BufWriter::new(nameless_file(folder)?);
    for record in records {
        write_line(&mut file, &record?)?;
    }
    file.flush()?;
    let mut file = file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    file.rewind()?;
    Ok(JsonLinesReader::of(file))
}

/// Sorted records that are merged with others.
type Source<T> = Box<dyn Iterator<Item = Result<T, DataError>>>;

fn source<T>(records: impl Iterator<Item = Result<T, DataError>> + 'static) -> Source<T> {
    Box::new(records)
}

/// Records in their order. After an error it should not be read further.
pub(super) struct Sorted<T> {
    sources: Vec<Source<T>>,
    /// The next record of each source that has one, with the source's number.
    next: BinaryHeap<Reverse<(T, usize)>>,
}

impl<T: Ord> Sorted<T> {
    fn merge(sources: Vec<Source<T>>) -> Result<Self, DataError> {
        let mut sorted = Self { next: BinaryHeap::with_capacity(sources.len()), sources };
        (0..sorted.sources.len()).try_for_each(|number| sorted.fetch(number))?;
        Ok(sorted)
    }

    /// Gets the next record of a source.
    fn fetch(&mut self, number: usize) -> Result<(), DataError> {
        let record = self.sources[number].next().transpose()?;
        self.next.extend(record.map(|record| Reverse((record, number))));
        Ok(())
    }
}

impl<T: Ord> Iterator for Sorted<T> {
    type Item = Result<T, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse((record, number)) = self.next.pop()?;
        Some(self.fetch(number).map(|()| record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(n_records: u64) {
        let folder = tempfile::tempdir().unwrap();
        let mut sorter = Sorter::new(folder.path());
        // 2654435761 is odd, so that its multiples are a permutation of the numbers below a power of two.
        let numbers = (0..n_records).map(|number| (number * 2_654_435_761) % (1 << 20));
        let records: Vec<(u64, String)> = numbers.map(|number| (number, format!("\"{number}\"\n"))).collect();
        for record in &records {
            sorter.push(record.clone()).unwrap();
        }
        assert_eq!(sorter.n_records, records.len());
        assert!(sorter.runs.iter().all(|alike| alike.len() < RUNS_OF_A_SIZE));
        let sorted: Vec<_> = sorter.sorted().unwrap().map(Result::unwrap).collect();
        let mut expected = records;
        expected.sort_unstable();
        assert_eq!(sorted, expected);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "no file has a name");
    }

    #[test]
    fn records_come_back_in_their_order_however_many_there_are() {
        let (held, run) = (HELD as u64, RUNS_OF_A_SIZE as u64);
        for n_records in [0, 1, held - 1, held, held + 1, held * run, held * run * run + held + 3] {
            check(n_records);
        }
    }

    #[test]
    fn a_folder_that_cannot_be_written_to_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let message = nameless_file(&file.join("below")).unwrap_err().to_string();
        assert!(message.contains(&file.display().to_string()), "{message}");
    }
}
