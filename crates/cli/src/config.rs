//! Settings: a TOML file, then `key=value` overrides, into a command's typed settings, with errors worth reading.
//!
//! Every table is some room's own struct, which refuses unknown keys and holds its own defaults; this file only finds
//! out where a fault stands (file, line, key, or which override) and says it plainly.

mod locate;
mod message;
mod suggest;

pub mod tables;

use std::path::{Path, PathBuf};

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
}

impl std::fmt::Display for Origin {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Self::File { path, line } => write!(formatter, "{}:{line}", path.display()),
            Self::Override(text) => write!(formatter, "override `{text}`"),
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

/// Reads a command's settings: the defaults, then the file, then the overrides, each winning over what stands before.
///
/// Errors: a [`Failure`] of usage when the file cannot be read; [`ConfigError`] for bad TOML, an unknown key, a value
/// of the wrong type, or an override that is not `key=value`.
pub fn load<T>(file: Option<&Path>, overrides: &[String]) -> anyhow::Result<T>
where
    T: DeserializeOwned + Serialize + Default,
{
    let mut table = match file {
        Some(path) => read_file::<T>(path)?,
        None => toml::Table::new(),
    };
    let mut settings = parse(&table).map_err(anyhow::Error::from)?;
    for text in overrides {
        (table, settings) = apply_override(&table, text)?;
    }
    Ok(settings)
}

fn read_file<T: DeserializeOwned + Serialize + Default>(path: &Path) -> anyhow::Result<toml::Table> {
    let text = fs_err::read_to_string(path).map_err(|error| {
        Failure::usage("cannot read the settings")
            .hint("`--config` takes a TOML file; the repository's configs/ folder holds one for each command")
            .because(error)
    })?;
    let located = |error: &toml::de::Error| in_file::<T>(path, &text, error);
    let table = toml::from_str::<toml::Table>(&text).map_err(|error| located(&error))?;
    toml::from_str::<T>(&text).map_err(|error| located(&error))?;
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
    let origin = Origin::File {
        path: path.to_owned(),
        line: locate::line_at(text, offset),
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
        insert(&mut changed, &path, reading).map_err(|problem| fault(problem, None))?;
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

fn insert(table: &mut toml::Table, path: &[&str], value: toml::Value) -> Result<(), String> {
    let (first, rest) = path.split_first().ok_or("expected a key")?;
    if rest.is_empty() {
        table.insert((*first).to_owned(), value);
        return Ok(());
    }
    let entry = table
        .entry((*first).to_owned())
        .or_insert_with(|| toml::Value::Table(toml::Table::new()));
    match entry {
        toml::Value::Table(inner) => insert(inner, rest, value),
        other => Err(format!(
            "`{first}` is a {}, so nothing stands below it",
            other.type_str()
        )),
    }
}

/// Every key that has a default, dotted, for suggestions.
fn known_keys<T: Serialize + Default>() -> Vec<String> {
    let mut keys = Vec::new();
    if let Ok(toml::Value::Table(table)) = toml::Value::try_from(T::default()) {
        collect_keys(&table, "", &mut keys);
    }
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
