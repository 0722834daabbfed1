//! What is said of JSON that is none, and of values that do not fit.

use proptest::prelude::*;
use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Row {
    id: String,
    #[serde(default)]
    score: Option<f64>,
    #[serde(default)]
    count: u64,
    #[serde(default)]
    parts: Vec<Part>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Part {
    Text { text: String },
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(untagged)]
enum Either {
    One(u64),
    Two(String),
}

/// Words of the library that mean nothing to whoever wrote the file.
const FOREIGN: [&str; 12] = [
    "at line",
    "EOF",
    "trailing characters",
    "expected value",
    "ident",
    "untagged",
    "enum",
    "struct",
    "invalid type",
    "missing field",
    "unknown variant",
    "unit",
];

#[track_caller]
fn said(text: &str) -> String {
    let problem = read_json::<Row>(text.as_bytes()).unwrap_err();
    let message = problem.to_string();
    for foreign in FOREIGN {
        assert!(!message.contains(foreign), "{text}: {message}");
    }
    match problem.hint {
        Some(hint) => format!("{}: {message} ({hint})", problem.line),
        None => format!("{}: {message}", problem.line),
    }
}

#[test]
fn what_is_no_json_is_named_with_its_column() {
    for (text, expected) in [
        (r#"{"id":"a","score":NaN}"#, "1: column 19: NaN is not JSON"),
        (r#"{"id":"ä","score":nan}"#, "1: column 20: nan is not JSON"),
        (r#"{"id":"a","score":Infinity}"#, "1: column 19: Infinity is not JSON"),
        (r#"{"id":"a","score":-Infinity}"#, "1: column 20: -Infinity is not JSON"),
        ("{\n \"id\": \"a\",\n \"score\": NaN\n}", "3: column 11: NaN is not JSON"),
        ("{'id': 'a'}", "1: column 2: expected text in double quotes, got `'` (Python's print"),
        (r#"{"id": None}"#, "`None` is Python"),
        (r#"{"id": "a", "score": True}"#, "`True` is Python"),
        (r#"{id: "a"}"#, "column 2: expected a key in double quotes, got `id`"),
        (r#"{"id": undefined}"#, "expected a value, got `undefined`"),
        (r#"{"id": "a",}"#, "column 12: expected no comma before `}`"),
        (r#"{"id": "a", "parts": [{"type": "text", "text": ""},]}"#, "expected no comma before `]`"),
        (r#"{"id": "a" "score": 1}"#, "column 12: expected `,` or `}`, got `\"`"),
        (r#"{"id" "a"}"#, "expected `:`, got `\"`"),
        (r#"{"id": "a"} {"id": "b"}"#, "column 13: expected one value, got another one after it"),
        (r#"{"id": "a"},"#, "expected nothing after the value, got a comma"),
        ("{\"id\": \"a\"}\r{\"id\": \"b\"}", "carriage returns alone"),
        (r#"{"id": "a"} // first"#, "expected nothing after the value, got `// first`"),
        (r#"{"id": "a" // first"#, "expected no comment"),
        (r#"{"id": "a""#, "the text ends within an object"),
        (r#"{"id": "a"#, "the text ends within a string"),
        ("", "the text ends within a value"),
        (r#"{"id": "C:\data"}"#, "expected an escape such as `\\n`, got `\\d`"),
        ("{\"id\": \"a\tb\"}", "control characters within text as escapes"),
        (r#"{"id": "\ud83d"}"#, "half of a pair"),
        (r#"{"id": "a", "score": 01}"#, "expected a number, got `01`"),
        (r#"{"id": "a", "score": 1e999}"#, "expected a number that fits into 64 bits, got `1e999`"),
        ("\u{feff}{}", "expected a value, got `\\u{feff}`"),
    ] {
        let message = said(text);
        assert!(message.contains(expected), "{text}\n{message}\n{expected}");
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let message = read_json::<Value>(deep.as_bytes()).unwrap_err().to_string();
    assert!(message.contains("nested at most 127 deep"), "{message}");
    let message = read_json::<Row>(b"{\"id\": \"\xff\"}").unwrap_err().to_string();
    assert_eq!(message, "column 9: expected UTF-8, got the byte 0xff");
}

#[test]
fn a_value_that_does_not_fit_is_named_by_its_key() {
    for (text, expected) in [
        (r#"{"score": 1}"#, "1: expected a key `id` in the object, got none"),
        (r#"{"id": {"a": 1}}"#, "1: `id`: expected a string, got an object"),
        (r#"{"id": "a", "count": ["many"]}"#, "`count`: expected a whole number of at least 0, got a list"),
        (r#"{"id": null}"#, "`id`: expected a string, got null"),
        (r#"{"id": "a", "count": -1}"#, "`count`: expected a whole number of at least 0, got `-1`"),
        (r#"{"id": "a", "count": 2.5}"#, "`count`: expected a whole number of at least 0, got `2.5`"),
        (r#"{"id": "a", "count": "many"}"#, "`count`: expected a whole number of at least 0, got \"many\""),
        (
            r#"{"id": "a", "skore": 1}"#,
            "unknown key `skore`: expected one of `id`, `score`, `count`, `parts` (did you mean `score`?)",
        ),
        (r#"{"id": "a", "parts": {}}"#, "`parts`: expected a list, got an object"),
        (
            r#"{"id": "a", "parts": [{"type": "text", "text": ""}, {"type": "txt"}]}"#,
            "`parts[1].type`: expected \"text\", got \"txt\" (did you mean `text`?)",
        ),
        (
            r#"{"id": "a", "parts": [{"type": "text", "text": ""}, {"text": ""}]}"#,
            "`parts[1]`: expected a key `type` in the object, got none",
        ),
        (r#"{"id": "a", "parts": [{"type": "text", "text": 3}]}"#, "`parts[0]`: expected a string, got `3`"),
        (
            r#"{"id": "a", "parts": [{"type": "text", "text": 3}, {"type": "text", "text": ""}]}"#,
            "`parts[0]`: expected",
        ),
        (
            r#"{"id": "a", "parts": [{"type": "text", "text": ""}, {"type": "text"}]}"#,
            "`parts[1]`: expected a key `text`",
        ),
        (r#"{"id": "a", "parts": [3]}"#, "`parts[0]`: expected an object with a key `type`, got `3`"),
        (r#"{"id": "a", "id": "b"}"#, "expected the key `id` once, got it twice"),
        ("[1, 2]", "`[0]`: expected a string, got `1`"),
        ("3", "expected an object, got `3`"),
    ] {
        let message = said(text);
        assert!(message.contains(expected), "{text}\n{message}\n{expected}");
    }
    let long = format!(r#"{{"id": "a", "count": "{}"}}"#, "ä".repeat(5000));
    assert!(said(&long).chars().count() < 400, "{}", said(&long));
    let either = read_json::<Either>(b"[]").unwrap_err().to_string();
    assert_eq!(either, "expected one of the forms that are known here, got something else");
}

#[test]
fn a_whole_number_may_be_written_as_a_float() {
    let row = read_json::<Row>(br#"{"id": "a", "count": 3.0, "score": 2.5}"#).unwrap();
    assert_eq!((row.count, row.score), (3, Some(2.5)));
    assert_eq!(read_json::<Vec<Either>>(br#"[3.0, "a"]"#).unwrap(), [Either::One(3), Either::Two("a".into())]);
    assert!(read_json::<u64>(b"1e300").is_err());
    for (value, expected) in
        [("3", Some(3)), ("3.0", Some(3)), ("-3.0", Some(-3)), ("3.5", None), ("\"3\"", None), ("1e300", None)]
    {
        let number = whole_number(&serde_json::from_str(value).unwrap());
        assert_eq!(number.and_then(|number| number.as_i64()), expected, "{value}");
    }
}

/// Pieces that JSON is made of, and what people put in their place.
const PIECES: [&str; 31] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\"id\"",
    "\"a\"",
    "\"parts\"",
    "\"type\"",
    "\"text\"",
    "\"count\"",
    "\"score\"",
    "1",
    "-",
    "3.0",
    "1e400",
    "NaN",
    "-Infinity",
    "None",
    "'",
    "\\",
    "\\ud83d",
    "\n",
    "\r",
    "\t",
    " ",
    "//",
    "\u{feff}",
    "ä",
];

proptest! {
    /// Run longer with `PROPTEST_CASES=1000000`.
    #[test]
    fn whatever_is_written_is_read_or_told_in_plain_words(
        pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..40),
        whole in any::<bool>(),
        bytes in prop::collection::vec(any::<u8>(), 0..8),
        at in any::<prop::sample::Index>(),
    ) {
        let mut text = pieces.concat().into_bytes();
        if whole {
            text = [br#"{"id":"a","parts":[{"type":"text","text":"b"}],"#, &text[..], br#""score":1}"#].concat();
        }
        let at = at.index(text.len() + 1);
        text.splice(at..at, bytes);
        for problem in [read_json::<Row>(&text).err(), read_json::<Value>(&text).err()].into_iter().flatten() {
            let message = problem.to_string();
            prop_assert!(message.chars().count() < 700, "{message}");
            prop_assert!((1..=text.split(|byte| *byte == b'\n').count()).contains(&problem.line), "{problem:?}");
            let quoted = message.split('`').step_by(2).collect::<String>();
            prop_assert!(!FOREIGN.iter().any(|foreign| quoted.contains(foreign)), "{message}");
            prop_assert!(!message.contains(char::is_control), "{message:?}");
        }
    }
}
