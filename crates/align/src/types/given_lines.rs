//! JSON lines that people and other tools wrote, read one at a time.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use diagnostic::{excerpt, read_json};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::container::{conversion, folder, other_container, rows_within};
use super::data_error::DataError;

/// The longest line that is read (bytes): images in base64 fit; a file without line ends does not fill the memory.
pub const MAX_LINE_BYTES: usize = if cfg!(test) { 1 << 20 } else { 256 << 20 };

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The objects of a file, one a line; blank lines and a byte order mark are skipped, and the last line need not end.
#[derive(Debug)]
pub struct GivenLines {
    path: PathBuf,
    reader: BufReader<fs_err::File>,
    line: usize,
    /// The last line.
    bytes: Vec<u8>,
    wanted: &'static str,
}

impl GivenLines {
    /// Opens a file. `wanted` names what its objects hold, for messages.
    ///
    /// Errors: `Io` naming the file; `Container` where it is no file of JSON lines.
    pub fn open(path: &Path, wanted: &'static str) -> Result<Self, DataError> {
        let mut reader = BufReader::new(fs_err::File::open(path)?);
        let other = match folder(path) {
            Some(folder) => Some(folder),
            None => other_container(path, reader.fill_buf()?),
        };
        if let Some(other) = other {
            return Err(DataError::Container { path: path.to_owned(), wanted, other });
        }
        Ok(Self { path: path.to_owned(), reader, line: 0, bytes: Vec::new(), wanted })
    }

    /// The line of the last object, counted from one.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The text of the last object.
    pub fn text(&self) -> &[u8] {
        let text = &self.bytes[..];
        let text = if self.line == 1 { text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text) } else { text };
        // A carriage return within the line is told as such.
        text.strip_suffix(b"\n").unwrap_or(text)
    }

    /// The next object; none at the end of the file.
    ///
    /// Errors: `Io` naming the file; `Json` or `Line` naming file and line; `Container` where an object holds the rows.
    pub fn read<T: DeserializeOwned>(&mut self) -> Result<Option<T>, DataError> {
        loop {
            self.bytes.clear();
            let n_read = read_line(&mut self.reader, &mut self.bytes)?;
            if n_read == 0 {
                return Ok(None);
            }
            self.line += 1;
            if n_read > MAX_LINE_BYTES {
                return Err(self.problem(format!("expected a line of at most {MAX_LINE_BYTES} bytes, got more")));
            }
            if !self.text().trim_ascii().is_empty() {
                return self.object(self.text()).map(Some);
            }
        }
    }

    fn object<T: DeserializeOwned>(&self, text: &[u8]) -> Result<T, DataError> {
        let mut problem = match read_json(text) {
            Ok(value) if text.trim_ascii_start().starts_with(b"{") => return Ok(value),
            Ok(_) => return Err(self.no_object(text)),
            Err(problem) => problem,
        };
        if problem.column.is_none() {
            match serde_json::from_slice(text) {
                Ok(Value::Object(object)) => {
                    let is_of_another_layout = ["id", "messages"].iter().any(|name| !object.contains_key(*name));
                    if is_of_another_layout && self.wanted.contains("messages") {
                        problem.hint.get_or_insert_with(|| conversion(&self.path));
                    }
                    if let Some(other) = rows_within(&object, &self.path) {
                        return Err(DataError::Container { path: self.path.clone(), wanted: self.wanted, other });
                    }
                }
                _ => return Err(self.no_object(text)),
            }
        }
        Err(DataError::Json { path: self.path.clone(), line: self.line, problem })
    }

    fn no_object(&self, text: &[u8]) -> DataError {
        let got = excerpt(&String::from_utf8_lossy(text));
        self.problem(format!("expected an object with {}, got `{got}`", self.wanted))
    }

    /// What is wrong with the last line.
    pub fn problem(&self, problem: String) -> DataError {
        DataError::Line { path: self.path.clone(), line: self.line, problem }
    }
}

/// Reads all objects of a file, each with its line.
///
/// Errors: those of [`GivenLines`].
pub fn read_given_lines<T: DeserializeOwned>(path: &Path, wanted: &'static str) -> Result<Vec<(usize, T)>, DataError> {
    let mut lines = GivenLines::open(path, wanted)?;
    let mut objects = Vec::new();
    while let Some(object) = lines.read()? {
        objects.push((lines.line(), object));
    }
    Ok(objects)
}

/// Reads a line with its end, or as much as shows that it is too long; returns how many bytes were read.
pub(crate) fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<usize> {
    reader.take(MAX_LINE_BYTES as u64 + 1).read_until(b'\n', line)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::types::{Item, read_items};

    #[test]
    fn a_line_without_end_does_not_fill_the_memory() {
        let mut line = Vec::new();
        let n_read = read_line(&mut BufReader::new(std::io::repeat(b'x')), &mut line).unwrap();
        assert_eq!((n_read, line.len()), (MAX_LINE_BYTES + 1, MAX_LINE_BYTES + 1));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("items.jsonl");
        fs_err::write(&path, [&b"{\"id\": \""[..], &line, b"\"}\n"].concat()).unwrap();
        let message = read_items(&path).unwrap_err().to_string();
        assert!(message.ends_with("items.jsonl:1: expected a line of at most 1048576 bytes, got more"), "{message}");
    }

    const PIECES: [&str; 18] = [
        "{\"id\":1,\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}",
        "{",
        "}",
        "[",
        "]",
        ",",
        "\"id\"",
        ":",
        "\"messages\"",
        "\n",
        "\r\n",
        "\r",
        "PAR1",
        "\u{feff}",
        "NaN",
        "\0",
        "1",
        "\u{1f}",
    ];

    proptest! {
        /// Run longer with `PROPTEST_CASES=1000000`.
        #[test]
        fn any_file_is_read_or_told(
            pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..20),
            bytes in prop::collection::vec(any::<u8>(), 0..4),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("items.jsonl");
            fs_err::write(&path, [pieces.concat().as_bytes(), &bytes].concat()).unwrap();
            let mut lines = GivenLines::open(&path, "`id`");
            while let Ok(reader) = &mut lines {
                match reader.read::<Item>() {
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(error) => lines = Err(error),
                }
            }
            if let Err(error) = lines {
                let message = error.to_string();
                prop_assert!(message.contains("items.jsonl") && message.chars().count() < 1000, "{message}");
                prop_assert!(!message.contains("at line "), "{message}");
            }
        }
    }
}
