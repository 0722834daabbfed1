//! MMT-Bench (Ying et al., arXiv 2404.16006), its validation split: multiple choice in 162 subtasks of 32 tasks.
//!
//! `MMT-Bench_VAL.tsv`, where several images are one, and `MMT-Bench_VAL_MI.tsv`, where they are apart.

use std::path::PathBuf;

use align::eval::suite::{Better, Combined, CombinedOf, Metric, Protocol};
use align::types::{DataError, Item, ItemKind, id_of};
use serde_json::{Map, Value};

use crate::lettered::{Lettered, lettered_columns, text, with_period};
use crate::reader::{Reader, question, with_question};
use crate::refusal::{ACCURACY, rates};
use crate::scoring::Scoring;
use crate::suite::{Figure, Generation, Group, License, Suite};
use crate::vlmevalkit::table;
use crate::vlmevalkit_match::{UNREAD_IS_WRONG, VLMEVALKIT_MATCH};

/// What is known of it.
pub const SUITE: Suite = Suite {
    name: "mmt-bench",
    title: "MMT-Bench",
    measures: "multiple choice in 162 subtasks: ability",
    paper: "Ying et al., arXiv 2404.16006",
    license: License { name: "none stated", forbids_training: false },
    groups: &[Group::General],
    published_items: 3127,
    folders: &["OpenGVLab/MMT-Bench", "Kaining/MMT-Bench"],
    layouts: &["MMT-Bench_VAL.tsv", "MMT-Bench_VAL_MI.tsv"],
    read,
    row: Some(|fields| asked_item(fields, None, Vec::new())),
    keys: &["index"],
    generation: Generation::greedy(1024),
    protocol: PROTOCOL,
    scoring: Scoring::Rule(VLMEVALKIT_MATCH),
    figures: &[
        Figure::of_mis("InternVL2.5-8B", "accuracy", 60.70),
        Figure::of_mis("InternVL2.5-8B + MIRage", "accuracy", 60.92),
    ],
    note: "VLMEvalKit has a judge match what it cannot read, and takes a random letter where that fails; without a judge it \
           is wrong. Here it is unscored.",
    labeled: None,
};

const PROTOCOL: Protocol = Protocol {
    combined: &[Combined {
        name: "mean_of_subtasks",
        heading: "Mean of subtasks",
        better: Better::Higher,
        of: CombinedOf::Categories("accuracy"),
    }],
    ..rates(&[Metric { original: Some(UNREAD_IS_WRONG), ..ACCURACY }])
};

fn read(reader: &mut Reader) -> Result<(), DataError> {
    for split in ["VAL", "VAL_MI"] {
        for file in reader.all(&format!("MMT-Bench_{split}.tsv")) {
            for (row, images) in table(reader, &file)? {
                let item = asked_item(&row.fields, Some(split), images).map_err(|problem| row.error(problem))?;
                if let Some(item) = item {
                    reader.add(&row, item)?;
                }
            }
        }
    }
    Ok(())
}

/// The item; none without an answer. Of a row of results the split is not known.
fn asked_item(fields: &Map<String, Value>, split: Option<&str>, images: Vec<PathBuf>) -> Result<Option<Item>, String> {
    let optional = |name: &str| fields.get(name).and_then(id_of);
    let Some(answer) = optional("answer") else {
        return Ok(None);
    };
    let choice = Lettered::of(lettered_columns(fields), &answer)?;
    let hint = optional("hint").map_or_else(String::new, |hint| format!("Hint: {hint}\n"));
    let lines = choice.lines(with_period);
    let asked = text(fields, "question")?;
    let prompt = format!(
        "{hint}Question: {asked}\nOptions:\n{lines}\nPlease select the correct answer from the options above. \n"
    );
    let key = text(fields, "index")?;
    let id = [Some(SUITE.name), split, Some(&key)].into_iter().flatten().collect::<Vec<_>>().join("-");
    let item = Item {
        split: split.map(str::to_owned),
        kind: Some(ItemKind::General),
        category: optional("category"),
        truth: choice.truth(),
        ..question(id, images, prompt)
    };
    Ok(Some(with_question(item, &asked)))
}
