//! A model's JSON object, field by field: what is missing or out of range is said in words by which the model can
//! repair it.

use diagnostic::whole_number;
use serde_json::{Map, Value};

/// The JSON object of an answer, or an object within it.
pub struct Fields<'a> {
    object: &'a Map<String, Value>,
    // What stands before a field's name in messages: empty, or `think.`.
    prefix: String,
}

impl<'a> Fields<'a> {
    /// The fields of an answer's object.
    pub fn new(object: &'a Map<String, Value>) -> Self {
        Self { object, prefix: String::new() }
    }

    /// The fields of an object that stands in this one, under a name for messages.
    #[must_use]
    pub fn within(&self, name: &str, object: &'a Map<String, Value>) -> Self {
        Self { object, prefix: format!("{}{name}.", self.prefix) }
    }

    /// A field's value, whatever it is.
    pub fn get(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name)
    }

    /// What is wrong with a field, in words.
    pub fn expected(&self, name: &str, expected: &str) -> String {
        let got = self.get(name).map_or_else(|| "nothing".to_owned(), Value::to_string);
        format!("field `{}{name}`: expected {expected}, got {got}", self.prefix)
    }

    /// Words, at least one letter of them.
    pub fn text(&self, name: &str) -> Result<&'a str, String> {
        let found = self.get(name).and_then(Value::as_str).map(str::trim);
        found.filter(|text| !text.is_empty()).ok_or_else(|| self.expected(name, "some words"))
    }

    /// Words, or none.
    pub fn text_or_empty(&self, name: &str) -> &'a str {
        self.get(name).and_then(Value::as_str).unwrap_or_default().trim()
    }

    /// One of several words, whose letters may be small or capital.
    pub fn word<'w>(&self, name: &str, words: &[&'w str]) -> Result<&'w str, String> {
        let found = self.get(name).and_then(Value::as_str).map(str::trim);
        let mut words_found = words.iter().copied();
        words_found
            .find(|word| found.is_some_and(|found| word.eq_ignore_ascii_case(found)))
            .ok_or_else(|| self.expected(name, &format!("\"{}\"", words.join("\" or \""))))
    }

    /// True or false.
    pub fn flag(&self, name: &str) -> Result<bool, String> {
        let found = self.get(name).and_then(Value::as_bool);
        found.ok_or_else(|| self.expected(name, "true or false"))
    }

    /// A whole number of a range, both ends included.
    pub fn integer(&self, name: &str, low: i64, high: i64) -> Result<i64, String> {
        let found = self.get(name).and_then(|value| whole_number(value)?.as_i64());
        found
            .filter(|number| (low..=high).contains(number))
            .ok_or_else(|| self.expected(name, &format!("a whole number from {low} to {high}")))
    }

    /// A whole number from 0 up to `most`.
    pub fn number(&self, name: &str, most: usize) -> Result<usize, String> {
        self.integer(name, 0, most as i64).map(|number| number as usize)
    }

    /// A list.
    pub fn list(&self, name: &str) -> Result<&'a [Value], String> {
        let found = self.get(name).and_then(Value::as_array);
        found.map(Vec::as_slice).ok_or_else(|| self.expected(name, "a list"))
    }

    /// An object.
    pub fn section(&self, name: &str) -> Result<Self, String> {
        let object = self.get(name).and_then(Value::as_object);
        Ok(self.within(name, object.ok_or_else(|| self.expected(name, "an object"))?))
    }

    /// A list of words, none of them empty.
    pub fn texts(&self, name: &str) -> Result<Vec<String>, String> {
        let texts = self.list(name)?.iter().map(|value| {
            let text = value.as_str().map(str::trim).filter(|text| !text.is_empty());
            text.map(str::to_owned).ok_or_else(|| self.expected(name, "a list of words"))
        });
        texts.collect()
    }
}
