//! Files of JSON lines that are appended to as results come: a kill can tear at most the last line.

use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use diagnostic::read_json;
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::types::{DataError, MAX_LINE_BYTES, read_line};

/// A file of JSON lines open for appending.
#[derive(Debug)]
pub struct JsonLinesFile {
    path: PathBuf,
    file: fs_err::File,
    length: u64,
}

impl JsonLinesFile {
    /// Opens or creates a file. A last line without its line break was torn by a kill and is removed, unless it is a whole
    /// object, which an editor wrote.
    ///
    /// Errors: the operating system's, naming the file.
    pub fn open(path: &Path) -> std::io::Result<Self> {
        let mut file = fs_err::OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let mut length = end_of_last_line(&mut file)?;
        let mut last = Vec::new();
        file.seek(SeekFrom::Start(length))?;
        read_line(&mut BufReader::new(&mut file), &mut last)?;
        if is_whole(&last) {
            file.write_all(b"\n")?;
            length += last.len() as u64 + 1;
        }
        file.set_len(length)?;
        Ok(Self { path: path.to_owned(), file, length })
    }

    /// Appends one line. A line that could not be written whole (a full disk) is removed again.
    ///
    /// Errors: the operating system's, naming the file; a value that JSON cannot hold.
    pub fn append<T: Serialize>(&mut self, value: &T) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        if let Err(error) = self.file.write_all(&line) {
            // The first error is the one to report; a torn line that stays is removed by the next `open`.
            self.file.set_len(self.length).ok();
            return Err(error);
        }
        self.length += line.len() as u64;
        Ok(())
    }

    /// Where the file lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file's length in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Waits until everything appended is on the disk.
    ///
    /// Errors: the operating system's, naming the file.
    pub fn sync(&self) -> std::io::Result<()> {
        self.file.sync_data()
    }

    /// Keeps the first `length` bytes alone.
    ///
    /// Errors: the operating system's, naming the file; `InvalidData` where the file is shorter than that or no line
    /// ends there, which means that another program changed it.
    pub fn truncate(&mut self, length: u64) -> std::io::Result<()> {
        if length > self.length {
            let found = self.length;
            return Err(self.invalid(&format!("expected at least the {length} bytes of the checkpoint, got {found}")));
        }
        if length > 0 {
            let mut last = [0];
            self.file.seek(SeekFrom::Start(length - 1))?;
            self.file.read_exact(&mut last)?;
            if last != *b"\n" {
                return Err(self.invalid(&format!("expected a line to end at byte {length}")));
            }
        }
        self.file.set_len(length)?;
        self.length = length;
        Ok(())
    }

    fn invalid(&self, problem: &str) -> std::io::Error {
        let message = format!("{}: {problem}", self.path.display());
        std::io::Error::new(std::io::ErrorKind::InvalidData, message)
    }
}

/// Reads a file of JSON lines whole; [`JsonLinesReader`] says how.
///
/// Errors: those of [`JsonLinesReader`].
pub fn read_json_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, DataError> {
    JsonLinesReader::open(path)?.collect()
}

/// The values of a file of JSON lines, one at a time; blank lines and a torn last line are skipped, and a file that
/// does not exist is empty. After an error, or its end, it stays ended, whatever is appended meanwhile.
///
/// Errors: `Io` naming the file; `Json` or `Line` naming file and line for a whole line that is not what it should be.
#[derive(Debug)]
pub struct JsonLinesReader<T> {
    path: PathBuf,
    reader: Option<BufReader<fs_err::File>>,
    line: usize,
    kind: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> JsonLinesReader<T> {
    /// Opens a file for reading.
    ///
    /// Errors: `Io` naming the file.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        match fs_err::File::open(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Ok(Self { path: path.to_owned(), reader: None, line: 0, kind: PhantomData })
            }
            file => Ok(Self::of(file?)),
        }
    }

    /// Reads a file that is open already, from where it stands.
    pub(crate) fn of(file: fs_err::File) -> Self {
        Self { path: file.path().to_owned(), reader: Some(BufReader::new(file)), line: 0, kind: PhantomData }
    }

    fn read(&mut self) -> Result<Option<T>, DataError> {
        let Some(reader) = &mut self.reader else {
            return Ok(None);
        };
        let mut line = Vec::new();
        loop {
            line.clear();
            let n_read = read_line(reader, &mut line)?;
            self.line += 1;
            if n_read > MAX_LINE_BYTES {
                let problem = format!("expected a line of at most {MAX_LINE_BYTES} bytes, got more");
                return Err(DataError::Line { path: self.path.clone(), line: self.line, problem });
            }
            if line.last() != Some(&b'\n') && !is_whole(&line) {
                return Ok(None);
            }
            // An editor may have left an empty one.
            if !line.trim_ascii().is_empty() {
                break;
            }
        }
        match read_json(line.trim_ascii_end()) {
            Ok(value) => Ok(Some(value)),
            Err(problem) => Err(DataError::Json { path: self.path.clone(), line: self.line, problem }),
        }
    }
}

