//! Settings: a TOML file, then `key=value` overrides, into a command's typed settings, with errors worth reading.
//!
//! Every table is a library's own struct, which refuses unknown keys and holds its own defaults; this file only finds
//! out where an error stands (file, line, key, or which flag or override) and says it plainly.

mod locate;
mod message;
mod records;
mod suggest;

pub mod tables;

use std::path::{Path, PathBuf};

use align::settings::SettingError;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::errors::{Failure, Result};

/// A setting given on the command line: by `KEY=VALUE`, or by the flag that is short for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    path: Vec<String>,
    value: String,
    /// What was typed, as messages name it.
    origin: String,
}

impl Override {
    /// From `KEY=VALUE`.
    ///
    /// Errors: of settings where that is not what it is.
    pub fn parse(text: &str) -> Result<Self> {
        let origin = format!("override `{text}`");
        let Some((key, value)) = text.split_once('=') else {
            let problem = format!("{origin}: expected `key=value` with a dotted key");
            return Err(Failure::settings(problem).hint("for example `sft.learning_rate=1e-4`"));
        };
        let path: Vec<String> = key.trim().split('.').map(str::to_owned).collect();
        if path.iter().any(String::is_empty) {
            let problem = format!("{origin}: expected a dotted key before `=`, got `{key}`");
            return Err(Failure::settings(problem));
        }
        Ok(Self { path, value: value.trim().to_owned(), origin })
    }

    /// From a flag such as `--model`, short for the setting at `path`.
    pub fn flag(name: &str, path: &[&str], value: String) -> Self {
        Self { path: path.iter().map(ToString::to_string).collect(), origin: format!("{name} {value}"), value }
    }

    fn key(&self) -> String {
        self.path.join(".")
    }
}

/// A command's settings, and where each was given.
#[derive(Debug)]
pub struct Loaded<T> {
    /// The settings.
    pub settings: T,
    file: Option<(PathBuf, String)>,
    overrides: Vec<Override>,
}

impl<T> Loaded<T> {
    /// Passes a library's own check of its settings on, with the place where the setting was given.
    ///
    /// Errors: of settings.
    pub fn check(&self, outcome: Result<(), SettingError>) -> Result {
        outcome.map_err(|error| {
            let origin = self.origin_of(&error.key);
            Failure::from(error).at(&origin)
        })
    }

    fn origin_of(&self, key: &str) -> String {
        // Of a table that is at odds with itself, the override of one of its keys.
        let below = format!("{key}.");
        for given in self.overrides.iter().rev() {
            if given.key() == key || given.key().starts_with(&below) {
                return given.origin.clone();
            }
        }
        if let Some((path, text)) = &self.file
            && let Some(line) = locate::line_of(text, key)
        {
            return format!("{}:{line}", path.display());
        }
        "default settings".to_owned()
    }
}

/// Reads a command's settings: the defaults, then the file, then the overrides, each winning over what stands before.
///
/// Errors: of settings when the file cannot be read, for bad TOML, an unknown key or a value of the wrong type.
pub fn load<T>(file: Option<&Path>, overrides: Vec<Override>) -> Result<Loaded<T>>
where
    T: DeserializeOwned + Serialize + Default,
{
    let file = file.map(read_file).transpose()?;
    let mut table = match &file {
        Some((path, text)) => parse_file::<T>(path, text)?,
        None => toml::Table::new(),
    };
    let mut settings = parse(&table).map_err(|error| Failure::settings(error.message()))?;
    for given in &overrides {
        (table, settings) = apply(&table, given)?;
    }
    Ok(Loaded { settings, file, overrides })
}

/// The value of a setting that has no default.
///
/// Errors: of settings, naming the key.
pub fn required<'a, V>(value: Option<&'a V>, key: &str) -> Result<&'a V> {
    value.ok_or_else(|| {
        Failure::settings(format!("`{key}` is not set: expected a path"))
            .hint(format!("set it in the `--config` file, or add `{key}=PATH` to the command"))
    })
}

fn read_file(path: &Path) -> Result<(PathBuf, String)> {
    let text = fs_err::read_to_string(path).map_err(|error| {
        Failure::settings("cannot read the settings")
            .hint("`--config` takes a TOML file; the repository's configs/ folder has commented ones")
            .because(&error)
    })?;
    Ok((path.to_owned(), text))
}

