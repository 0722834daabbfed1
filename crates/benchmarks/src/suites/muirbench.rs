//! `MuirBench` (Wang et al., arXiv 2406.09411): multiple choice over several images, in twelve tasks, each answerable
//! question beside one that is not.
//!
//! The hub's `test` as parquet, or `VLMEvalKit`'s `MUIRBench.tsv`.

use std::path::PathBuf;

use align::eval::suite::Metric;
use align::types::{DataError, Item, ItemKind, id_of};
use serde_json::{Map, Value};

use crate::interleaved::interleaved;
use crate::lettered::{Lettered, in_brackets, lettered_columns, text, texts};
use crate::mmmu_parser::{MMMU_PARSER, RANDOM_LETTERS};
use crate::reader::{Reader, question, rows_of, with_question};
use crate::refusal::{ACCURACY, rates};
use crate::scoring::Scoring;
use crate::suite::{Figure, Generation, Group, License, Suite};
use crate::vlmevalkit::table;

/// What is known of it.
pub const SUITE: Suite = Suite {
    name: "muirbench",
    title: "MuirBench",
    measures: "multiple choice over several images: ability",
    paper: "Wang et al., arXiv 2406.09411",
    license: License { name: "none stated", forbids_training: false },
    groups: &[Group::General],
    published_items: 2600,
    folders: &["MUIRBENCH/MUIRBENCH"],
    layouts: &[HUB, TABLE],
    read,
    row: Some(row),
    keys: &["idx", "index"],
    generation: Generation::greedy(16),
    protocol: rates(&[Metric { original: Some(RANDOM_LETTERS), ..ACCURACY }]),
    scoring: Scoring::Rule(MMMU_PARSER),
    figures: &[
        Figure::of_mis("InternVL2.5-8B", "accuracy", 51.35),
        Figure::of_mis("InternVL2.5-8B + MIRage", "accuracy", 54.15),
    ],
    note: "The authors use MMMU's parser, which gives a letter that it cannot read to chance, with a fixed seed; here such \
           responses are unscored.",
    labeled: None,
};

const HUB: &str = "data/test-*.parquet";
const TABLE: &str = "MUIRBench.tsv";

fn read(reader: &mut Reader) -> Result<(), DataError> {
    let files = reader.all(HUB);
    for file in &files {
        for row in rows_of(file)? {
            let row = row?;
            let images = reader.images_of(&row, "image_list")?;
            let item = asked_item(&row.fields, Some(&images)).map_err(|problem| row.error(problem))?;
            reader.add(&row, item)?;
        }
    }
    if files.is_empty() {
        let file = reader.first(&[TABLE]);
        for (row, images) in table(reader, &file)? {
            let item = asked_item(&row.fields, Some(&images)).map_err(|problem| row.error(problem))?;
            reader.add(&row, item)?;
        }
    }
    Ok(())
}

fn row(fields: &Map<String, Value>) -> Result<Option<Item>, String> {
    asked_item(fields, None).map(Some)
}

/// The item. Without images the text keeps their places.
fn asked_item(fields: &Map<String, Value>, images: Option<&[PathBuf]>) -> Result<Item, String> {
    let optional = |name: &str| fields.get(name).and_then(id_of);
    let columns = lettered_columns(fields);
    let answer = text(fields, "answer")?;
    let choice = if columns.is_empty() {
        Lettered::in_order(texts(fields, "options")?, &answer)?
    } else {
        Lettered::of(columns, &answer)?
    };
    let asked = text(fields, "question")?;
    let prompt = format!(
        "Question: {asked}\nChoices:\n{}\nHint: Please provide the correct option letter, such as A, B, C, D, \
         directly.\nAnswer:",
        choice.lines(in_brackets),
    );
    let id = |key: &str| format!("{}-{key}", SUITE.name);
    let key = optional("idx").map_or_else(|| text(fields, "index"), Ok)?;
    let item = match images {
        Some(images) => interleaved(id(&key), &prompt, images)?,
        None => question(id(&key), [], prompt),
    };
    // Of a pair the question that cannot be answered points to the one that can.
    let right = choice.options.iter().find(|(letter, _)| choice.is_right(**letter));
    let is_unanswerable = right.is_some_and(|(_, option)| option.to_lowercase().starts_with("none of the"));
    let counterpart = optional("counterpart_idx").filter(|_| is_unanswerable);
    let item = Item {
        kind: Some(ItemKind::General),
        category: optional("task").or_else(|| optional("category")),
        twin_of: counterpart.filter(|counterpart| !counterpart.starts_with('-')).map(|counterpart| id(&counterpart)),
        truth: choice.truth(),
        ..item
    };
    Ok(with_question(item, &asked))
}
