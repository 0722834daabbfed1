//! Settings: a TOML file, then `key=value` overrides, into a command's typed settings, with errors worth reading.
//!
//! Every table is some room's own struct, which refuses unknown keys and holds its own defaults; this file only finds
//! out where a fault stands (file, line, key, or which override) and says it plainly.

mod locate;
mod message;
mod records;
mod suggest;

pub mod tables;

use std::path::{Path, PathBuf};

use align::training::SettingError;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::errors::Failure;

/// Where a setting was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A line of a file, counted from one.
    File {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
    },
    /// An override of the command line, as typed.
    Override(String),
    /// Nowhere: it is the default.
    Default,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Self::File { path, line } => write!(formatter, "{}:{line}", path.display()),
            Self::Override(text) => write!(formatter, "override `{text}`"),
            Self::Default => formatter.write_str("default settings"),
        }
    }
}

/// A fault in the settings: where, what was expected, what was found, and what may have been meant.
#[derive(Debug, thiserror::Error)]
#[error("{origin}: {problem}")]
pub struct ConfigError {
    /// Where the setting was given.
    pub origin: Origin,
    /// The key, what was expected and what was found.
    pub problem: String,
    /// What may have been meant.
    pub hint: Option<String>,
}

/// A command's settings, and where each was given.
#[derive(Debug)]
pub struct Loaded<T> {
    /// The settings.
    pub settings: T,
    file: Option<(PathBuf, String)>,
    overrides: Vec<String>,
}

impl<T> Loaded<T> {
    /// Passes a room's own check of its settings on, with the place where the setting was given.
    ///
    /// Errors: [`ConfigError`].
    pub fn check(&self, outcome: Result<(), SettingError>) -> Result<(), ConfigError> {
        outcome.map_err(|error| ConfigError {
            origin: self.origin_of(&error.key),
            problem: error.to_string(),
            hint: None,
        })
    }

    fn origin_of(&self, key: &str) -> Origin {
        // Of a table that is at odds with itself, the override of one of its keys.
        let below = format!("{key}.");
        let sets_it = |text: &&String| {
            text.split_once('=')
                .is_some_and(|(typed, _)| typed.trim() == key || typed.trim().starts_with(&below))
        };
        if let Some(text) = self.overrides.iter().rev().find(sets_it) {
            return Origin::Override(text.clone());
        }
        let in_file = self
            .file
            .as_ref()
            .and_then(|(path, text)| Some((path, locate::line_of(text, key)?)));
        in_file.map_or(Origin::Default, |(path, line)| Origin::File {
            path: path.clone(),
            line,
        })
    }
}

/// Reads a command's settings: the defaults, then the file, then the overrides, each winning over what stands before.
///
/// Errors: a [`Failure`] of usage when the file cannot be read; [`ConfigError`] for bad TOML, an unknown key, a value
/// of the wrong type, or an override that is not `key=value`.
pub fn load<T>(file: Option<&Path>, overrides: &[String]) -> anyhow::Result<Loaded<T>>
where
    T: DeserializeOwned + Serialize + Default,
{
    let file = file.map(read_file).transpose()?;
    let mut table = match &file {
        Some((path, text)) => parse_file::<T>(path, text)?,
        None => toml::Table::new(),
    };
    let mut settings = parse(&table)?;
    for text in overrides {
        (table, settings) = apply_override(&table, text)?;
    }
    Ok(Loaded {
        settings,
        file,
        overrides: overrides.to_vec(),
    })
}

fn read_file(path: &Path) -> Result<(PathBuf, String), Failure> {
    let text = fs_err::read_to_string(path).map_err(|error| {
        Failure::usage("cannot read the settings")
            .hint("`--config` takes a TOML file; the repository's configs/ folder holds one for each command")
            .because(error)
    })?;
    Ok((path.to_owned(), text))
}

