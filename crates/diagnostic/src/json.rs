//! JSON that people and other tools write: read, or told what is wrong with it, and where.

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::{Number, Value};

use crate::excerpt::excerpt;
use crate::reason::{Place, Syntax};

/// What is wrong with a JSON text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonProblem {
    /// The line within the text, counted from one.
    pub line: usize,
    /// The letter within the line, counted from one, where the text is no JSON; none where a value does not fit.
    pub column: Option<usize>,
    /// Whether the text ends before its value does.
    pub is_cut_short: bool,
    problem: String,
    /// What to do.
    pub hint: Option<String>,
}

impl fmt::Display for JsonProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self.column {
            Some(column) => write!(formatter, "column {column}: {}", self.problem),
            None => formatter.write_str(&self.problem),
        }
    }
}

impl JsonProblem {
    /// The problem with its line, for texts of several that are not named by file and line.
    pub fn with_line(&self) -> String {
        match self.column {
            Some(_) => format!("line {}, {self}", self.line),
            None => self.to_string(),
        }
    }
}

/// Reads a JSON text. As in JSON Schema a number such as 3.0 is a whole one.
///
/// Errors: what is wrong with the text, and where.
pub fn read_json<T: DeserializeOwned>(text: &[u8]) -> Result<T, JsonProblem> {
    let valid = std::str::from_utf8(text).map_err(|error| not_utf8(text, error.valid_up_to()))?;
    let error = match serde_json::from_str(valid) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    if !error.is_data() {
        return Err(json_problem(text, &error));
    }
    // What is no JSON further on is told first.
    let mut value = serde_json::from_str(valid).map_err(|error| json_problem(text, &error))?;
    if make_whole(&mut value)
        && let Ok(read) = T::deserialize(value)
    {
        return Ok(read);
    }
    Err(json_problem(text, &error))
}

/// Reads a JSON value, as [`read_json`].
///
/// Errors: what is wrong with the value.
pub fn from_json_value<T: DeserializeOwned>(value: &Value) -> Result<T, JsonProblem> {
    // Only a value that does not fit is written as text, for its place to be found.
    T::deserialize(value).or_else(|_| read_json(value.to_string().as_bytes()))
}

/// What an error of the library means that reads this text.
pub fn json_problem(text: &[u8], error: &serde_json::Error) -> JsonProblem {
    let offset = offset_of(text, error.line(), error.column());
    let reason = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let reason = reason.strip_suffix(&place).unwrap_or(&reason);
    let (before, after) = text.split_at(offset);
    let line_begin = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    if error.is_data() {
        let key = key_at(up_to_problem(text, offset, reason));
        let (problem, hint) = Place { syntax: Syntax::Json, key: &key, known: &[], written: "" }.explain(reason);
        return JsonProblem { line: error.line().max(1), column: None, is_cut_short: false, problem, hint };
    }
    let (problem, hint) = match std::str::from_utf8(text) {
        Ok(_) => syntax_problem(before, after, reason, error.is_eof()),
        Err(error) => return not_utf8(text, error.valid_up_to()),
    };
    let column = 1 + String::from_utf8_lossy(&before[line_begin..]).chars().count();
    JsonProblem { line: error.line().max(1), column: Some(column), is_cut_short: error.is_eof(), problem, hint }
}

/// What is wrong with a text that is UTF-8 up to a byte.
fn not_utf8(text: &[u8], valid_up_to: usize) -> JsonProblem {
    let (before, after) = text.split_at(valid_up_to);
    let lines: Vec<&[u8]> = before.split(|byte| *byte == b'\n').collect();
    let last = lines.last().copied().unwrap_or_default();
    JsonProblem {
        line: lines.len(),
        column: Some(1 + String::from_utf8_lossy(last).chars().count()),
        is_cut_short: false,
        problem: format!("expected UTF-8, got the byte 0x{:02x}", after.first().copied().unwrap_or_default()),
        hint: Some("save the file as UTF-8, as with `iconv -f LATIN1 -t UTF-8`".to_owned()),
    }
}

