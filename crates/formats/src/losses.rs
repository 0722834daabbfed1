//! What a conversion could not keep: found by reading each written row back and comparing.

use std::collections::BTreeMap;

use align::types::{ImageOptions, ItemKind, Message, Part, Role, shown_images};
use serde::Serialize;
use serde_json::{Value, json};

use crate::placeholders::PLACEHOLDER;
use crate::record::Record;
use rows::{Image, shown};

/// A field that was not kept, or not as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// The field; `row` where the whole item is left out.
    pub field: String,
    /// The number of rows.
    pub rows: usize,
    /// Why, in the first of them.
    pub why: String,
    /// The first of them, counted from 1.
    pub first_row: usize,
}

/// All that a conversion could not keep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Losses {
    by_field: BTreeMap<String, Loss>,
    last_row: BTreeMap<String, usize>,
}

impl Losses {
    /// Notes a field of a row, once however often it is lost there; `row` is noted once for each of the row's items.
    pub fn note(&mut self, row: usize, field: &str, why: impl Into<String>) {
        if self.last_row.insert(field.to_owned(), row) == Some(row) && field != "row" {
            return;
        }
        let loss = self.by_field.entry(field.to_owned()).or_insert_with(|| Loss {
            field: field.to_owned(),
            rows: 0,
            why: why.into(),
            first_row: row,
        });
        loss.rows += 1;
    }

    /// One entry per field, by name.
    pub fn into_list(self) -> Vec<Loss> {
        self.by_field.into_values().collect()
    }
}

/// The fields of a record that another does not have as they are, each with what became of it. What the other has
/// besides is no difference; neither is whether adjacent text is one part or two.
pub(crate) fn differences(record: &Record, other: &Record) -> Vec<(String, String)> {
    let (before, after) = (&record.item, &other.item);
    let pairs = [
        ("id", Some(before.id.clone().into()), Some(after.id.clone().into())),
        ("split", text(before.split.as_ref()), text(after.split.as_ref())),
        ("category", text(before.category.as_ref()), text(after.category.as_ref())),
        ("twin_of", text(before.twin_of.as_ref()), text(after.twin_of.as_ref())),
        ("kind", kind_name(before.kind), kind_name(after.kind)),
        ("truth", before.truth.clone(), after.truth.clone()),
    ];
    let mut found = Vec::new();
    for (field, before, after) in pairs {
        note_change(&mut found, field, before.as_ref(), after.as_ref());
    }
    note_dialogue(&mut found, record, other);
    note_options(&mut found, record, other);
    for (name, value) in &record.extra {
        // A number that is an id or name is the item's own, as text; an empty id says nothing.
        let is_own = ["id", "split", "category", "twin_of"].contains(&name.as_str()) && value.is_number();
        if !is_own && (name != "id" || value != "") {
            note_change(&mut found, name, Some(value), other.extra.get(name));
        }
    }
    found
}

fn text(text: Option<&String>) -> Option<Value> {
    text.map(|text| text.as_str().into())
}

fn kind_name(kind: Option<ItemKind>) -> Option<Value> {
    kind.and_then(|kind| serde_json::to_value(kind).ok())
}

/// Notes a field that was there and is not there as it was.
fn note_change(found: &mut Vec<(String, String)>, field: &str, before: Option<&Value>, after: Option<&Value>) {
    if let Some(before) = before
        && after != Some(before)
    {
        found.push((field.to_owned(), became(before, after)));
    }
}

fn became(before: &Value, after: Option<&Value>) -> String {
    match after {
        None => "the format has no place for it".to_owned(),
        Some(after) => format!("read back as {} instead of {}", shown(after), shown(before)),
    }
}

/// A dialogue's turns as roles and texts with placeholders, taken apart.
struct Dialogue {
    system: Vec<(Role, String)>,
    prompt: Vec<(Role, String)>,
    label: Option<String>,
}

impl Dialogue {
    fn of(record: &Record) -> Self {
        let turns: Vec<(Role, String)> = record.item.messages.iter().map(flat).collect();
        let (system, mut prompt): (Vec<_>, Vec<_>) = turns.into_iter().partition(|(role, _)| *role == Role::System);
        let label = record.item.label();
        prompt.truncate(prompt.len() - usize::from(label.is_some()));
        Self { system, prompt, label }
    }
}

fn note_dialogue(found: &mut Vec<(String, String)>, record: &Record, other: &Record) {
    let (before, after) = (Dialogue::of(record), Dialogue::of(other));
    if !before.system.is_empty() && before.system != after.system {
        let why = became(&first(&before.system).unwrap_or_default(), first(&after.system).as_ref());
        found.push(("system".to_owned(), why));
    }
    if before.prompt != after.prompt {
        let why = became(&first(&before.prompt).unwrap_or_default(), first(&after.prompt).as_ref());
        found.push(("prompt".to_owned(), why));
    }
    let [label, other_label] = [before.label, after.label].map(|label| label.map(Value::from));
    note_change(found, "label", label.as_ref(), other_label.as_ref());
    if !record.images.iter().map(content).eq(other.images.iter().map(content)) {
        let why = format!("{} images, read back as {}", record.images.len(), other.images.len());
        found.push(("images".to_owned(), why));
    }
}

/// Notes options of images that are not there as they were.
fn note_options(found: &mut Vec<(String, String)>, record: &Record, other: &Record) {
    let [before, after] = [record, other]
        .map(|record| shown_images(&record.item.messages).map(|(_, options)| json!(options)).collect::<Vec<Value>>());
    for name in ImageOptions::NAMES {
        let changed = before.iter().enumerate().find_map(|(index, options)| {
            let (before, after) = (options.get(name)?, after.get(index).and_then(|options| options.get(name)));
            (after != Some(before)).then(|| became(before, after))
        });
        found.extend(changed.map(|why| (format!("messages[].content[].{name}"), why)));
    }
}

fn first(turns: &[(Role, String)]) -> Option<Value> {
    turns.first().map(|(_, text)| text.as_str().into())
}

fn flat(message: &Message) -> (Role, String) {
    let text = message.content.iter().map(|part| match part {
        Part::Text { text } => text.as_str(),
        Part::Image { .. } => PLACEHOLDER,
    });
    (message.role, text.collect())
}

/// What an image is, whatever the name that came with its bytes.
fn content(image: &Image) -> (Option<&[u8]>, Option<String>) {
    match image {
        Image::Bytes { bytes, .. } => (Some(bytes), None),
        other => (None, other.reference()),
    }
}
