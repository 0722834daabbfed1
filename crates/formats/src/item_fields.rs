//! The fields of a row that every item can have, taken from rows and put into them.

use align::types::{Item, ItemKind, id_of};
use serde_json::{Map, Value};

use crate::record::Record;
use rows::Row;

/// The fields of an item besides its messages, under the names that layouts with a place for them use.
const ITEM_FIELDS: [&str; 6] = ["id", "split", "kind", "category", "twin_of", "truth"];

/// How a container holds the truth, which differs in form from item to item.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum TruthAs {
    /// As it is.
    Json,
    /// As JSON in a string, where columns have types.
    Text,
}

/// Takes an item's fields out of an object; fields of another type stay there. The item has no messages yet.
///
/// An id or name that is a number becomes text, and the number stays as well. An item without an id is called
/// `row-NUMBER`.
pub(crate) fn take_item(fields: &mut Map<String, Value>, truth: TruthAs, row_number: usize) -> Item {
    let id = match fields.get("id") {
        Some(Value::String(id)) if id.is_empty() => None,
        _ => take_text(fields, "id"),
    };
    let kind = fields.get("kind").and_then(kind_of);
    if kind.is_some() {
        fields.shift_remove("kind");
    }
    let held = fields.shift_remove("truth").filter(|value| !value.is_null());
    Item {
        id: id.unwrap_or_else(|| format!("row-{row_number}")),
        messages: Vec::new(),
        split: take_text(fields, "split"),
        kind,
        category: take_text(fields, "category"),
        twin_of: take_text(fields, "twin_of"),
        truth: held.map(|value| match (&value, truth) {
            (Value::String(text), TruthAs::Text) => serde_json::from_str(text).unwrap_or(value),
            _ => value,
        }),
    }
}

fn take_text(fields: &mut Map<String, Value>, name: &str) -> Option<String> {
    let value = fields.get(name)?;
    let text = id_of(value)?;
    if value.is_string() {
        fields.shift_remove(name);
    }
    Some(text)
}

/// Puts an item's fields into an object that does not hold them yet.
pub(crate) fn put_item(fields: &mut Map<String, Value>, record: &Record, truth: TruthAs) {
    let item = &record.item;
    let values = [
        Some(as_given(record, "id", &item.id)),
        item.split.as_ref().map(|split| as_given(record, "split", split)),
        item.kind.and_then(|kind| serde_json::to_value(kind).ok()),
        item.category.as_ref().map(|category| as_given(record, "category", category)),
        item.twin_of.as_ref().map(|id| as_given(record, "twin_of", id)),
        item.truth.as_ref().map(|value| match truth {
            TruthAs::Json => value.clone(),
            TruthAs::Text => value.to_string().into(),
        }),
    ];
    for (name, value) in ITEM_FIELDS.into_iter().zip(values) {
        if let Some(value) = value
            && !fields.contains_key(name)
        {
            fields.insert(name.to_owned(), value);
        }
    }
}

/// The number that an item's field was in its row, by its decimal text, or the text that it is.
fn as_given(record: &Record, name: &str, text: &str) -> Value {
    let number = record.extra.get(name).filter(|number| id_of(number).as_deref() == Some(text));
    number.and_then(|_| serde_json::from_str(text).ok()).unwrap_or_else(|| text.into())
}

/// Puts a record's other fields into an object, except under names that have a meaning there.
pub(crate) fn put_extra(fields: &mut Map<String, Value>, record: &Record, reserved: &[&str]) {
    for (name, value) in &record.extra {
        let is_taken = reserved.contains(&name.as_str()) || ITEM_FIELDS.contains(&name.as_str());
        if !is_taken && !fields.contains_key(name) {
            fields.insert(name.clone(), value.clone());
        }
    }
}

/// The row with a record's item and its other fields, except under names that have a meaning in the layout.
pub(crate) fn with_rest(mut row: Row, record: &Record, truth: TruthAs, reserved: &[&str]) -> Row {
    put_item(&mut row.fields, record, truth);
    put_extra(&mut row.fields, record, reserved);
    row
}

/// The kind that a value names.
pub(crate) fn kind_of(value: &Value) -> Option<ItemKind> {
    serde_json::from_value(value.clone()).ok()
}
