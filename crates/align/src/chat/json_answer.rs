//! The JSON object in a model's answer: the outermost after the thoughts, the last where there are several.
//!
//! A draft is never taken for the answer: neither what stands in thoughts, nor an object within one that is not JSON,
//! nor one amid words that the token limit cut off.

use diagnostic::json_problem;
use serde_json::{Map, Value};

use crate::tagged::THOUGHTS;

/// The JSON object that an answer gives. `is_truncated` says whether the token limit cut the answer off.
///
/// Errors: why there is none, in words by which the model can repair it.
pub fn json_object(answer: &str, is_truncated: bool) -> Result<Map<String, Value>, String> {
    let mut search = Search { text: answer, at: 0, start: 0, broken: None, found: None };
    while let Some(mark) = search.next_mark() {
        match mark {
            Mark::Opening(close) => search.skip_thoughts(close)?,
            Mark::Closing(tag) => search.begin_after(tag.len()),
            Mark::Brace => search.read_object(),
        }
    }
    search.conclude(is_truncated)
}

/// A search from left to right.
struct Search<'t> {
    text: &'t str,
    at: usize,
    /// Where the thoughts end.
    start: usize,
    /// What is wrong with the last object that is not JSON, where no other follows.
    broken: Option<String>,
    found: Option<Found>,
}

struct Found {
    object: Map<String, Value>,
    start: usize,
    end: usize,
}

/// What the search stops at.
enum Mark {
    /// The beginning of thoughts, with the tag that closes them.
    Opening(&'static str),
    /// The end of thoughts whose opening tag stands in the prompt.
    Closing(&'static str),
    Brace,
}

impl Search<'_> {
    fn next_mark(&mut self) -> Option<Mark> {
        for (offset, letter) in self.text[self.at..].char_indices() {
            let rest = &self.text[self.at + offset..];
            let mark = match letter {
                '{' => Some(Mark::Brace),
                '<' | '[' | '◁' => tag_at(rest),
                _ => None,
            };
            if mark.is_some() {
                self.at += offset;
                return mark;
            }
        }
        None
    }

    fn skip_thoughts(&mut self, close: &str) -> Result<(), String> {
        let Some(length) = self.text[self.at..].find(close) else {
            return Err("expected a JSON object after the thoughts, which are never closed".to_owned());
        };
        self.begin_after(length + close.len());
        Ok(())
    }

    /// Forgets what was found: it was thought, not said.
    fn begin_after(&mut self, length: usize) {
        self.at += length;
        self.start = self.at;
        self.found = None;
    }

    fn read_object(&mut self) {
        let (start, rest) = (self.at, &self.text[self.at..]);
        let mut stream = serde_json::Deserializer::from_str(rest).into_iter::<Map<String, Value>>();
        match stream.next() {
            Some(Ok(object)) => {
                self.at += stream.byte_offset();
                if self.broken.is_none() || !self.is_within(start) {
                    self.found = Some(Found { object, start, end: self.at });
                    self.broken = None;
                }
            }
            Some(Err(error)) => self.note_broken(rest, &error),
            None => self.at += 1,
        }
    }

    /// Whether what begins here is a value of a list or an object, such as one that is not JSON.
    fn is_within(&self, start: usize) -> bool {
        let before = self.text[self.start..start].trim_end();
        let is_value = before.strip_suffix(':').is_some_and(|before| before.trim_end().ends_with(['"', '\'']));
        is_value || before.ends_with([',', '['])
    }

    /// Notes an object that is not JSON and goes on behind it. Braces in prose are no object.
    fn note_broken(&mut self, rest: &str, error: &serde_json::Error) {
        let length = length_of_braces(rest);
        let inside = &rest[..length.unwrap_or(rest.len())];
        if !inside.contains(['"', '\'', ':']) {
            self.at += 1;
            return;
        }
        let problem =
            if error.is_eof() { "it breaks off".to_owned() } else { json_problem(rest.as_bytes(), error).with_line() };
        self.broken = Some(format!("expected a JSON object, got one that is not JSON: {problem}"));
        self.found = None;
        // Thoughts may have ended in it: a draft need not be whole.
        let ends = THOUGHTS.iter().filter_map(|[_, close]| rest.find(close));
        self.at += ends.min().unwrap_or(inside.len());
    }

    fn conclude(self, is_truncated: bool) -> Result<Map<String, Value>, String> {
        let Some(Found { object, start, end }) = self.found else {
            let after = if self.start == 0 { "" } else { " after the thoughts" };
            return Err(self.broken.unwrap_or_else(|| format!("expected a JSON object{after}, got none")));
        };
        if is_truncated && !is_bare(&self.text[self.start..start]) && !is_bare(&self.text[end..]) {
            return Err("expected a JSON object at the end, got one amid words that break off".to_owned());
        }
        Ok(object)
    }
}

fn tag_at(rest: &str) -> Option<Mark> {
    for [open, close] in THOUGHTS {
        if rest.starts_with(open) {
            return Some(Mark::Opening(close));
        }
        if rest.starts_with(close) {
            return Some(Mark::Closing(close));
        }
    }
    None
}

/// The length of a text up to the brace that closes its first one; none where nothing does. Braces in strings do not
/// count.
fn length_of_braces(text: &str) -> Option<usize> {
    let (mut depth, mut in_string, mut is_escaped) = (0_usize, false, false);
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            b'{' if !in_string => depth += 1,
            b'}' if !in_string => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(index + 1);
        }
    }
    None
}

/// Whether nothing but the fence of a code block stands there.
fn is_bare(text: &str) -> bool {
    matches!(text.trim().trim_matches('`'), "" | "json" | "JSON")
}

#[cfg(test)]
mod tests;
