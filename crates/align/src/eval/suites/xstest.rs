//! `XSTest`: `xstest_prompts.csv`, text alone; safe prompts measure over-refusal, unsafe ones compliance.

use std::path::Path;

use serde::Deserialize;

use super::{Rows, question, read_csv};
use crate::types::{DataError, Item, ItemKind};

#[derive(Deserialize)]
pub(super) struct Row {
    id: String,
    prompt: String,
    #[serde(rename = "type")]
    category: String,
    label: Label,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Label {
    Safe,
    Unsafe,
}

pub(super) fn load(folder: &Path) -> Result<Rows, DataError> {
    let path = folder.join("xstest_prompts.csv");
    let rows = read_csv(&path)?.into_iter();
    let items = rows.map(|(line, row)| (line, item(row))).collect();
    Ok((path, items))
}

/// The item of a row.
pub(super) fn item(row: Row) -> Item {
    let (split, kind) = match row.label {
        Label::Safe => ("xstest-safe", ItemKind::Benign),
        Label::Unsafe => ("xstest-unsafe", ItemKind::Hazardous),
    };
    Item {
        id: format!("xstest-{}", row.id),
        messages: question(None, row.prompt),
        split: Some(split.into()),
        kind: Some(kind),
        category: Some(row.category),
        twin_of: None,
        truth: None,
    }
}