impl<T: DeserializeOwned> Iterator for JsonLinesReader<T> {
    type Item = Result<T, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.read().transpose();
        if !matches!(next, Some(Ok(_))) {
            self.reader = None;
        }
        next
    }
}

/// Whether a line without its end is an object all the same: what is torn is none.
fn is_whole(line: &[u8]) -> bool {
    line.starts_with(b"{") && serde_json::from_slice::<IgnoredAny>(line).is_ok()
}

/// Where the file's last line break ends, found from the back.
fn end_of_last_line(file: &mut fs_err::File) -> std::io::Result<u64> {
    const BLOCK: u64 = 65_536;
    let mut end = file.seek(SeekFrom::End(0))?;
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        let mut block = vec![0; (end - start) as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut block)?;
        if let Some(position) = block.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + position as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_last_line_is_removed_and_the_rest_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("numbers.jsonl");
        let long_torn_line = "9".repeat(200_000);
        std::fs::write(&path, format!("1\n2\n{long_torn_line}")).unwrap();
        assert_eq!(read_json_lines::<u64>(&path).unwrap(), [1, 2]);
        let mut file = JsonLinesFile::open(&path).unwrap();
        assert_eq!(file.length(), 4);
        file.append(&3).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "1\n2\n3\n");
    }

    type Object = std::collections::BTreeMap<String, u64>;

    #[test]
    fn a_last_line_that_only_lacks_its_end_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("objects.jsonl");
        std::fs::write(&path, "{\"a\":1}\n\n{\"a\":2}").unwrap();
        let read = || read_json_lines::<Object>(&path).unwrap().iter().map(|object| object["a"]).collect::<Vec<_>>();
        assert_eq!(read(), [1, 2]);
        JsonLinesFile::open(&path).unwrap().append(&Object::from([("a".to_owned(), 3)])).unwrap();
        assert_eq!(read(), [1, 2, 3]);
    }

    #[test]
    fn truncating_keeps_whole_lines_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("words.jsonl");
        let mut file = JsonLinesFile::open(&path).unwrap();
        file.append(&"one").unwrap();
        let after_one = file.length();
        file.append(&"two").unwrap();
        assert!(file.truncate(after_one - 1).unwrap_err().to_string().contains("expected a line to end at byte 5"));
        assert!(file.truncate(99).unwrap_err().to_string().contains("words.jsonl: expected at least the 99 bytes"));
        file.truncate(after_one).unwrap();
        file.append(&"three").unwrap();
        assert_eq!(read_json_lines::<String>(&path).unwrap(), ["one", "three"]);
    }

    #[test]
    fn a_bad_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("numbers.jsonl");
        assert!(read_json_lines::<u64>(&path).unwrap().is_empty());
        std::fs::write(&path, "1\nx\n").unwrap();
        let message = read_json_lines::<u64>(&path).unwrap_err().to_string();
        assert!(message.ends_with("numbers.jsonl:2: column 1: expected a value, got `x`"), "{message}");
    }

    /// `/dev/full` is a disk without space.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_names_the_file() {
        let file = fs_err::OpenOptions::new().append(true).open("/dev/full").unwrap();
        let mut file = JsonLinesFile { path: "/dev/full".into(), file, length: 0 };
        let message = file.append(&1).unwrap_err().to_string();
        assert!(message.contains("/dev/full"), "{message}");
        assert_eq!(file.length(), 0);
    }
}
