//! Reading JSON fields one by one, so that an error names the field, what was expected and what was found.

use std::path::Path;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::class::{ConfigClass, shown};
use crate::error::Error;
use crate::resample::CHANNELS;

/// Sizes above this are no model's; their products stay within 64 bits.
const MAX_COUNT: u64 = 1 << 24;

/// Layers above this are no model's.
const MAX_LAYERS: u64 = 4096;

/// Sides of patches and windows above this are no model's, in pixels or patches.
const MAX_SIDE: u64 = 4096;

static NO_FIELDS: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);

/// One object of the file.
pub(crate) struct ConfigFields<'a> {
    map: &'a Map<String, Value>,
    path: &'a Path,
    // What precedes a field's name in messages: empty, or `vision_config.`.
    prefix: String,
    // What knows the values of fields that are left out.
    class: Option<&'static ConfigClass>,
}

impl<'a> ConfigFields<'a> {
    pub(crate) fn new(value: &'a Value, path: &'a Path) -> Result<Self, Error> {
        let map = value.as_object().ok_or_else(|| Error::file(path, "expected a JSON object"))?;
        Ok(Self { map, path, prefix: String::new(), class: None })
    }

    /// The same object, whose absent fields have the defaults of a class. Fields of the classes `beside` may stand in
    /// it too.
    ///
    /// Errors: `File` naming the field that the class does not know, or of which only other values are supported.
    pub(crate) fn of_class(&self, class: &'static ConfigClass, beside: &[&ConfigClass]) -> Result<Self, Error> {
        class.check(self.map, beside).map_err(|(name, problem)| self.problem(&name, &problem))?;
        Ok(Self { map: self.map, path: self.path, prefix: self.prefix.clone(), class: Some(class) })
    }

    /// An object inside this one, of a class; one without fields when it is absent.
    ///
    /// Errors: as [`Self::of_class`].
    pub(crate) fn section_of(&self, name: &str, class: &'static ConfigClass) -> Result<Self, Error> {
        self.section(name)?.unwrap_or_else(|| self.inside(name, &NO_FIELDS)).of_class(class, &[])
    }

    fn inside(&self, name: &str, map: &'a Map<String, Value>) -> Self {
        Self { map, path: self.path, prefix: format!("{}{name}.", self.prefix), class: None }
    }

