//! Settings: a TOML file, then `key=value` overrides, into a command's typed settings, with errors worth reading.
//!
//! Every table is a library's own struct, which refuses unknown keys and holds its own defaults; this file only finds
//! out where an error stands (file, line, key, or which flag or override) and says it plainly.

mod locate;
mod records;

pub mod tables;

use std::path::{Path, PathBuf};

use align::settings::SettingError;
use align::types::other_container;
use diagnostic::reason::{Place, Syntax};
use diagnostic::{exact_whole, excerpt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::errors::{Failure, Result};

/// Where a setting stands that nobody gave.
const DEFAULT: &str = "default settings";

/// No setting lies as deep.
const DEEPEST_KEY: usize = 16;

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
        if path.len() > DEEPEST_KEY {
            let problem =
                format!("{}: expected a key of at most {DEEPEST_KEY} parts, got {}", excerpt(&origin), path.len());
            return Err(Failure::settings(problem));
        }
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

    /// Whether a setting was given, by the file or on the command line.
    pub fn is_given(&self, key: &str) -> bool {
        self.origin_of(key) != DEFAULT
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
        DEFAULT.to_owned()
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
    let mut settings = parse(&table).map_err(|error| match &file {
        Some((path, text)) => in_file::<T>(path, text, &error),
        None => Failure::settings(error.message()),
    })?;
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
    let hint = "`--config` takes a TOML file; the repository's configs/ folder has commented ones";
    let bytes =
        fs_err::read(path).map_err(|error| Failure::settings("cannot read the settings").hint(hint).because(&error))?;
    let got = match other_container(path, &bytes) {
        Some(other) => other.what,
        None if bytes.trim_ascii_start().starts_with(b"{") => "JSON".to_owned(),
        None => match String::from_utf8(bytes) {
            Ok(text) => return Ok((path.to_owned(), text)),
            Err(error) => {
                let line = locate::line_at(error.as_bytes(), error.utf8_error().valid_up_to());
                format!("another encoding in line {line}")
            }
        },
    };
    Err(Failure::settings(format!("{}: expected TOML in UTF-8, got {got}", path.display())).hint(hint))
}

fn parse_file<T: DeserializeOwned + Serialize + Default>(path: &Path, text: &str) -> Result<toml::Table> {
    let mut table = toml::from_str::<toml::Table>(text).map_err(|error| in_file::<T>(path, text, &error))?;
    if let Some(key) = list_for_table(&table, &defaults::<T>()) {
        let line = locate::line_of(text, &key).unwrap_or(1);
        return Err(failure(
            &format!("{}:{line}", path.display()),
            format!("`{key}`: expected a table, got a list"),
            None,
        ));
    }
    // From the text rather than from its table: its errors say where they are.
    if let Err(error) = toml::from_str::<T>(text) {
        make_whole(&mut table);
        parse::<T>(&table).map_err(|_| in_file::<T>(path, text, &error))?;
    }
    Ok(table)
}

fn parse<T: DeserializeOwned>(table: &toml::Table) -> Result<T, toml::de::Error> {
    T::deserialize(table.clone())
}

/// The key of a table that is given as a list, which the parser would take for the table's values in their order.
fn list_for_table(given: &toml::Table, defaults: &toml::Table) -> Option<String> {
    given.iter().find_map(|(key, value)| match (value, defaults.get(key)?.as_table()?) {
        (toml::Value::Array(_), _) => Some(key.clone()),
        (toml::Value::Table(given), defaults) => Some(format!("{key}.{}", list_for_table(given, defaults)?)),
        _ => None,
    })
}

/// Turns every number without a fraction into a whole one, for whoever writes `max_steps = 1e3`.
fn make_whole(table: &mut toml::Table) {
    for (_, value) in table.iter_mut() {
        *value = whole(value.clone());
    }
}

fn whole(mut value: toml::Value) -> toml::Value {
    match &mut value {
        toml::Value::Float(number) => return exact_whole(*number).map_or(value, toml::Value::Integer),
        toml::Value::Table(table) => make_whole(table),
        toml::Value::Array(list) => list.iter_mut().for_each(|value| *value = whole(value.clone())),
        _ => {}
    }
    value
}

fn in_file<T>(path: &Path, text: &str, error: &toml::de::Error) -> Failure
where
    T: DeserializeOwned + Serialize + Default,
{
    let (reason, known) = (error.message(), known_keys::<T>());
    let mut span = error.span().unwrap_or_default();
    let mut key = error.span().map(|span| locate::key_at(text, span.start)).unwrap_or_default();
    // Within a variant's table the parser knows no more than where the table begins.
    let within = match (Place { syntax: Syntax::Toml, key: &key, known: &known, written: "" }).unknown(reason) {
        Some(unknown) => unknown,
        None => toml::from_str(text).map_or(key.clone(), |table| culprit::<T>(&table, &key, reason)),
    };
    let mut line = locate::line_at(text, span.start);
    if let Some([name, value]) = locate::spans_of(text, &within) {
        (line, span, key) = (locate::line_at(text, name.start), value, within);
    }
    let written = text.get(span).unwrap_or_default();
    let (mut problem, hint) = Place { syntax: Syntax::Toml, key: &key, known: &known, written }.explain(reason);
    if problem == "duplicate key" {
        problem.push_str(&format!(" `{}`", excerpt(written)));
    }
    failure(&format!("{}:{line}", path.display()), problem, hint)
}

/// The key, below the table at `key` or the key itself, without which the settings would not fail as they do.
fn culprit<T: DeserializeOwned>(table: &toml::Table, key: &str, reason: &str) -> String {
    let mut path: Vec<&str> = key.split('.').filter(|part| !part.is_empty()).collect();
    while let Some(inner) = path.iter().try_fold(table, |table, part| table.get(*part)?.as_table()) {
        let mut names = inner.keys().filter(|name| *name != "type");
        let Some(name) = names.find(|name| {
            let mut changed = table.clone();
            let inner = path.iter().try_fold(&mut changed, |table, part| table.get_mut(*part)?.as_table_mut());
            inner.and_then(|inner| inner.remove(*name));
            parse::<T>(&changed).err().is_none_or(|error| error.message() != reason)
        }) else {
            break;
        };
        path.push(name);
    }
    path.join(".")
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
    let typed = typed(&given.value);
    let readings = [typed.clone(), typed.map(whole), Some(toml::Value::String(given.value.clone()))];
    let mut first_error = None;
    for reading in readings.into_iter().flatten() {
        let mut changed = table.clone();
        insert(&mut changed, Some(&defaults::<T>()), &given.path, reading)
            .map_err(|problem| failure(&given.origin, problem, None))?;
        if let Some(key) = list_for_table(&changed, &defaults::<T>()) {
            return Err(failure(&given.origin, format!("`{key}`: expected a table, got a list"), None));
        }
        match parse(&changed) {
            Ok(settings) => return Ok((changed, settings)),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    let reason = first_error.as_ref().map_or("", toml::de::Error::message);
    let (key, known) = (given.key().replace(' ', ""), known_keys::<T>());
    let place = Place { syntax: Syntax::Toml, key: &key, known: &known, written: &given.value };
    let (problem, hint) = place.explain(reason);
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
#[cfg(test)]
mod wrong_values;
