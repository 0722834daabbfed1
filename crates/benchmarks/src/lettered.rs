//! Questions with lettered options: what the right answer is, and how a prompt shows the options.

use std::collections::BTreeMap;

use align::types::{Item, id_of};
use align::verdict::{Judgement, Unscored};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::python_list::texts_of;
use crate::reader::missing_field;

/// What the scoring of a question with options needs: an item's truth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lettered {
    /// The options by their letters.
    pub options: BTreeMap<char, String>,
    /// The letter of the right one.
    pub answer: String,
}

impl Lettered {
    /// These options under letters from A on.
    ///
    /// Errors: as [`Lettered::of`].
    pub fn in_order(options: Vec<String>, answer: &str) -> Result<Self, String> {
        Self::of(('A'..='Z').zip(options).collect(), answer)
    }

    /// These options. The answer is a letter, or an option's text.
    ///
    /// Errors: what is wrong where there are no options, and where the answer is none of them.
    pub fn of(options: BTreeMap<char, String>, answer: &str) -> Result<Self, String> {
        let answer = answer.trim();
        let mut letters = options.iter().filter(|(letter, _)| answer.chars().eq([**letter]));
        let mut texts = options.iter().filter(|(_, text)| *text == answer);
        if let Some((letter, _)) = letters.next().or_else(|| texts.next()) {
            return Ok(Self { answer: letter.to_string(), options });
        }
        let letters: Vec<String> = options.keys().map(char::to_string).collect();
        Err(format!("`answer`: expected the letter of an option, {}, got `{answer}`", letters.join(", ")))
    }

    /// The question that an item's truth holds.
    ///
    /// Errors: `Unscored` where it holds none.
    pub fn of_item(item: &Item) -> Result<Self, Unscored> {
        let truth = item.truth.clone().unwrap_or(Value::Null);
        serde_json::from_value(truth).map_err(|_| Unscored::new("the item holds no options and answer"))
    }

    /// As an item's truth.
    pub fn truth(&self) -> Option<Value> {
        serde_json::to_value(self).ok()
    }

    /// The options as lines, each after its letter as `lettered` writes it.
    pub fn lines(&self, lettered: fn(char) -> String) -> String {
        let lines: Vec<String> =
            self.options.iter().map(|(letter, option)| format!("{}{option}", lettered(*letter))).collect();
        lines.join("\n")
    }

    /// The verdict on the letter that a response names.
    ///
    /// Errors: `Unscored` where it names none.
    pub fn verdict(&self, chosen: Option<char>) -> Judgement<Value> {
        let chosen = chosen.ok_or_else(|| Unscored::new("the response names none of the options, or several"))?;
        Ok(json!({ "correct": self.is_right(chosen), "chosen": chosen }))
    }

    /// Whether this is the right letter.
    pub fn is_right(&self, letter: char) -> bool {
        self.answer.chars().eq([letter])
    }
}

/// Letters as `(A) `.
pub fn in_brackets(letter: char) -> String {
    format!("({letter}) ")
}

/// Letters as `A. `.
pub fn with_period(letter: char) -> String {
    format!("{letter}. ")
}

/// The options in the columns from A on; an empty cell is no option. Workbooks hold options such as 0.5 as numbers.
pub fn lettered_columns(fields: &Map<String, Value>) -> BTreeMap<char, String> {
    let columns = ('A'..='Z').filter_map(|letter| {
        let cell = fields.get(&letter.to_string())?;
        Some((letter, id_of(cell).or_else(|| cell.is_number().then(|| cell.to_string()))?))
    });
    columns.collect()
}

/// The texts of a field: a list, a list as Python writes it, or one text.
///
/// Errors: what is wrong with the field.
pub fn texts(fields: &Map<String, Value>, name: &str) -> Result<Vec<String>, String> {
    let problem = || missing_field(fields, name);
    match fields.get(name).ok_or_else(problem)? {
        Value::Array(values) => values.iter().map(|value| id_of(value).ok_or_else(problem)).collect(),
        value => {
            let text = id_of(value).ok_or_else(problem)?;
            Ok(texts_of(&text).unwrap_or_else(|| vec![text]))
        }
    }
}

/// A field's text; a number is its decimal text.
///
/// Errors: what is wrong with the field.
pub fn text(fields: &Map<String, Value>, name: &str) -> Result<String, String> {
    fields.get(name).and_then(id_of).ok_or_else(|| missing_field(fields, name))
}

/// Whether a letter is a choice by what follows it: it is no part of a word, and no article before one.
pub fn stands_alone(letter: char, rest: &str) -> bool {
    match rest.chars().next() {
        None => true,
        Some(' ') => letter != 'A',
        Some(next) => !next.is_alphanumeric() && next != '\'',
    }
}