/// Where the library says that it stood: at this letter, or at the end of the text.
fn offset_of(text: &[u8], line: usize, column: usize) -> usize {
    let begin =
        text.split_inclusive(|byte| *byte == b'\n').take(line.saturating_sub(1)).map(<[u8]>::len).sum::<usize>();
    (begin + column.saturating_sub(1)).min(text.len())
}

/// The text up to the value that does not fit. The parser stands at its last letter, or one further where it had to read
/// the whole value first; an object without a key is known to be so at its end.
fn up_to_problem<'a>(text: &'a [u8], offset: usize, reason: &str) -> &'a [u8] {
    let read = text[..text.len().min(offset + 1)].trim_ascii_end();
    let is_of_the_whole = match read.last() {
        Some(b'}') => reason.starts_with("missing field") || reason.starts_with("invalid length"),
        Some(b']') => reason.starts_with("invalid length"),
        Some(b',' | b'[' | b'{') | None => false,
        Some(_) => true,
    };
    &read[..read.len() - usize::from(!is_of_the_whole && !read.is_empty())]
}

/// The key and places of lists that lead to the value which the text breaks off in or after: `messages[0].role`.
fn key_at(before: &[u8]) -> String {
    enum Level {
        Object(String),
        List(usize),
    }
    let mut levels: Vec<Level> = Vec::new();
    let mut bytes = before.iter().enumerate();
    let mut is_key = false;
    while let Some((start, byte)) = bytes.next() {
        match byte {
            b'{' => {
                levels.push(Level::Object(String::new()));
                is_key = true;
            }
            b'[' => levels.push(Level::List(0)),
            b'}' | b']' => drop(levels.pop()),
            b':' => is_key = false,
            b',' => match levels.last_mut() {
                Some(Level::List(place)) => *place += 1,
                Some(Level::Object(_)) => is_key = true,
                None => {}
            },
            b'"' => {
                let mut escaped = false;
                let end = bytes.find(|(_, byte)| {
                    let ends = **byte == b'"' && !escaped;
                    escaped = **byte == b'\\' && !escaped;
                    ends
                });
                if let (true, Some((end, _)), Some(Level::Object(key))) = (is_key, end, levels.last_mut()) {
                    *key = String::from_utf8_lossy(&before[start + 1..end]).into_owned();
                }
            }
            _ => {}
        }
    }
    let mut path = String::new();
    for level in levels {
        match level {
            Level::Object(key) if key.is_empty() => {}
            Level::Object(key) if path.is_empty() => path = key,
            Level::Object(key) => path = format!("{path}.{key}"),
            Level::List(place) => path = format!("{path}[{place}]"),
        }
    }
    path
}

/// What is wrong where a text stops to be JSON, and what to do about it.
fn syntax_problem(before: &[u8], after: &[u8], reason: &str, is_eof: bool) -> (String, Option<String>) {
    let (before, after) = (String::from_utf8_lossy(before), String::from_utf8_lossy(after));
    let word = word_at(&before, &after);
    let next = after.trim_start();
    let letter = next.chars().next().map(|letter| excerpt(&letter.to_string())).unwrap_or_default();
    let (problem, hint) = match word.trim_start_matches(['-', '+']) {
        "NaN" | "nan" | "Infinity" | "inf" | "Inf" => (
            format!("{word} is not JSON: expected a number or null"),
            Some("Python's json.dump writes it for a number that is missing or not finite: write null in its place"),
        ),
        "None" | "True" | "False" => (format!("`{word}` is Python, not JSON"), Some(WRITE_AS_JSON)),
        _ if is_eof => (format!("the text ends within {}", ended_in(reason)), Some(CUT_SHORT)),
        _ if reason == "recursion limit exceeded" => {
            ("expected lists and objects nested at most 127 deep, got more".to_owned(), None)
        }
        _ if reason == "trailing characters" => trailing(&before, next),
        _ if letter == "'" => ("expected text in double quotes, got `'`".to_owned(), Some(WRITE_AS_JSON)),
        _ if letter == "/" || letter == "#" => ("expected no comment: JSON has none".to_owned(), None),
        _ if reason == "trailing comma" || (matches!(&*letter, "}" | "]") && before.trim_end().ends_with(',')) => {
            (format!("expected no comma before `{letter}`"), None)
        }
        _ => (plain(reason, &word, &letter), None),
    };
    (problem, hint.map(str::to_owned))
}

