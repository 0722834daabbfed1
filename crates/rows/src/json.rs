//! JSON objects, one per line or in one list, read without holding more than one of them in memory.

mod unkept;

use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;

use align::types::MAX_LINE_BYTES;
use diagnostic::{JsonProblem, read_json};
use serde_json::Value;

use self::unkept::unkept;
use super::container::BYTE_ORDER_MARK;
use super::row::{BrokenRow, Row, RowResult, RowWriter, Rows};
use crate::error::RowsError;
use crate::problem::{Problem, ProblemKind, shown};

type FileReader = BufReader<fs_err::File>;

/// The rows of a file of JSON lines; blank lines are skipped.
pub(super) fn lines(path: &Path) -> Result<Rows, RowsError> {
    let rows = LineRows { file: open(path)?, number: 0, line: 0, ended: false };
    Ok(Rows::new(None, rows))
}

/// The rows of a file that holds one list of JSON objects.
pub(super) fn list(path: &Path) -> Result<Rows, RowsError> {
    let rows = ListRows { bytes: open(path)?.bytes(), number: 0, line: 1, state: ListState::Before, pending: None };
    Ok(Rows::new(None, rows))
}

/// Opens a file after its byte order mark, if it has one.
fn open(path: &Path) -> std::io::Result<FileReader> {
    let mut file = BufReader::new(fs_err::File::open(path)?);
    if file.fill_buf()?.starts_with(BYTE_ORDER_MARK) {
        file.consume(BYTE_ORDER_MARK.len());
    }
    Ok(file)
}

struct LineRows {
    file: FileReader,
    number: usize,
    line: usize,
    ended: bool,
}

impl LineRows {
    fn broken(&self, kind: ProblemKind, message: impl Into<String>) -> BrokenRow {
        BrokenRow::new(self.number, Some(self.line), Problem::new(kind, message))
    }

    /// Reads a line into the buffer; returns whether it is too long, and none at the end of the file.
    fn read_line(&mut self, bytes: &mut Vec<u8>) -> std::io::Result<Option<bool>> {
        let read = (&mut self.file).take(MAX_LINE_BYTES as u64).read_until(b'\n', bytes)?;
        if read == 0 {
            return Ok(None);
        }
        self.line += 1;
        let too_long = read == MAX_LINE_BYTES && bytes.last() != Some(&b'\n');
        if too_long {
            self.file.skip_until(b'\n')?;
        }
        Ok(Some(too_long))
    }
}

impl Iterator for LineRows {
    type Item = RowResult;

    fn next(&mut self) -> Option<RowResult> {
        let mut bytes = Vec::new();
        while !self.ended {
            bytes.clear();
            match self.read_line(&mut bytes) {
                Ok(None) => self.ended = true,
                Ok(Some(too_long)) => {
                    if bytes.trim_ascii().is_empty() {
                        continue;
                    }
                    self.number += 1;
                    if too_long {
                        let message = format!("expected a line of at most {MAX_LINE_BYTES} bytes");
                        return Some(Err(self.broken(ProblemKind::InvalidJson, message)));
                    }
                    // Without its end the text says where it broke off.
                    let text = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
                    return Some(row_of(text, self.number, self.line, text.len() == bytes.len()));
                }
                Err(error) => {
                    self.ended = true;
                    self.number += 1;
                    return Some(Err(self.broken(ProblemKind::TornRow, format!("the rest cannot be read: {error}"))));
                }
            }
        }
        None
    }
}

/// The row that a text is; `is_last` where the file ends with it.
fn row_of(bytes: &[u8], number: usize, line: usize, is_last: bool) -> RowResult {
    let broken = |line, kind, message| BrokenRow::new(number, Some(line), Problem::new(kind, message));
    match read_json(bytes) {
        Ok(Value::Object(fields)) => {
            Ok(Row { number, line: Some(line), fields, problems: unkept(bytes), ..Row::default() })
        }
        Ok(other) => {
            let message = format!("expected a JSON object, got {}", shown(&other));
            Err(broken(line, ProblemKind::WrongType, message))
        }
        Err(problem) => {
            let kind = match std::str::from_utf8(bytes) {
                Err(_) => ProblemKind::InvalidUtf8,
                Ok(_) if problem.is_cut_short && is_last => ProblemKind::TornRow,
                Ok(_) => ProblemKind::InvalidJson,
            };
            let line = line + problem.line - 1;
            // A row of JSON lines is a line, but for blank ones.
            let place = if line == number { String::new() } else { format!("line {line}, ") };
            Err(broken(line, kind, format!("{place}{}", told(&problem))))
        }
    }
}

fn told(problem: &JsonProblem) -> String {
    match &problem.hint {
        Some(hint) => format!("{problem}: {hint}"),
        None => problem.to_string(),
    }
}

