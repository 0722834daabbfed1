//! How MMMU's evaluator reads an answer (`mmmu/utils/eval_utils.py` of MMMU-Benchmark/MMMU, May 2025), which others use
//! too: an option's letter, else its text; of an open question numbers and key phrases. A letter that it cannot read it
//! takes from chance, seeded with 42; here such a response is unscored, and chance is reproduced beside it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use align::eval::suite::{Ended, Original, SuiteRecord};
use align::tagged::answer_of;
use align::types::Item;
use align::verdict::{Judgement, Unscored};
use fancy_regex::Regex;
use rand_mt::Mt;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::lettered::Lettered;
use crate::scoring::Rule;

/// The right answers of an open question: an item's truth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// Each is right.
    pub answer: Vec<String>,
}

/// Reads a letter, or scores an open answer.
pub const MMMU_PARSER: Rule = Rule { name: "mmmu-parser.v1", read: judge };

/// What the authors' code counts where it goes through the items in the suite's order.
pub const RANDOM_LETTERS: Original =
    Original { rule: RULE, counts: |records| with_random_letters(records, (0..records.len()).collect()) };

/// What it counts where it goes through the items category by category, in the order of their names.
pub const RANDOM_LETTERS_BY_CATEGORY: Original = Original {
    rule: RULE,
    counts: |records| {
        let mut order: Vec<usize> = (0..records.len()).collect();
        order.sort_by_key(|index| &records[*index].item.category);
        with_random_letters(records, order)
    },
};

const RULE: &str = "a letter that cannot be read is a random one (Python's random, seed 42); an item without a response is \
                    left out";

fn judge(item: &Item, response: &str) -> Judgement<Value> {
    let response = answer_of(response);
    if response.trim().is_empty() {
        return Err(Unscored::new("the answer is empty"));
    }
    if let Some(open) = open_question(item) {
        return Ok(json!({ "correct": open.is_right(response) }));
    }
    let question = Lettered::of_item(item)?;
    question.verdict(letter(response, &question.options))
}

fn open_question(item: &Item) -> Option<Open> {
    serde_json::from_value(item.truth.clone()?).ok()
}

/// Whether each response is right by the authors' code, which takes letters from chance in this order.
fn with_random_letters(records: &[SuiteRecord], order: Vec<usize>) -> Vec<Option<bool>> {
    let mut chance = Chance::new();
    let mut counts = vec![None; records.len()];
    for index in order {
        let (item, response) = (&records[index].item, records[index].response());
        if records[index].has_ended(Ended::Failed) || records[index].has_ended(Ended::Refused) {
            continue;
        }
        counts[index] = match (open_question(item), Lettered::of_item(item)) {
            (Some(open), _) => Some(open.is_right(response)),
            (None, Ok(question)) => {
                let letters: Vec<char> = question.options.keys().copied().collect();
                let chosen =
                    letter(response, &question.options).unwrap_or_else(|| letters[chance.below(letters.len())]);
                Some(question.is_right(chosen))
            }
            (None, Err(_)) => None,
        };
    }
    counts
}

/// Python's `random`, seeded with 42.
struct Chance(Mt);

impl Chance {
    fn new() -> Self {
        Self(Mt::new_with_key([42]))
    }

    /// The index that `random.choice` takes of so many, at least one: as many bits as the number has, until they are less.
    fn below(&mut self, n: usize) -> usize {
        let n_bits = usize::BITS - n.leading_zeros();
        loop {
            let index = (self.0.next_u32() >> (32 - n_bits)) as usize;
            if index < n {
                return index;
            }
        }
    }
}

/// The letter that a response names: the last in brackets, else the last between spaces, else, where it has more than five
/// words, that of the option whose text comes last.
fn letter(response: &str, options: &BTreeMap<char, String>) -> Option<char> {
    let mut stripped = response;
    for sign in [',', '.', '!', '?', ';', ':', '\''] {
        stripped = stripped.trim_matches(sign);
    }
    let response = format!(" {stripped} ");
    let named_by =
        |name: fn(char) -> String| last(options.keys().map(|letter| (*letter, response.rfind(&name(*letter)))));
    let letter = named_by(|letter| format!("({letter})")).or_else(|| named_by(|letter| format!(" {letter} ")));
    letter.or_else(|| {
        let lowered = response.to_lowercase();
        let is_long = response.split_whitespace().count() > 5;
        let by_text = options.iter().map(|(letter, text)| (*letter, lowered.rfind(&text.to_lowercase())));
        last(by_text.filter(|_| is_long))
    })
}

/// The first of those that are found last.
fn last(found: impl Iterator<Item = (char, Option<usize>)>) -> Option<char> {
    let found = found.filter_map(|(letter, at)| Some((letter, at?)));
    found.reduce(|best, next| if next.1 > best.1 { next } else { best }).map(|(letter, _)| letter)
}

/// A text as answers are compared: a number rounded to two places, or in lower case.
#[derive(Clone, Debug, PartialEq)]
enum Normal {
    Number(f64),
    Text(String),
}

impl Open {
    /// Whether a response has a right answer: the number, or the text within a key phrase.
    fn is_right(&self, response: &str) -> bool {
        let right: Vec<Normal> = self.answer.iter().flat_map(|answer| normal(answer)).collect();
        candidates(response).iter().any(|candidate| match candidate {
            Normal::Number(_) => right.contains(candidate),
            Normal::Text(text) => {
                right.iter().any(|right| matches!(right, Normal::Text(right) if text.contains(right.as_str())))
            }
        })
    }
}

/// What a response may have meant as its answer: key phrases, and the numbers in them.
fn candidates(response: &str) -> Vec<Normal> {
    let phrases = key_phrases(response);
    let numbers = phrases.iter().flat_map(|phrase| numbers(phrase));
    phrases.iter().cloned().chain(numbers).flat_map(|text| normal(&text)).collect()
}

