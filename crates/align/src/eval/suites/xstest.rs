//! `XSTest`: `xstest_prompts.csv`, text alone; safe prompts measure over-refusal, unsafe ones compliance.

use std::path::Path;

use serde::Deserialize;

use super::{Rows, question, read_csv};
use crate::types::{DataError, Item, ItemKind};

#[derive(Deserialize)]
struct Row {
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
    let item = |(line, row): (usize, Row)| {
        let (split, kind) = match row.label {
            Label::Safe => ("xstest-safe", ItemKind::Benign),
            Label::Unsafe => ("xstest-unsafe", ItemKind::Hazardous),
        };
        let item = Item {
            id: format!("xstest-{}", row.id),
            messages: question(None, row.prompt),
            split: Some(split.into()),
            kind: Some(kind),
            category: Some(row.category),
            twin_of: None,
            truth: None,
        };
        (line, item)
    };
    let items = read_csv(&path)?.into_iter().map(item).collect();
    Ok((path, items))
}