enum ListState {
    Before,
    Within,
    Ended,
}

struct ListRows {
    bytes: std::io::Bytes<FileReader>,
    number: usize,
    line: usize,
    state: ListState,
    /// A byte that was read and belongs to what comes next.
    pending: Option<u8>,
}

impl ListRows {
    fn byte(&mut self) -> Option<std::io::Result<u8>> {
        if let Some(byte) = self.pending.take() {
            return Some(Ok(byte));
        }
        let byte = self.bytes.next()?;
        if matches!(byte, Ok(b'\n')) {
            self.line += 1;
        }
        Some(byte)
    }

    /// The next byte that is no white space.
    fn visible(&mut self) -> Option<std::io::Result<u8>> {
        loop {
            match self.byte()? {
                Ok(byte) if byte.is_ascii_whitespace() => {}
                other => return Some(other),
            }
        }
    }

    fn end(&mut self, kind: ProblemKind, message: impl Into<String>) -> RowResult {
        self.state = ListState::Ended;
        let problem = Problem::new(kind, message);
        Err(BrokenRow::new(self.number + 1, Some(self.line), problem))
    }

    /// The bytes of the element that begins with `first`, up to the comma or bracket after it.
    fn element(&mut self, first: u8) -> std::io::Result<Option<Vec<u8>>> {
        let (mut element, mut depth, mut in_string, mut escaped) = (Vec::new(), 0_usize, false, false);
        let mut next = Some(first);
        while let Some(byte) = next {
            if in_string {
                in_string = escaped || byte != b'"';
                escaped = !escaped && byte == b'\\';
            } else {
                match byte {
                    b'"' => in_string = true,
                    b'{' | b'[' => depth += 1,
                    b',' | b']' if depth == 0 => {
                        self.pending = Some(byte);
                        return Ok(Some(element));
                    }
                    b'}' | b']' => depth = depth.saturating_sub(1),
                    _ => {}
                }
            }
            element.push(byte);
            if element.len() > MAX_LINE_BYTES {
                return Ok(None);
            }
            next = self.byte().transpose()?;
        }
        Ok(None)
    }
}

impl Iterator for ListRows {
    type Item = RowResult;

    fn next(&mut self) -> Option<RowResult> {
        if matches!(self.state, ListState::Before) {
            match self.visible() {
                Some(Ok(b'[')) => self.state = ListState::Within,
                None => {
                    self.state = ListState::Ended;
                    return None;
                }
                _ => return Some(self.end(ProblemKind::InvalidJson, "expected a list of objects")),
            }
        }
        if matches!(self.state, ListState::Ended) {
            return None;
        }
        let first = loop {
            match self.visible() {
                Some(Ok(b',')) => {}
                Some(Ok(b']')) => {
                    self.state = ListState::Ended;
                    return match self.visible() {
                        None => None,
                        _ => Some(self.end(ProblemKind::InvalidJson, "expected nothing after the list")),
                    };
                }
                Some(Ok(byte)) => break byte,
                None => return Some(self.end(ProblemKind::TornRow, "the file ends within the list: expected `]`")),
                Some(Err(error)) => {
                    return Some(self.end(ProblemKind::TornRow, format!("the rest cannot be read: {error}")));
                }
            }
        };
        let line = self.line;
        match self.element(first) {
            Ok(Some(bytes)) => {
                self.number += 1;
                Some(row_of(&bytes, self.number, line, false))
            }
            Ok(None) => Some(self.end(ProblemKind::TornRow, "the file ends within a row")),
            Err(error) => Some(self.end(ProblemKind::TornRow, format!("the rest cannot be read: {error}"))),
        }
    }
}

/// Writes rows as JSON.
pub(super) struct Writer {
    file: BufWriter<fs_err::File>,
    in_list: bool,
    written: usize,
}

impl Writer {
    pub(super) fn create(path: &Path, in_list: bool) -> Result<Self, RowsError> {
        let file = BufWriter::new(fs_err::File::create(path)?);
        Ok(Self { file, in_list, written: 0 })
    }
}

impl RowWriter for Writer {
    fn write(&mut self, row: &Row) -> Result<(), RowsError> {
        let before: &[u8] = match (self.in_list, self.written) {
            (false, _) => b"",
            (true, 0) => b"[\n",
            (true, _) => b",\n",
        };
        self.file.write_all(before)?;
        serde_json::to_writer(&mut self.file, &row.fields).map_err(std::io::Error::from)?;
        if !self.in_list {
            self.file.write_all(b"\n")?;
        }
        self.written += 1;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), RowsError> {
        if self.in_list {
            self.file.write_all(if self.written == 0 { b"[]\n" } else { b"\n]\n" })?;
        }
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        Ok(())
    }
}
