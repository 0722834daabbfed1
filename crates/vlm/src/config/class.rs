//! A class of settings in the library that wrote a file: the fields it knows, with the values they have where a file
//! leaves them out.
//!
//! Files are checked against their class before they are read. What changes the computation is either supported or
//! refused by name, and a field that no class knows is refused as long as it may change something: unless it is null,
//! false or empty, a token's id, bookkeeping that all classes share, or private (`_…`).

use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::bookkeeping::BOOKKEEPING;

/// Fields by name, made on first use.
pub(crate) type LazyFields = LazyLock<Map<String, Value>>;

/// The longest value that a message shows, in letters.
const MAX_SHOWN: usize = 80;

/// What a class knows.
pub(crate) struct ConfigClass {
    /// The library's name of it.
    pub name: &'static str,
    /// The values of fields that a file leaves out.
    pub defaults: LazyFields,
    /// Fields of which only some values are supported, each with the list of them.
    pub only: LazyFields,
    /// Fields that are read where they are given, and those that change no score.
    pub known: &'static [&'static str],
}

/// The fields of a `json!` object, for tables.
pub(crate) fn fields_of(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

impl ConfigClass {
    /// Checks a file's object against the class. Fields of the classes `beside` may stand in the same object and are
    /// not looked at.
    ///
    /// Errors: the field, and what is wrong with it.
    pub fn check(&self, fields: &Map<String, Value>, beside: &[&Self]) -> Result<(), (String, String)> {
        if let Some(name) = ["quantization_config", "compression_config"].into_iter().find(|name| is_set(fields, name))
        {
            return Err((name.to_owned(), quantized(&fields[name])));
        }
        for (name, allowed) in self.only.iter() {
            let stated = fields.get(name).filter(|value| !value.is_null());
            if let Some(value) = stated.or_else(|| self.defaults.get(name))
                && !is_among(value, allowed)
            {
                return Err((name.clone(), format!("expected {}, got {}", words(allowed), self.shown(stated, name))));
            }
        }
        let unknown = fields.iter().find(|(name, value)| {
            !self.knows(name) && !beside.iter().any(|class| class.knows(name)) && !is_harmless(name, value)
        });
        match unknown {
            Some((name, value)) => Err((name.clone(), unknown_field(value))),
            None => Ok(()),
        }
    }

    fn knows(&self, name: &str) -> bool {
        self.defaults.contains_key(name) || self.only.contains_key(name) || self.known.contains(&name)
    }

    /// A field's value for a message: as it stands in the file, or that it does not.
    pub fn shown(&self, stated: Option<&Value>, name: &str) -> String {
        match (stated, self.defaults.get(name)) {
            (Some(value), _) => shown(value),
            (None, Some(Value::Null) | None) => "nothing".to_owned(),
            (None, Some(default)) => format!("nothing, which is {default} in {}", self.name),
        }
    }
}

/// A value of a file for a message, cut where it is long.
pub(crate) fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn is_set(fields: &Map<String, Value>, name: &str) -> bool {
    fields.get(name).is_some_and(|value| !is_nothing(value))
}

/// Whether a value says no more than its absence.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

fn is_harmless(name: &str, value: &Value) -> bool {
    is_nothing(value)
        || name.starts_with('_')
        || ["_token_id", "_token_ids", "_token_index", "_token"].iter().any(|ending| name.ends_with(ending))
        || BOOKKEEPING.contains(&name)
}

/// Whether a value is one of a list: numbers by what they are worth, null by its meaning.
fn is_among(value: &Value, allowed: &Value) -> bool {
    let mut allowed = allowed.as_array().into_iter().flatten();
    allowed.any(|one| match one {
        Value::Null => is_nothing(value),
        Value::Number(number) => number.as_f64() == value.as_f64(),
        one => one == value,
    })
}

fn words(allowed: &Value) -> String {
    let allowed: Vec<String> = allowed.as_array().into_iter().flatten().map(Value::to_string).collect();
    allowed.join(" or ")
}

fn quantized(settings: &Value) -> String {
    let method = settings.get("quant_method").and_then(Value::as_str).unwrap_or("a method without a name");
    let bits = settings.get("bits").and_then(Value::as_u64).map(|bits| format!(" ({bits} bits)")).unwrap_or_default();
    format!(
        "weights quantized by {method}{bits} are not supported: use the checkpoint that it was made from, or write its \
         weights in bfloat16 first"
    )
}

fn unknown_field(value: &Value) -> String {
    format!(
        "not known here, and may change what the model computes: {}; where it does not, remove it from the file",
        shown(value)
    )
}
