//! SPA-VL (Zhang et al., arXiv 2406.12030): an image and a question, of which one half tests harm and the other help; and
//! the scale of the SaFeR-VLM group, since its authors released no evaluator.
//!
//! The configuration `test` of the data set on the hub, with the splits `harm` and `help`; training and validation are not
//! read.

use align::types::{DataError, Item, ItemKind};

use crate::reader::{Reader, question, rows_of};
use crate::scale;
use crate::suite::{Group, License, Suite};

/// What is known of it.
pub const SUITE: Suite = Suite {
    name: "spa-vl",
    title: "SPA-VL",
    measures: "an image and a question, for harm and for help: safe and helpful?",
    paper: "Zhang et al., arXiv 2406.12030",
    license: License { name: "CC BY 4.0", forbids_training: false },
    groups: &[Group::Safer],
    published_items: 530,
    folders: &["sqrti/SPA-VL"],
    layouts: &["test/harm*.parquet", "test/harm/*.parquet", "test/help*.parquet", "test/help/*.parquet"],
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

fn read(reader: &mut Reader) -> Result<(), DataError> {
    scale::record_deviations(reader);
    // The questions for help are not all harmless, so that these items have no kind.
    for (split, kind) in [("harm", Some(ItemKind::Hazardous)), ("help", None)] {
        let mut files = reader.all(&format!("test/{split}*.parquet"));
        if files.is_empty() {
            files = reader.all(&format!("test/{split}/*.parquet"));
        }
        let mut number = 0_usize;
        for file in files {
            for row in rows_of(&file)? {
                let row = row?;
                let images = reader.images_of(&row, "image")?;
                if images.is_empty() {
                    return Err(row.error("missing field `image`"));
                }
                // Questions may hold the place of the image, which stands before them.
                let words = row.text("question")?.replace("<image>", "").trim().to_owned();
                let item = Item {
                    split: Some(split.to_owned()),
                    kind,
                    category: row.optional("class1"),
                    ..question(format!("spa-vl-{split}-{number}"), images, words)
                };
                reader.add(&row, item)?;
                number += 1;
            }
        }
    }
    Ok(())
}
