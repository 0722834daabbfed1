//! What is lost when a JSON text becomes values: all but the last of the values under one key, and the digits of whole
//! numbers beyond 64 bits. A parser says nothing of either.

use std::collections::HashSet;

use diagnostic::excerpt;

use crate::problem::{Problem, ProblemKind};

/// What a valid text loses, once of each kind.
pub(super) fn unkept(text: &[u8]) -> Vec<Problem> {
    let (mut repeated, mut rounded) = (None, None);
    let (mut objects, mut last_text, mut at) = (Vec::new(), &text[..0], 0);
    while let Some(byte) = text.get(at) {
        let end = match byte {
            b'"' => {
                let end = end_of_text(text, at);
                last_text = text.get(at + 1..end - 1).unwrap_or_default();
                end
            }
            b'-' | b'0'..=b'9' => {
                let n_bytes = text[at..].iter().take_while(|byte| b"+-.eE0123456789".contains(byte)).count();
                rounded = rounded.or(Some(&text[at..at + n_bytes]).filter(|number| is_rounded(number)));
                at + n_bytes
            }
            b'{' => {
                objects.push(HashSet::new());
                at + 1
            }
            b'}' => {
                objects.pop();
                at + 1
            }
            b':' => {
                let is_new = objects.last_mut().is_none_or(|keys| keys.insert(last_text));
                repeated = repeated.or((!is_new).then_some(last_text));
                at + 1
            }
            _ => at + 1,
        };
        at = end;
    }
    let repeated = repeated.map(|key| format!("`{}` occurs twice in an object: only the last is kept", shown(key)));
    let rounded = rounded
        .map(|number| format!("`numbers` beyond 64 bits are rounded: got {}, expected it as text", shown(number)));
    let messages = repeated.into_iter().chain(rounded);
    messages.map(|message| Problem::new(ProblemKind::NotKept, message)).collect()
}

/// Where the text in quotation marks that begins here is over.
fn end_of_text(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = text.get(at).filter(|byte| **byte != b'"') {
        at += 1 + usize::from(*byte == b'\\');
    }
    at + 1
}

/// Whether a number is whole and beyond what 64 bits hold.
fn is_rounded(number: &[u8]) -> bool {
    let digits = number.strip_prefix(b"-").unwrap_or(number);
    let number = std::str::from_utf8(number).unwrap_or_default();
    digits.iter().all(u8::is_ascii_digit) && number.parse::<i64>().is_err() && number.parse::<u64>().is_err()
}

fn shown(text: &[u8]) -> String {
    excerpt(&String::from_utf8_lossy(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_keys_and_rounded_numbers_are_told() {
        for (text, expected) in [
            (r#"{"a": 1, "b": {"a": 2}, "c": [{"a": 3}, {"a": "a"}]}"#, vec![]),
            (r#"{"a": "\"a\": \\", "b": 18446744073709551615, "c": -9223372036854775808, "d": 1e99}"#, vec![]),
            (r#"{"a": 1, "b": [{"c": 1, "c": 2}]}"#, vec!["`c` occurs twice"]),
            (
                r#"{"a": 18446744073709551616, "b": "\\"}"#,
                vec!["`numbers` beyond 64 bits are rounded: got 18446744073709551616"],
            ),
            (r#"{"a": -9223372036854775809, "a": 1}"#, vec!["`a` occurs twice", "got -9223372036854775809"]),
        ] {
            let told = unkept(text.as_bytes());
            assert_eq!(told.len(), expected.len(), "{text}: {told:?}");
            let mut pairs = told.iter().zip(&expected);
            assert!(pairs.all(|(problem, part)| problem.message.contains(part)), "{text}: {told:?}");
        }
    }
}