fn parse_file<T: DeserializeOwned + Serialize + Default>(path: &Path, text: &str) -> Result<toml::Table> {
    let table = toml::from_str::<toml::Table>(text).map_err(|error| in_file::<T>(path, text, &error))?;
    toml::from_str::<T>(text).map_err(|error| in_file::<T>(path, text, &error))?;
    Ok(table)
}

fn parse<T: DeserializeOwned>(table: &toml::Table) -> Result<T, toml::de::Error> {
    T::deserialize(table.clone())
}

fn in_file<T: Serialize + Default>(path: &Path, text: &str, error: &toml::de::Error) -> Failure {
    let offset = error.span().map_or(0, |span| span.start);
    let key = locate::key_at(text, offset);
    let (mut problem, hint) = message::explain(error.message(), &key, &known_keys::<T>());
    if problem == "duplicate key" {
        problem.push_str(&format!(" `{}`", error.span().and_then(|span| text.get(span)).unwrap_or_default()));
    }
    // Within a variant's table serde knows no more than where the table begins.
    let unknown = message::unknown_key_in(error.message(), &key).and_then(|key| locate::line_of(text, &key));
    let line = unknown.unwrap_or_else(|| locate::line_at(text, offset));
    failure(&format!("{}:{line}", path.display()), problem, hint)
}

fn failure(origin: &str, problem: String, hint: Option<String>) -> Failure {
    let failure = Failure::settings(problem).at(origin);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// Applies one override to settings that were valid before, so that whatever fails now is this override's doing.
fn apply<T>(table: &toml::Table, given: &Override) -> Result<(toml::Table, T)>
where
    T: DeserializeOwned + Serialize + Default,
{
    // A bare word is a string, and so is a number where a string is wanted: nobody quotes twice for the shell.
    let readings = [typed(&given.value), Some(toml::Value::String(given.value.clone()))];
    let mut first_error = None;
    for reading in readings.into_iter().flatten() {
        let mut changed = table.clone();
        insert(&mut changed, Some(&defaults::<T>()), &given.path, reading)
            .map_err(|problem| failure(&given.origin, problem, None))?;
        match parse(&changed) {
            Ok(settings) => return Ok((changed, settings)),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    let reason = first_error.as_ref().map_or("", toml::de::Error::message);
    let (problem, hint) = message::explain(reason, &given.key().replace(' ', ""), &known_keys::<T>());
    Err(failure(&given.origin, problem, hint))
}

/// The value as TOML reads it; nothing where it is a bare word.
fn typed(value: &str) -> Option<toml::Value> {
    toml::from_str::<toml::Table>(&format!("value = {value}")).ok()?.remove("value")
}

/// Sets the value at the path. Tables on the way that nobody set yet begin as their defaults, so that a variant's key
/// can be overridden without naming the variant; a new `type` in turn forgets the keys of the variant before it.
fn insert(
    table: &mut toml::Table,
    defaults: Option<&toml::Table>,
    path: &[String],
    value: toml::Value,
) -> Result<(), String> {
    let (first, rest) = path.split_first().ok_or("expected a key")?;
    if rest.is_empty() {
        if first == "type" && table.get("type") != Some(&value) {
            table.clear();
        }
        table.insert(first.clone(), value);
        return Ok(());
    }
    let inner_defaults = defaults.and_then(|table| table.get(first)?.as_table());
    let entry = table.entry(first.clone());
    match entry.or_insert_with(|| toml::Value::Table(inner_defaults.cloned().unwrap_or_default())) {
        toml::Value::Table(inner) => insert(inner, inner_defaults, rest, value),
        _ => Err(format!("`{first}` is a value, not a table")),
    }
}

fn defaults<T: Serialize + Default>() -> toml::Table {
    toml::Table::try_from(T::default()).unwrap_or_default()
}

/// Every key that has a default, dotted, for suggestions.
fn known_keys<T: Serialize + Default>() -> Vec<String> {
    let mut keys = Vec::new();
    collect_keys(&defaults::<T>(), "", &mut keys);
    keys
}

fn collect_keys(table: &toml::Table, prefix: &str, keys: &mut Vec<String>) {
    for (key, value) in table {
        let dotted = format!("{prefix}{key}");
        if let toml::Value::Table(inner) = value {
            collect_keys(inner, &format!("{dotted}."), keys);
        }
        keys.push(dotted);
    }
}

#[cfg(test)]
mod tests;