/// What follows a word that announces an answer, of each line the shortest; the response where there is none.
fn key_phrases(response: &str) -> Vec<String> {
    const CUES: [&str; 9] = ["could be ", "so ", "is ", "thus ", "therefore ", "final ", "answer ", "result ", "="];
    const TRIVIAL: [&str; 7] = [":", ",", ".", "!", "?", ";", "'"];
    let response = response.trim().trim_matches('.').to_lowercase();
    // The authors split sentences too, before capitals, of which there are none in lower case.
    let lines: Vec<&str> = response.split('\n').collect();
    let mut phrases = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        // In the last line an equation counts too.
        let cues = &CUES[..if index + 1 == lines.len() { 9 } else { 8 }];
        let mut shortest = "";
        for cue in cues {
            if let Some((_, tail)) = line.rsplit_once(cue) {
                let tail = tail.trim();
                if shortest.is_empty() || tail.chars().count() < shortest.chars().count() {
                    shortest = tail;
                }
            }
        }
        if !shortest.is_empty() && !TRIVIAL.contains(&shortest) {
            phrases.push(shortest.to_owned());
        }
    }
    if phrases.is_empty() { vec![response] } else { phrases }
}

/// The numbers in a text: with commas, with exponents, and plain.
fn numbers(text: &str) -> Vec<String> {
    static PATTERNS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
        let patterns = [
            r"-?\b\d{1,3}(?:,\d{3})+\b",
            r"-?\d+(?:\.\d+)?[eE][+-]?\d+",
            r"-?(?:\d+\.\d+|\.\d+|\d+\b)(?![eE][+-]?\d+)(?![,\d])",
        ];
        patterns.iter().filter_map(|pattern| Regex::new(pattern).ok()).collect()
    });
    let found = PATTERNS.iter().flat_map(|pattern| pattern.find_iter(text).flatten());
    found.map(|found| found.as_str().to_owned()).collect()
}

/// A text in its normal form. A single letter is wanted beside a space, so that it is not found in every word.
fn normal(text: &str) -> Vec<Normal> {
    let text = text.trim();
    if let Some(number) = number(&text.replace(',', "")) {
        // Rounded as Python does: to the nearest decimal of the exact binary value.
        return vec![Normal::Number(format!("{number:.2}").parse().unwrap_or(number))];
    }
    let text = text.to_lowercase();
    match text.chars().count() {
        1 => vec![Normal::Text(format!(" {text}")), Normal::Text(format!("{text} "))],
        _ => vec![Normal::Text(text)],
    }
}

/// A number as Python's `float` reads it, which takes underscores between digits.
fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let mut parts = text.split('_');
    let is_digit = |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_digit());
    let mut before = parts.next()?;
    for part in parts {
        if !is_digit(before.chars().last()) || !is_digit(part.chars().next()) {
            return None;
        }
        before = part;
    }
    text.replace('_', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(texts: &[&str]) -> BTreeMap<char, String> {
        ('A'..='Z').zip(texts.iter().map(|text| (*text).to_owned())).collect()
    }

    #[test]
    fn letters_are_read_in_three_ways() {
        let colors = options(&["red", "blue", "dark blue", "green"]);
        for (response, expected) in [
            ("B", Some('B')),
            ("b", None),
            ("(C).", Some('C')),
            ("A or (B)", Some('B')),
            ("(A), no: (D)", Some('D')),
            ("B is wrong, so it is C", Some('C')),
            ("B. blue", None),
            ("B.", Some('B')),
            ("blue", None),
            ("I would say that it is Green.", Some('D')),
            // Both texts end the response; the longer one begins earlier.
            ("I would say that it is dark blue", Some('B')),
            ("none of them as far as I see", None),
            ("", None),
        ] {
            assert_eq!(letter(response, &colors), expected, "{response}");
        }
    }

    #[test]
    fn open_answers_are_numbers_or_phrases() {
        for (answer, response, is_right) in [
            ("1.06", "The result is 1.0600", true),
            ("1.06", "1.064", true),
            ("1.06", "about 1.07", false),
            ("1,200", "so 1200", true),
            ("1200", "It costs $1,200.", true),
            ("-3", "x = -3", true),
            ("-3", "y = 2, x = -3", true),
            ("2e3", "the answer is 2000", true),
            ("Tampa", "It is in Tampa, Florida", true),
            ("tampa", "Tampa is here", false),
            ("C", "Option c is it", false),
            ("C", "It could be C here", true),
            ("C", "C", true),
            ("5", "First 5.\nThen it is 7", false),
            ("", "anything", true),
        ] {
            let open = Open { answer: vec![answer.to_owned()] };
            assert_eq!(open.is_right(response), is_right, "{answer}: {response}");
        }
    }

    #[test]
    fn numbers_round_as_in_python() {
        for (text, expected) in
            [("0.125", 0.12), ("0.375", 0.38), ("2.675", 2.67), ("1_000", 1000.0), ("1e-3", 0.0), ("-0.5", -0.5)]
        {
            assert_eq!(normal(text), [Normal::Number(expected)], "{text}");
        }
        assert_eq!(normal("_1"), [Normal::Text("_1".to_owned())]);
    }

    #[test]
    fn chance_is_pythons() {
        // random.seed(42); [random.choice(range(n)) for n in (4, 4, 4, 5, 2, 9, 3, 1, 4)]
        let mut chance = Chance::new();
        let chosen = [4, 4, 4, 5, 2, 9, 3, 1, 4].map(|n| chance.below(n));
        assert_eq!(chosen, [0, 0, 2, 1, 0, 2, 2, 0, 0]);
    }
}
