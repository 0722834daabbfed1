//! How `VLMEvalKit` reads an option's letter without a judge (`vlmeval/utils/matching_util.py`, August 2026). It takes the
//! article "A" and the first letter of any word after "answer is" for a choice; here both are unscored unless the
//! response tells more, and what it makes of them is reproduced beside it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use align::eval::suite::Original;
use align::tagged::answer_of;
use align::types::Item;
use align::verdict::Judgement;
use fancy_regex::Regex;
use serde_json::Value;

use crate::lettered::{Lettered, stands_alone};
use crate::scoring::Rule;

/// Reads a letter.
pub const VLMEVALKIT_MATCH: Rule = Rule { name: "vlmevalkit-match.v1", read: judge };

/// What `VLMEvalKit` counts by exact matching.
pub const UNREAD_IS_WRONG: Original = Original {
    rule: "exact matching: a response without a letter is wrong, and so is none",
    counts: |records| {
        let counts = records.iter().map(|record| {
            let question = Lettered::of_item(&record.item).ok()?;
            let chosen = letter(record.response(), &question.options, false);
            Some(chosen.is_some_and(|chosen| question.is_right(chosen)))
        });
        counts.collect()
    },
};

/// Where it has these words, a response names no option.
const DECLINES: [&str; 4] = [
    "Sorry, I can't help with images of people yet.",
    "I can't process this file.",
    "I'm sorry, but without the image provided",
    "Cannot determine the answer",
];

fn judge(item: &Item, response: &str) -> Judgement<Value> {
    let question = Lettered::of_item(item)?;
    question.verdict(letter(answer_of(response), &question.options, true))
}

/// The letter that a response names. `whole` is whether letters that may be words, or parts of them, are left out.
fn letter(response: &str, options: &BTreeMap<char, String>, whole: bool) -> Option<char> {
    if DECLINES.iter().any(|words| response.contains(words)) {
        return None;
    }
    let spaced = response.replace(['.', '(', ')', '[', ']', ',', ':', ';', '!', '*', '#', '{', '}'], " ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let place = |letter: &char| words.iter().position(|word| word.chars().eq([*letter]));
    let named: Vec<char> = options.keys().copied().filter(|letter| place(letter).is_some()).collect();
    match named[..] {
        [letter] if whole && letter == 'A' && words.len() > 3 => {}
        // Only one of the last four words counts.
        [letter] if place(&letter).is_some_and(|place| place + 5 > words.len()) => return Some(letter),
        [] if words.contains(&"Z") => return None,
        _ => {}
    }
    announced(response, options, whole).or_else(|| named_by_text(response, options))
}

/// The letter after "answer is".
fn announced(response: &str, options: &BTreeMap<char, String>, whole: bool) -> Option<char> {
    static ANNOUNCED: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?i)(?:correct\s+)?answer\s+is\s+\**([ABCD])\**").ok());
    let captures = ANNOUNCED.as_ref()?.captures(response).ok()??;
    let (all, found) = (captures.get(0)?, captures.get(1)?);
    let letter = found.as_str().chars().next()?.to_ascii_uppercase();
    let is_read = !whole || stands_alone(letter, &response[all.end()..]);
    (is_read && options.contains_key(&letter)).then_some(letter)
}

/// The one option whose text is in a response that is not much longer than all of them.
fn named_by_text(response: &str, options: &BTreeMap<char, String>) -> Option<char> {
    let response = response.to_lowercase();
    if response.chars().count() > 2 * options.values().map(|text| text.chars().count()).sum::<usize>() {
        return None;
    }
    let mut named = options.iter().filter(|(_, text)| response.contains(&text.to_lowercase()));
    named.next().map(|(letter, _)| *letter).filter(|_| named.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_read_as_there_or_not_at_all() {
        let options = ["red", "blue", "dark green", "green"];
        let options: BTreeMap<char, String> = ('A'..='Z').zip(options.map(str::to_owned)).collect();
        // The response, the letter that `VLMEvalKit` reads, and ours.
        for (response, there, here) in [
            ("B", Some('B'), Some('B')),
            ("(C) dark green", Some('C'), Some('C')),
            ("A cat is here", Some('A'), None),
            ("A cat", Some('A'), Some('A')),
            ("It is blue", Some('B'), Some('B')),
            ("It is green", Some('D'), Some('D')),
            ("dark green", None, None),
            ("I think that the answer is **B**. It is round and not too far away", Some('B'), Some('B')),
            ("The answer is blurred, so that nobody can tell it from here", Some('B'), None),
            ("The answer is a mystery and will be one for a long time", Some('A'), None),
            ("A and B", None, None),
            ("Cannot determine the answer B", None, None),
            ("Z", None, None),
            ("B is what I see on this picture", None, None),
            ("", None, None),
        ] {
            assert_eq!(letter(response, &options, false), there, "{response}");
            assert_eq!(letter(response, &options, true), here, "{response}");
        }
    }
}
