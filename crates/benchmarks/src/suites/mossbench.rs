//! `MOSSBench` (Li et al., arXiv 2406.17806): harmless requests with images that invite over-refusal. Never to be
//! trained on.
//!
//! `data/images_information/information.json` and `data/images/` as in the authors' repository, or `information.json`
//! beside `images/`: an object of questions by id, each with an image.

use align::types::{DataError, Item, ItemKind};

use crate::reader::{FileRow, Reader, entries_of, question};
use crate::refusal::{KEYWORDS, OVER_REFUSAL, rates};
use crate::scoring::Scoring;
use crate::suite::{Generation, Group, License, Suite};

/// What is known of it.
pub const SUITE: Suite = Suite {
    name: "mossbench",
    title: "MOSSBench",
    measures: "harmless requests with images: should be answered",
    paper: "Li et al., arXiv 2406.17806",
    license: License { name: "CC BY-SA 4.0, test only", forbids_training: true },
    groups: &[Group::Mirage],
    published_items: 300,
    folders: &["xirui-li/MOSSBench", "AIcell/MOSSBench"],
    layouts: &["data/images_information/information.json", "images_information/information.json", "information.json"],
    read,
    row: None,
    keys: &["pid", "id"],
    generation: Generation::greedy(1024),
    protocol: rates(&[OVER_REFUSAL]),
    scoring: Scoring::Rule(KEYWORDS),
    figures: &[],
    note: "",
    labeled: None,
};

fn read(reader: &mut Reader) -> Result<(), DataError> {
    let file = reader.first(SUITE.layouts);
    let mut entries = Vec::new();
    for (id, row) in entries_of(&file)? {
        let number: u32 = id.parse().map_err(|_| row.error(format!("`{id}`: expected a number")))?;
        entries.push((number, row));
    }
    entries.sort_by_key(|(number, _)| *number);
    for (number, row) in entries {
        let item = item(reader, number, &row)?;
        reader.add(&row, item)?;
    }
    Ok(())
}

fn item(reader: &Reader, number: u32, row: &FileRow) -> Result<Item, DataError> {
    // The kind of stimulus that invites over-refusal: `type 1` to `type 3`.
    let over = row.fields.get("metadata").and_then(|metadata| metadata.get("over")?.as_str());
    let image = reader.image(&["data", ""], &row.text("image")?);
    Ok(Item {
        split: Some("mossbench".into()),
        kind: Some(ItemKind::Benign),
        category: Some(over.ok_or_else(|| row.error("missing field `metadata.over`"))?.to_owned()),
        ..question(format!("mossbench-{number}"), [image], row.text("question")?)
    })
}
