//! What a conversion could not keep: found by reading each written row back and comparing.

use std::collections::BTreeMap;

use align::types::{Message, Part, Role};
use serde::Serialize;

use crate::fields::shown;
use crate::placeholders::PLACEHOLDER;
use crate::record::{Picture, Record};

/// A field that was not kept, or not as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// The field; `row` where the whole item is left out.
    pub field: String,
    /// In how many rows.
    pub rows: usize,
    /// Why, told by the first of them.
    pub why: String,
    /// The first of them, counted from one.
    pub first_row: usize,
}

/// All that a conversion could not keep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    by_field: BTreeMap<String, Loss>,
}

impl Losses {
    /// Notes a field of a row.
    pub fn note(&mut self, row: usize, field: &str, why: impl Into<String>) {
        let loss = self.by_field.entry(field.to_owned()).or_insert_with(|| Loss {
            field: field.to_owned(),
            rows: 0,
            why: why.into(),
            first_row: row,
        });
        loss.rows += 1;
    }

    /// One entry a field, by name.
    pub fn into_list(self) -> Vec<Loss> {
        self.by_field.into_values().collect()
    }
}

/// The fields of a record that another does not have as they are, each with what became of it. What the other has
/// beyond the record's is no difference; neither is whether words that follow each other are one part or two.
pub(crate) fn differences(record: &Record, other: &Record) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut text = |field: &str, before: Option<&str>, after: Option<&str>| {
        if let Some(before) = before
            && after != Some(before)
        {
            found.push((field.to_owned(), became(&before.into(), after.map(Into::into).as_ref())));
        }
    };
    let (before, after) = (&record.item, &other.item);
    text("id", Some(&before.id), Some(&after.id));
    text("split", before.split.as_deref(), after.split.as_deref());
    text("category", before.category.as_deref(), after.category.as_deref());
    text("twin_of", before.twin_of.as_deref(), after.twin_of.as_deref());
    let names = |kind: Option<align::types::ItemKind>| kind.and_then(|kind| serde_json::to_value(kind).ok());
    if let Some(kind) = names(before.kind)
        && before.kind != after.kind
    {
        found.push(("kind".to_owned(), became(&kind, names(after.kind).as_ref())));
    }
    if let Some(truth) = &before.truth
        && after.truth.as_ref() != Some(truth)
    {
        found.push(("truth".to_owned(), became(truth, after.truth.as_ref())));
    }
    found.extend(dialogue_differences(record, other));
    for (name, value) in &record.extra {
        let after = other.extra.get(name);
        // An id that is a number is kept beside the item's own, which is text.
        if name != "id" && after != Some(value) {
            found.push((name.clone(), became(value, after)));
        }
    }
    found
}

fn became(before: &serde_json::Value, after: Option<&serde_json::Value>) -> String {
    match after {
        None => "the format has no place for it".to_owned(),
        Some(after) => format!("read back otherwise: {} as {}", shown(before), shown(after)),
    }
}

fn dialogue_differences(record: &Record, other: &Record) -> Vec<(String, String)> {
    let split = |record: &Record| {
        let turns: Vec<(Role, String)> = record.item.messages.iter().map(flat).collect();
        let (system, turns): (Vec<_>, Vec<_>) = turns.into_iter().partition(|(role, _)| *role == Role::System);
        let label = record.item.label();
        let n_prompt = turns.len() - usize::from(label.is_some());
        (system, turns[..n_prompt].to_vec(), label)
    };
    let ((system, prompt, label), (other_system, other_prompt, other_label)) = (split(record), split(other));
    let mut found = Vec::new();
    let mut note = |field: &str, why: String| found.push((field.to_owned(), why));
    let first = |turns: &[(Role, String)]| turns.first().map(|(_, text)| text.clone().into());
    if !system.is_empty() && system != other_system {
        let why = became(&first(&system).unwrap_or_default(), first(&other_system).as_ref());
        note("system", why);
    }
    if prompt != other_prompt {
        let why = became(&first(&prompt).unwrap_or_default(), first(&other_prompt).as_ref());
        note("prompt", why);
    }
    if let Some(label) = label
        && other_label.as_ref() != Some(&label)
    {
        note("label", became(&label.into(), other_label.map(Into::into).as_ref()));
    }
    if !record
        .pictures
        .iter()
        .map(content)
        .eq(other.pictures.iter().map(content))
    {
        let why = format!("{} pictures, read back {}", record.pictures.len(), other.pictures.len());
        note("images", why);
    }
    found
}

fn flat(message: &Message) -> (Role, String) {
    let text = message.content.iter().map(|part| match part {
        Part::Text { text } => text.as_str(),
        Part::Image { .. } => PLACEHOLDER,
    });
    (message.role, text.collect())
}

/// What a picture is, whatever name stands beside its bytes.
fn content(picture: &Picture) -> (Option<&[u8]>, Option<String>) {
    match picture {
        Picture::Bytes { bytes, .. } => (Some(bytes), None),
        other => (None, other.reference()),
    }
}