const WRITE_AS_JSON: &str = "Python's print and str write it so: write rows with json.dumps";

const CUT_SHORT: &str = "it is cut short, or goes on on the next line";

fn plain(reason: &str, word: &str, letter: &str) -> String {
    let got = if word.is_empty() { letter } else { word };
    match reason {
        "expected value" | "expected ident" => format!("expected a value, got `{got}`"),
        "key must be a string" => format!("expected a key in double quotes, got `{got}`"),
        "invalid number" => format!("expected a number, got `{word}`"),
        "number out of range" => format!("expected a number that fits into 64 bits, got `{word}`"),
        "invalid escape" => {
            format!("expected an escape such as `\\n`, got `\\{letter}`: a backslash itself is written `\\\\`")
        }
        "control character (\\u0000-\\u001F) found while parsing a string" => {
            "expected line breaks, tabs and other control characters within text as escapes such as `\\n`".to_owned()
        }
        "lone leading surrogate in hex escape" | "unexpected end of hex escape" | "invalid unicode code point" => {
            "expected a whole letter, got half of a pair of `\\u` escapes".to_owned()
        }
        // `expected `,` or `}``, and what else names what is wanted.
        _ => format!("{reason}, got `{letter}`"),
    }
}

fn ended_in(reason: &str) -> &str {
    let ends = ["an object", "a list", "a string"];
    ends.into_iter().find(|end| reason.ends_with(&format!("parsing {end}"))).unwrap_or("a value")
}

/// What is wrong with what comes after the value.
fn trailing(before: &str, next: &str) -> (String, Option<&'static str>) {
    let value_end = before.trim_end();
    if before[value_end.len()..].contains('\r') {
        let problem = "expected lines to end in line feeds, got carriage returns alone".to_owned();
        return (problem, Some("`tr '\\r' '\\n' < OLD > NEW` makes lines of them"));
    }
    match next.chars().next() {
        Some('{' | '[') => {
            let problem = "expected one value, got another one after it".to_owned();
            (problem, Some("in JSON lines each object stands on a line of its own, as `jq -c . OLD > NEW` writes them"))
        }
        Some(',') => {
            let problem = "expected nothing after the value, got a comma".to_owned();
            (problem, Some("in JSON lines no commas stand between the objects"))
        }
        _ => (format!("expected nothing after the value, got `{}`", excerpt(next.trim_end())), None),
    }
}

/// The word or number around the place where a text stops to be JSON.
fn word_at(before: &str, after: &str) -> String {
    let is_part = |letter: &char| letter.is_alphanumeric() || "_+-.".contains(*letter);
    let mut first: Vec<char> = before.chars().rev().take_while(is_part).take(40).collect();
    first.reverse();
    first.into_iter().chain(after.chars().take_while(is_part).take(40)).collect()
}

/// Turns every number without a fraction into a whole one; whether there were any.
fn make_whole(value: &mut Value) -> bool {
    match value {
        Value::Array(list) => list.iter_mut().fold(false, |any, value| make_whole(value) | any),
        Value::Object(object) => object.values_mut().fold(false, |any, value| make_whole(value) | any),
        Value::Number(number) if number.is_f64() => {
            let integer = number.as_f64().and_then(exact_whole);
            integer.map(|integer| *number = integer.into()).is_some()
        }
        _ => false,
    }
}

/// The whole number that a value is: 3, or 3.0 as JSON Schema has it.
pub fn whole_number(value: &Value) -> Option<Number> {
    let number = value.as_number()?;
    if number.is_f64() { exact_whole(number.as_f64()?).map(Number::from) } else { Some(number.clone()) }
}

/// A float as the whole number that it is; none beyond 2^53, where one float stands for several of them.
pub fn exact_whole(number: f64) -> Option<i64> {
    let is_exact = number.fract() == 0.0 && number.abs() < (1_u64 << f64::MANTISSA_DIGITS) as f64;
    is_exact.then_some(number as i64)
}

#[cfg(test)]
mod tests;
