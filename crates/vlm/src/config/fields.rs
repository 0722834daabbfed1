//! Reading JSON fields one by one, so that an error names the field, what was expected and what was found.

use std::path::Path;

use serde_json::{Map, Value};

use crate::error::Error;

/// One object of the file.
pub(crate) struct ConfigFields<'a> {
    map: &'a Map<String, Value>,
    path: &'a Path,
    // What precedes a field's name in messages: empty, or `vision_config.`.
    prefix: String,
}

impl<'a> ConfigFields<'a> {
    pub(crate) fn new(value: &'a Value, path: &'a Path) -> Result<Self, Error> {
        let map = value.as_object().ok_or_else(|| Error::file(path, "expected a JSON object"))?;
        Ok(Self { map, path, prefix: String::new() })
    }

    /// The file; others of the model lie beside it.
    pub(crate) fn path(&self) -> &'a Path {
        self.path
    }

    /// An error about a field.
    pub(crate) fn problem(&self, name: &str, problem: &str) -> Error {
        Error::file(self.path, format!("field `{}{name}`: {problem}", self.prefix))
    }

    fn expected(&self, name: &str, expected: &str) -> Error {
        let got = self.map.get(name).map_or_else(|| "nothing".to_owned(), Value::to_string);
        self.problem(name, &format!("expected {expected}, got {got}"))
    }

    /// Whether the field is there and not null.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.map.get(name).is_some_and(|value| !value.is_null())
    }

    /// An object inside this one; none when it is absent.
    pub(crate) fn section(&self, name: &str) -> Result<Option<Self>, Error> {
        if !self.has(name) {
            return Ok(None);
        }
        let map = self.map[name].as_object().ok_or_else(|| self.expected(name, "an object"))?;
        Ok(Some(Self { map, path: self.path, prefix: format!("{}{name}.", self.prefix) }))
    }

    /// A positive integer.
    pub(crate) fn count(&self, name: &str) -> Result<usize, Error> {
        let value = self.map.get(name).and_then(Value::as_u64).filter(|value| *value > 0);
        let value = value.and_then(|value| usize::try_from(value).ok());
        value.ok_or_else(|| self.expected(name, "a positive integer"))
    }

    /// A positive integer, or a pair of equal ones: the side of a square.
    pub(crate) fn side(&self, name: &str) -> Result<usize, Error> {
        match self.map.get(name).and_then(Value::as_array) {
            None => self.count(name),
            Some(_) => match self.indexes(name)?[..] {
                [high, wide] if high == wide && high > 0 => Ok(high),
                _ => Err(self.expected(name, "two equal positive integers")),
            },
        }
    }

    /// An integer, or `default` when absent.
    pub(crate) fn integer(&self, name: &str, default: i64) -> Result<i64, Error> {
        if !self.has(name) {
            return Ok(default);
        }
        self.map[name].as_i64().ok_or_else(|| self.expected(name, "an integer"))
    }

    /// A positive integer, or `default` when absent.
    pub(crate) fn count_or(&self, name: &str, default: usize) -> Result<usize, Error> {
        if self.has(name) { self.count(name) } else { Ok(default) }
    }

    /// A positive number, or `default` when absent.
    pub(crate) fn number(&self, name: &str, default: f64) -> Result<f64, Error> {
        if self.has(name) { self.required_number(name) } else { Ok(default) }
    }

    /// A positive number.
    pub(crate) fn required_number(&self, name: &str) -> Result<f64, Error> {
        let value = self.map.get(name).and_then(Value::as_f64);
        let value = value.filter(|value| *value > 0.0 && value.is_finite());
        value.ok_or_else(|| self.expected(name, "a positive number"))
    }

    /// A boolean, or `default` when absent.
    pub(crate) fn flag(&self, name: &str, default: bool) -> Result<bool, Error> {
        if !self.has(name) {
            return Ok(default);
        }
        self.map[name].as_bool().ok_or_else(|| self.expected(name, "true or false"))
    }

    /// A list of non-negative integers.
    pub(crate) fn indexes(&self, name: &str) -> Result<Vec<usize>, Error> {
        let list = self.map.get(name).and_then(Value::as_array);
        let indexes = list.and_then(|list| {
            list.iter().map(|value| value.as_u64().and_then(|value| usize::try_from(value).ok())).collect()
        });
        indexes.ok_or_else(|| self.expected(name, "a list of non-negative integers"))
    }

    /// A token id below `vocab_size`.
    pub(crate) fn token(&self, name: &str, vocab_size: usize) -> Result<u32, Error> {
        let id = self.map.get(name).and_then(Value::as_u64).filter(|id| *id < vocab_size as u64);
        let id = id.and_then(|id| u32::try_from(id).ok());
        id.ok_or_else(|| self.expected(name, &format!("a token id below vocab_size {vocab_size}")))
    }

    /// The field's word, which must be one of these; the first where it is absent.
    pub(crate) fn one_of<'w>(&self, name: &str, words: &[&'w str]) -> Result<&'w str, Error> {
        if self.map.contains_key(name) { Ok(words[self.position(name, words)?]) } else { Ok(words[0]) }
    }

    /// Which of these words the field holds.
    pub(crate) fn position(&self, name: &str, words: &[&str]) -> Result<usize, Error> {
        let found = self.map.get(name).and_then(Value::as_str);
        words
            .iter()
            .position(|word| found == Some(word))
            .ok_or_else(|| self.expected(name, &format!("\"{}\"", words.join("\" or \""))))
    }

    /// An object inside this one.
    pub(crate) fn required_section(&self, name: &str) -> Result<Self, Error> {
        self.section(name)?.ok_or_else(|| self.problem(name, "expected an object"))
    }

    /// Fails unless the field's value is a multiple of `factor`.
    pub(crate) fn multiple(&self, name: &str, value: usize, factor: usize) -> Result<(), Error> {
        if value.is_multiple_of(factor) {
            return Ok(());
        }
        Err(self.problem(name, &format!("expected a multiple of {factor}, got {value}")))
    }
}