fn parse_file<T: DeserializeOwned + Serialize + Default>(path: &Path, text: &str) -> Result<toml::Table, ConfigError> {
    let located = |error: &toml::de::Error| in_file::<T>(path, text, error);
    let table = toml::from_str::<toml::Table>(text).map_err(|error| located(&error))?;
    toml::from_str::<T>(text).map_err(|error| located(&error))?;
    Ok(table)
}

fn parse<T: DeserializeOwned>(table: &toml::Table) -> Result<T, toml::de::Error> {
    T::deserialize(table.clone())
}

fn in_file<T: Serialize + Default>(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let offset = error.span().map_or(0, |span| span.start);
    let key = locate::key_at(text, offset);
    let (mut problem, hint) = message::explain(error.message(), &key, &known_keys::<T>());
    if problem == "duplicate key" {
        problem.push_str(&format!(
            " `{}`",
            error.span().and_then(|span| text.get(span)).unwrap_or_default()
        ));
    }
    // Within a variant's table serde knows no more than where the table begins.
    let unknown = message::unknown_key_in(error.message(), &key).and_then(|key| locate::line_of(text, &key));
    let line = unknown.unwrap_or_else(|| locate::line_at(text, offset));
    let origin = Origin::File {
        path: path.to_owned(),
        line,
    };
    ConfigError { origin, problem, hint }
}

/// Applies one override to settings that were valid before, so that whatever fails now is this override's doing.
fn apply_override<T>(table: &toml::Table, text: &str) -> Result<(toml::Table, T), ConfigError>
where
    T: DeserializeOwned + Serialize + Default,
{
    let fault = |problem, hint| ConfigError {
        origin: Origin::Override(text.to_owned()),
        problem,
        hint,
    };
    let Some((key, value)) = text.split_once('=') else {
        let problem = "expected `key=value` with a dotted key".to_owned();
        return Err(fault(problem, Some("for example `sft.learning_rate=1e-4`".into())));
    };
    let path: Vec<&str> = key.trim().split('.').collect();
    if path.iter().any(|part| part.is_empty()) {
        return Err(fault(format!("expected a dotted key before `=`, got `{key}`"), None));
    }
    // A bare word is a string, and so is a number where a string is wanted: nobody quotes twice for the shell.
    let readings = [typed(value.trim()), Some(toml::Value::String(value.trim().to_owned()))];
    let mut first_error = None;
    for reading in readings.into_iter().flatten() {
        let mut changed = table.clone();
        insert(&mut changed, Some(&defaults::<T>()), &path, reading).map_err(|problem| fault(problem, None))?;
        match parse(&changed) {
            Ok(settings) => return Ok((changed, settings)),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    let reason = first_error.as_ref().map_or("", toml::de::Error::message);
    let (problem, hint) = message::explain(reason, &key.trim().replace(' ', ""), &known_keys::<T>());
    Err(fault(problem, hint))
}

/// The value as TOML reads it; nothing where it is a bare word.
fn typed(value: &str) -> Option<toml::Value> {
    toml::from_str::<toml::Table>(&format!("value = {value}"))
        .ok()?
        .remove("value")
}

/// Sets the value at the path. Tables on the way that nobody set yet begin as their defaults, so that a variant's key
/// can be overridden without naming the variant; a new `type` in turn forgets the keys of the variant before it.
fn insert(
    table: &mut toml::Table,
    defaults: Option<&toml::Table>,
    path: &[&str],
    value: toml::Value,
) -> Result<(), String> {
    let (first, rest) = path.split_first().ok_or("expected a key")?;
    if rest.is_empty() {
        if *first == "type" && table.get("type") != Some(&value) {
            table.clear();
        }
        table.insert((*first).to_owned(), value);
        return Ok(());
    }
    let inner_defaults = defaults.and_then(|table| table.get(*first)?.as_table());
    let entry = table.entry((*first).to_owned());
    match entry.or_insert_with(|| toml::Value::Table(inner_defaults.cloned().unwrap_or_default())) {
        toml::Value::Table(inner) => insert(inner, inner_defaults, rest, value),
        _ => Err(format!("`{first}` holds a value, so nothing stands below it")),
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
