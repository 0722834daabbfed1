//! `MOSSBench`: `information.json`, an object of harmless questions by id, each with a picture.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::{Rows, question};
use crate::types::{DataError, Item, ItemKind};

#[derive(Deserialize)]
struct Entry {
    image: String,
    question: String,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    /// The kind of stimulus that invites over-refusal: `type 1` to `type 3`.
    over: String,
}

pub(super) fn load(folder: &Path) -> Result<Rows, DataError> {
    let path = folder.join("information.json");
    let text = fs_err::read_to_string(&path)?;
    let entries: BTreeMap<u32, Entry> = serde_json::from_str(&text).map_err(|error| DataError::Line {
        path: path.clone(),
        line: error.line(),
        problem: error.to_string(),
    })?;
    let item = |(id, entry): (u32, Entry)| {
        let line = text
            .lines()
            .position(|line| line.trim_start().starts_with(&format!("\"{id}\":")));
        let item = Item {
            id: format!("mossbench-{id}"),
            messages: question(Some(folder.join(entry.image)), entry.question),
            split: Some("mossbench".into()),
            kind: Some(ItemKind::Benign),
            category: Some(entry.metadata.over),
            twin_of: None,
            truth: None,
        };
        (line.map_or(1, |index| index + 1), item)
    };
    let items = entries.into_iter().map(item).collect();
    Ok((path, items))
}