    /// The file; others of the model lie beside it.
    pub(crate) fn path(&self) -> &'a Path {
        self.path
    }

    /// An error about a field.
    pub(crate) fn problem(&self, name: &str, problem: &str) -> Error {
        Error::file(self.path, format!("field `{}{name}`: {problem}", self.prefix))
    }

    /// An error about a field that holds something other than expected.
    pub(crate) fn expected(&self, name: &str, expected: &str) -> Error {
        let stated = self.map.get(name);
        let got = match self.class {
            Some(class) => class.shown(stated, name),
            None => stated.map_or_else(|| "nothing".to_owned(), shown),
        };
        self.problem(name, &format!("expected {expected}, got {got}"))
    }

    /// The field's value, or that of the class where it is left out.
    fn get(&self, name: &str) -> Option<&Value> {
        self.map.get(name).or_else(|| self.class?.defaults.get(name))
    }

    /// Whether the field has a value other than null.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| !value.is_null())
    }

    /// The field's value in the file itself.
    pub(crate) fn stated(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name)
    }

    /// An object inside this one; none when it is absent.
    pub(crate) fn section(&self, name: &str) -> Result<Option<Self>, Error> {
        match self.map.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(map)) => Ok(Some(self.inside(name, map))),
            Some(_) => Err(self.expected(name, "an object")),
        }
    }

    /// An object inside this one, be it the class's default.
    pub(crate) fn inner(&self, name: &str) -> Result<ConfigFields<'_>, Error> {
        let map = self.get(name).and_then(Value::as_object).ok_or_else(|| self.expected(name, "an object"))?;
        Ok(ConfigFields { map, path: self.path, prefix: format!("{}{name}.", self.prefix), class: None })
    }

    /// A positive integer.
    pub(crate) fn count(&self, name: &str) -> Result<usize, Error> {
        self.count_up_to(name, MAX_COUNT)
    }

    fn count_up_to(&self, name: &str, most: u64) -> Result<usize, Error> {
        match self.get(name).and_then(Value::as_u64) {
            Some(value) if value > most => Err(self.expected(name, &format!("at most {most}"))),
            Some(value) if value > 0 => Ok(value as usize),
            _ => Err(self.expected(name, "a positive integer")),
        }
    }

    /// A number of layers.
    pub(crate) fn layers(&self, name: &str) -> Result<usize, Error> {
        self.count_up_to(name, MAX_LAYERS)
    }

    /// A positive integer, or a pair of equal ones: the side of a square.
    pub(crate) fn side(&self, name: &str) -> Result<usize, Error> {
        match self.get(name).and_then(Value::as_array) {
            None => self.count_up_to(name, MAX_SIDE),
            Some(_) => match self.indexes(name)?[..] {
                [high, wide] if high == wide && (1..=MAX_SIDE).contains(&(high as u64)) => Ok(high),
                _ => Err(self.expected(name, &format!("two equal positive integers of at most {MAX_SIDE}"))),
            },
        }
    }

    /// An integer.
    pub(crate) fn integer(&self, name: &str) -> Result<i64, Error> {
        self.get(name).and_then(Value::as_i64).ok_or_else(|| self.expected(name, "an integer"))
    }

    /// A positive integer, or `default` when there is none.
    pub(crate) fn count_or(&self, name: &str, default: usize) -> Result<usize, Error> {
        if self.has(name) { self.count(name) } else { Ok(default) }
    }

    /// A positive number.
    pub(crate) fn number(&self, name: &str) -> Result<f64, Error> {
        let value = self.get(name).and_then(Value::as_f64);
        let value = value.filter(|value| *value > 0.0 && value.is_finite());
        value.ok_or_else(|| self.expected(name, "a positive number"))
    }

    /// A finite number.
    pub(crate) fn real(&self, name: &str) -> Result<f64, Error> {
        let value = self.get(name).and_then(Value::as_f64).filter(|value| value.is_finite());
        value.ok_or_else(|| self.expected(name, "a number"))
    }

    /// A positive integer without a limit: an area in pixels.
    pub(crate) fn area(&self, name: &str) -> Result<usize, Error> {
        let area = self.get(name).and_then(Value::as_u64).filter(|area| *area > 0);
        area.and_then(|area| usize::try_from(area).ok()).ok_or_else(|| self.expected(name, "a positive integer"))
    }

    /// A number for each color channel, or one for all.
    pub(crate) fn channels(&self, name: &str) -> Result<[f32; CHANNELS], Error> {
        let numbers = match self.get(name) {
            Some(Value::Array(numbers)) => numbers.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>(),
            value => value.and_then(Value::as_f64).map(|number| vec![number; CHANNELS]),
        };
        let numbers = numbers.and_then(|numbers| <[f64; CHANNELS]>::try_from(numbers).ok());
        let numbers = numbers.map(|numbers| numbers.map(|number| number as f32));
        let numbers = numbers.filter(|numbers| numbers.iter().all(|number| number.is_finite()));
        numbers.ok_or_else(|| self.expected(name, "a number for each color channel"))
    }

    /// A boolean; false where there is none.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Error> {
        if !self.has(name) {
            return Ok(false);
        }
        self.get(name).and_then(Value::as_bool).ok_or_else(|| self.expected(name, "true or false"))
    }

    /// A list of non-negative integers.
    pub(crate) fn indexes(&self, name: &str) -> Result<Vec<usize>, Error> {
        let list = self.get(name).and_then(Value::as_array);
        let indexes = list.and_then(|list| {
            list.iter().map(|value| value.as_u64().and_then(|value| usize::try_from(value).ok())).collect()
        });
        indexes.ok_or_else(|| self.expected(name, "a list of non-negative integers"))
    }

    /// A token id below `vocab_size`.
    pub(crate) fn token(&self, name: &str, vocab_size: usize) -> Result<u32, Error> {
        let id = self.get(name).and_then(Value::as_u64).filter(|id| *id < vocab_size as u64);
        let id = id.and_then(|id| u32::try_from(id).ok());
        id.ok_or_else(|| self.expected(name, &format!("a token id below vocab_size {vocab_size}")))
    }

    /// Fails unless every word of a list, where there is one, is this one.
    pub(crate) fn each_is(&self, name: &str, word: &str) -> Result<(), Error> {
        let words = self.map.get(name).filter(|value| !value.is_null());
        match words.map(|words| words.as_array().is_some_and(|words| words.iter().all(|one| one == word))) {
            Some(false) => Err(self.expected(name, &format!("a list of \"{word}\""))),
            Some(true) | None => Ok(()),
        }
    }

    /// The field's word, which must be one of these; the first where there is none.
    pub(crate) fn one_of<'w>(&self, name: &str, words: &[&'w str]) -> Result<&'w str, Error> {
        if self.has(name) { Ok(words[self.position(name, words)?]) } else { Ok(words[0]) }
    }

    /// Which of these words the field holds.
    pub(crate) fn position(&self, name: &str, words: &[&str]) -> Result<usize, Error> {
        let found = self.get(name).and_then(Value::as_str);
        words
            .iter()
            .position(|word| found == Some(word))
            .ok_or_else(|| self.expected(name, &format!("\"{}\"", words.join("\" or \""))))
    }

    /// The first word of a list, which must be one of these.
    pub(crate) fn first_word<'w>(&self, name: &str, words: &[&'w str]) -> Result<&'w str, Error> {
        let found = self.get(name).and_then(|list| list.get(0)?.as_str());
        let known = words.iter().find(|word| found == Some(word));
        known.copied().ok_or_else(|| self.expected(name, &format!("\"{}\"", words.join("\" or \""))))
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
