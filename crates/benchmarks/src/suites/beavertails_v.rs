//! BeaverTails-V (PKU-Alignment, arXiv 2503.17682): an image and a question in one of twenty categories of harm, and the
//! scale of the SaFeR-VLM group, since its authors released no evaluator.
//!
//! `data/{category}/evaluation.parquet` as on the hub, of which other splits are not read; or the split `test` of
//! `eval/safe_dataset/data/` in a copy of SaFeR_ToolKit.

use std::path::Path;

use align::types::{DataError, Item, ItemKind};

use crate::reader::{FileRow, Reader, question, rows_of};
use crate::scale;
use crate::suite::{Group, License, Suite};

/// What is known of it.
pub const SUITE: Suite = Suite {
    name: "beavertails-v",
    title: "BeaverTails-V",
    measures: "an image and a question in twenty categories of harm: safe and helpful?",
    paper: "Ji et al., arXiv 2503.17682",
    license: License { name: "CC BY-NC 4.0", forbids_training: false },
    groups: &[Group::Safer],
    published_items: 1180,
    folders: &["PKU-Alignment/BeaverTails-V", "Duebassx/SaFeR_ToolKit"],
    layouts: &[
        "data/*/evaluation.parquet",
        "data/*/evaluation-*.parquet",
        "*/evaluation-*.parquet",
        "*/evaluation/*.parquet",
        TOOLKIT[0],
        TOOLKIT[1],
    ],
    read,
    row: None,
    keys: &["id"],
    generation: scale::GENERATION,
    protocol: scale::PROTOCOL,
    scoring: scale::SCORING,
    figures: &[],
    note: scale::NOTE,
    labeled: None,
};

const TOOLKIT: [&str; 2] = ["eval/safe_dataset/data/test*", "safe_dataset/data/test*"];

fn read(reader: &mut Reader) -> Result<(), DataError> {
    scale::record_deviations(reader);
    let hub = SUITE.layouts.iter().filter(|layout| !TOOLKIT.contains(layout));
    let files = hub.map(|pattern| reader.all(pattern)).find(|files| !files.is_empty());
    let Some(files) = files else {
        let mut number = 0_usize;
        for file in reader.shards(&TOOLKIT) {
            for row in rows_of(&file)? {
                let row = row?;
                let item = item(reader, &row, format!("beavertails-v-test-{number}"))?;
                let category = row.optional("category");
                reader.add(&row, Item { split: Some("test".into()), category, ..item })?;
                number += 1;
            }
        }
        return Ok(());
    };
    let (mut category, mut number) = (String::new(), 0_usize);
    for file in files {
        let of_file = category_of(&file);
        if of_file != category {
            (category, number) = (of_file, 0);
        }
        for row in rows_of(&file)? {
            let row = row?;
            let item = item(reader, &row, format!("beavertails-v-{category}-{number}"))?;
            reader.add(&row, Item { split: Some("evaluation".into()), category: Some(category.clone()), ..item })?;
            number += 1;
        }
    }
    Ok(())
}

/// The category of a file: the name of its folder, or of the one above where the folder is named by the split.
fn category_of(file: &Path) -> String {
    let mut folders = file.ancestors().skip(1).filter_map(|folder| folder.file_name()?.to_str());
    folders.find(|name| *name != "evaluation").unwrap_or_default().to_owned()
}

fn item(reader: &mut Reader, row: &FileRow, id: String) -> Result<Item, DataError> {
    let images = reader.images_of(row, "image")?;
    if images.is_empty() {
        return Err(row.error("missing field `image`"));
    }
    Ok(Item { kind: Some(ItemKind::Hazardous), ..question(id, images, row.text("question")?) })
}
