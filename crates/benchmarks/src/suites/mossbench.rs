//! `MOSSBench` (Li et al., arXiv 2406.17806): harmless requests with images that invite over-refusal. Never to be
//! trained on.
//!
//! `information.json`, an object of questions by id, each with an image.

use std::collections::BTreeMap;
use std::path::Path;

use align::eval::KeywordRefusal;
use align::types::{DataError, Item, ItemKind};
use diagnostic::read_json;
use serde::Deserialize;

use crate::rows::{checked, line_error, question};
use crate::suite::Suite;

/// What is known of it.
pub const SUITE: Suite = Suite {
    name: "mossbench",
    measures: "harmless requests with images: should be answered",
    read,
    judge: Some(|| Box::new(KeywordRefusal)),
    labeled: None,
};

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

fn read(folder: &Path) -> Result<Vec<Item>, DataError> {
    let path = folder.join("information.json");
    let text = fs_err::read_to_string(&path)?;
    let entries: BTreeMap<u32, Entry> =
        read_json(text.as_bytes()).map_err(|problem| line_error(&path, problem.line, problem.to_string()))?;
    let mut rows = Vec::new();
    for (id, entry) in entries {
        let key = format!("\"{id}\":");
        let index = text.lines().position(|line| line.trim_start().starts_with(&key));
        let item = Item {
            split: Some("mossbench".into()),
            kind: Some(ItemKind::Benign),
            category: Some(entry.metadata.over),
            ..question(format!("mossbench-{id}"), Some(folder.join(entry.image)), entry.question)
        };
        rows.push((index.unwrap_or(0) + 1, item));
    }
    checked(&path, rows)
}
