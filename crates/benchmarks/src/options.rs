//! Multiple choice: which option an answer names, matched as text.

use std::collections::BTreeSet;

use align::tagged::answer_of;
use align::types::Item;
use align::verdict::{Judgement, Unscored};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::scoring::Rule;

/// A multiple-choice item's truth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// The options, in the order they are lettered from A.
    pub options: Vec<String>,
    /// The right one, as it is among them.
    pub answer: String,
}

impl Choice {
    /// The options as lines `(A) …`.
    pub fn lines(&self) -> String {
        let lettered = ('A'..='Z').zip(&self.options);
        lettered.map(|(letter, option)| format!("({letter}) {option}\n")).collect()
    }

    /// The one option that an answer names by its letter or its words; else why there is none.
    ///
    /// Where the answer says "answer is" or "answer:", what follows the last of these counts.
    fn chosen(&self, answer: &str) -> Result<&str, String> {
        let lowered = answer.to_lowercase();
        let after_cues = ["answer is", "answer:"].map(|cue| lowered.rfind(cue).map_or(0, |at| at + cue.len()));
        let text = lowered[after_cues[0].max(after_cues[1])..].trim();
        let mut named = self.named_by_letter(text);
        named.extend(self.named_by_words(text));
        match named.iter().collect::<Vec<_>>()[..] {
            [index] => Ok(&self.options[*index]),
            [] => Err("the answer names none of the options".into()),
            [..] => Err("the answer names several of the options".into()),
        }
    }

    /// Letters in brackets anywhere, and one that opens the text before `)`, `.`, `:` or its end.
    fn named_by_letter(&self, text: &str) -> BTreeSet<usize> {
        let mut named = BTreeSet::new();
        for (index, letter) in ('a'..='z').take(self.options.len()).enumerate() {
            let rest = text.strip_prefix(letter);
            let opens = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([')', '.', ':']));
            if opens || text.contains(&format!("({letter})")) {
                named.insert(index);
            }
        }
        named
    }

    /// Options that are in the text as whole words. Longer options go first and take their words with them, so that
    /// "light blue" does not also name "blue".
    fn named_by_words(&self, text: &str) -> BTreeSet<usize> {
        let options = self.options.iter().map(|option| option.trim().to_lowercase());
        let mut by_length: Vec<(usize, String)> = options.enumerate().collect();
        by_length.sort_by_key(|(_, option)| std::cmp::Reverse(option.len()));
        let mut text = text.to_owned();
        let mut named = BTreeSet::new();
        for (index, option) in by_length {
            while let Some(position) = find_words(&text, &option) {
                named.insert(index);
                text.replace_range(position..position + option.len(), &" ".repeat(option.len()));
            }
        }
        named
    }
}

/// Where words are in a text, not as part of a longer word or number.
fn find_words(text: &str, words: &str) -> Option<usize> {
    if words.is_empty() {
        return None;
    }
    let mut positions = text.match_indices(words).map(|(position, _)| position);
    positions.find(|position| stands_alone(&text[..*position], &text[position + words.len()..]))
}

/// Whether what is between these texts is no part of a longer word or number.
fn stands_alone(before: &str, after: &str) -> bool {
    let last = before.chars().next_back();
    let mut after = after.chars();
    let next = after.next();
    let is_decimal = next == Some('.') && after.next().is_some_and(|digit| digit.is_ascii_digit());
    !last.is_some_and(|last| last.is_alphanumeric() || ".-".contains(last))
        && !next.is_some_and(char::is_alphanumeric)
        && !is_decimal
}

/// The rule of multiple choice: right exactly when the one option named is the right one. An answer that names none or
/// several is unscored, not wrong.
pub(crate) const OPTION_MATCH: Rule = Rule { name: "option-match.v1", read: judge };

fn judge(item: &Item, response: &str) -> Judgement<Value> {
    let truth = item.truth.clone().unwrap_or(Value::Null);
    let Ok(choice) = serde_json::from_value::<Choice>(truth) else {
        return Err(Unscored::new("the item holds no options and answer"));
    };
    let chosen = choice.chosen(answer_of(response)).map_err(Unscored::new)?;
    Ok(json!({ "correct": chosen == choice.answer, "chosen": chosen }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reader::question;

    fn choice(options: &[&str]) -> Choice {
        Choice { options: options.iter().map(|option| (*option).to_owned()).collect(), answer: options[0].into() }
    }

    #[test]
    fn one_option_is_found_by_letter_or_words() {
        let colors = choice(&["blue", "light blue", "Red", "dark red"]);
        let cases = [
            ("B", "light blue"),
            ("(b)", "light blue"),
            ("C. Red", "Red"),
            ("It is light blue.", "light blue"),
            ("The missing part is RED!", "Red"),
            ("Both red and blue occur, so the answer is (D).", "dark red"),
            ("Answer: dark red", "dark red"),
            ("<think>red or blue</think> The answer is blue", "blue"),
        ];
        for (answer, expected) in cases {
            assert_eq!(colors.chosen(answer), Ok(expected), "{answer}");
        }
    }

    #[test]
    fn numbers_are_whole() {
        let numbers = choice(&["1", "14", "4"]);
        assert_eq!(numbers.chosen("I count 14 dots."), Ok("14"));
        assert_eq!(numbers.chosen("4."), Ok("4"));
        for answer in ["41", "4.5", "-4", "x4"] {
            assert_eq!(numbers.chosen(answer), Err("the answer names none of the options".into()), "{answer}");
        }
    }

    #[test]
    fn none_or_several_is_no_choice() {
        let shapes = choice(&["circle", "square", "hexagon"]);
        assert_eq!(shapes.chosen("a triangle"), Err("the answer names none of the options".into()));
        assert_eq!(shapes.chosen(""), Err("the answer names none of the options".into()));
        for answer in ["circle or square", "(A) square", "(A) or (C)"] {
            assert_eq!(shapes.chosen(answer), Err("the answer names several of the options".into()), "{answer}");
        }
        assert_eq!(shapes.chosen("(A) circle"), Ok("circle"));
        assert_eq!(shapes.chosen("a circle"), Ok("circle"));
    }

    #[test]
    fn the_rule_scores_what_it_can() {
        let mut puzzle = question("p".into(), [], "How many?");
        puzzle.truth = Some(json!({"options": ["3", "5"], "answer": "5"}));
        let without_truth = question("q".into(), [], "How many?");
        for (item, response, expected) in [
            (&puzzle, "<think>3, no</think><answer>(B)</answer>", Some(true)),
            (&puzzle, "3", Some(false)),
            (&puzzle, "3 or 5", None),
            (&without_truth, "3", None),
        ] {
            let judgement = judge(item, response);
            assert_eq!(judgement.ok().and_then(|verdict| verdict["correct"].as_bool()), expected, "{response}");
        }
    }
}
