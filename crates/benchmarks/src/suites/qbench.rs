//! Q-Bench (Wu et al., arXiv 2309.14181): multiple choice on how an image looks, and Q-Bench2 (arXiv 2402.07116) on two
//! images side by side.
//!
//! The hub's `dev` and `test` as parquet, or `VLMEvalKit`'s tables.

use std::path::PathBuf;

use align::eval::suite::{Metric, Protocol};
use align::types::{DataError, Item, ItemKind, id_of};
use serde_json::{Map, Value};

use crate::lettered::{Lettered, lettered_columns, text, with_period};
use crate::reader::{Reader, question, rows_of, with_question};
use crate::refusal::{ACCURACY, rates};
use crate::scoring::Scoring;
use crate::suite::{Figure, Generation, Group, License, Suite};
use crate::vlmevalkit::table;
use crate::vlmevalkit_match::{UNREAD_IS_WRONG, VLMEVALKIT_MATCH};

/// What is known of Q-Bench.
pub const SUITE: Suite = Suite {
    name: "q-bench",
    title: "Q-Bench",
    measures: "multiple choice on how an image looks: ability",
    paper: "Wu et al., arXiv 2309.14181",
    license: LICENSE,
    groups: &[Group::General],
    published_items: 2990,
    folders: &["q-future/Q-Bench-HF", "zhangzicheng/qbench_tsv"],
    layouts: &["data/dev-*.parquet", "data/test-*.parquet", "Q-Bench1_VAL.tsv", "Q-Bench1_TEST.tsv"],
    read,
    row: Some(|fields| asked_item("q-bench", fields, None, Vec::new())),
    keys: &["id", "index"],
    generation: Generation::greedy(32),
    protocol: PROTOCOL,
    scoring: Scoring::Rule(VLMEVALKIT_MATCH),
    figures: &[
        Figure::of_mis("InternVL2.5-8B", "accuracy", 73.11),
        Figure::of_mis("InternVL2.5-8B + MIRage", "accuracy", 73.31),
    ],
    note: NOTE,
    labeled: None,
};

/// What is known of Q-Bench2.
pub const PAIRS: Suite = Suite {
    name: "q-bench2",
    title: "Q-Bench2",
    measures: "multiple choice on how two images look: ability",
    paper: "Zhang et al., arXiv 2402.07116",
    groups: &[],
    published_items: 1999,
    folders: &["q-future/Q-Bench2-HF"],
    layouts: &["data/dev-*.parquet", "data/test-*.parquet"],
    read: read_pairs,
    row: Some(|fields| asked_item("q-bench2", fields, None, Vec::new())),
    figures: &[],
    ..SUITE
};

const PROTOCOL: Protocol = rates(&[Metric { original: Some(UNREAD_IS_WRONG), ..ACCURACY }]);
const LICENSE: License = License { name: "S-Lab License 1.0, non-commercial", forbids_training: false };
const NOTE: &str = "The authors have a judge match answers with options; here they are matched as VLMEvalKit does without a \
                    judge, and those that it cannot read are unscored. Rows without an answer are left out.";

const SPLITS: [(&str, &str, &str); 2] =
    [("dev", "data/dev-*.parquet", "Q-Bench1_VAL.tsv"), ("test", "data/test-*.parquet", "Q-Bench1_TEST.tsv")];

fn read(reader: &mut Reader) -> Result<(), DataError> {
    read_columns(reader, "q-bench", &["image"])?;
    for (split, _, name) in SPLITS {
        for file in reader.all(name) {
            for (row, images) in table(reader, &file)? {
                let item = asked_item("q-bench", &row.fields, Some(split), images);
                if let Some(item) = item.map_err(|problem| row.error(problem))? {
                    reader.add(&row, item)?;
                }
            }
        }
    }
    Ok(())
}

fn read_pairs(reader: &mut Reader) -> Result<(), DataError> {
    read_columns(reader, "q-bench2", &["image1", "image2"])
}

/// The hub's rows, whose images are in these columns.
fn read_columns(reader: &mut Reader, suite: &str, columns: &[&str]) -> Result<(), DataError> {
    for (split, pattern, _) in SPLITS {
        for file in reader.all(pattern) {
            for row in rows_of(&file)? {
                let row = row?;
                let mut images = Vec::new();
                for column in columns {
                    images.extend(reader.images_of(&row, column)?);
                }
                let item = asked_item(suite, &row.fields, Some(split), images);
                if let Some(item) = item.map_err(|problem| row.error(problem))? {
                    reader.add(&row, item)?;
                }
            }
        }
    }
    Ok(())
}

/// The item; none without an answer. Of a row of results the split is in it, or not known.
fn asked_item(
    suite: &str,
    fields: &Map<String, Value>,
    split: Option<&str>,
    images: Vec<PathBuf>,
) -> Result<Option<Item>, String> {
    let optional = |name: &str| fields.get(name).and_then(id_of).filter(|text| text != "N/A");
    let Some(answer) = optional("correct_choice").or_else(|| optional("answer")) else {
        return Ok(None);
    };
    let mut options = lettered_columns(fields);
    if options.is_empty() {
        options = ('A'..='D').zip((0..4).map_while(|number| optional(&format!("option{number}")))).collect();
    }
    options.retain(|_, option| option != "N/A");
    let choice = Lettered::of(options, &answer)?;
    let lines = choice.lines(with_period);
    let asked = text(fields, "question")?;
    let prompt = format!("{asked}\n{lines}\nAnswer with the option's letter from the given choices directly.\n");
    let split = split.map(str::to_owned).or_else(|| optional("split"));
    let key = optional("id").map_or_else(|| text(fields, "index"), Ok)?;
    let id = [Some(suite), split.as_deref(), Some(&key)].into_iter().flatten().collect::<Vec<_>>().join("-");
    let item = Item {
        split,
        kind: Some(ItemKind::General),
        category: optional("question_concern").map(concern).or_else(|| optional("category")),
        truth: choice.truth(),
        ..question(id, images, prompt)
    };
    Ok(Some(with_question(item, &asked)))
}

/// What a question is about, by its number.
fn concern(number: String) -> String {
    let names = ["global distortion", "global other", "local distortion", "local other"];
    let name = number.parse::<usize>().ok().and_then(|number| names.get(number));
    name.map_or(number, |name| (*name).to_owned())
}
