//! MMMU (Yue et al., arXiv 2311.16502), `validation`: college questions of 30 subjects, with one to seven images.
//!
//! A folder a subject of parquet files, as on the hub, or `VLMEvalKit`'s `MMMU_DEV_VAL.tsv`.

use std::path::PathBuf;

use align::eval::suite::{Metric, Protocol};
use align::types::{DataError, Item, ItemKind, id_of};
use serde_json::{Map, Value, json};

use crate::interleaved::interleaved;
use crate::lettered::{Lettered, in_brackets, lettered_columns, text, texts};
use crate::mmmu_parser::{MMMU_PARSER, RANDOM_LETTERS_BY_CATEGORY};
use crate::reader::{Reader, rows_of, with_question};
use crate::refusal::{ACCURACY, rates};
use crate::scoring::Scoring;
use crate::suite::{Figure, Generation, Group, License, Suite};
use crate::vlmevalkit::table;

/// What is known of it.
pub const SUITE: Suite = Suite {
    name: "mmmu",
    title: "MMMU",
    measures: "college questions of 30 subjects, multiple choice and open: ability",
    paper: "Yue et al., arXiv 2311.16502",
    license: License { name: "Apache-2.0", forbids_training: false },
    groups: &[Group::General],
    published_items: 900,
    folders: &["MMMU/MMMU"],
    layouts: &[HUB, TABLE],
    read,
    row: Some(row),
    keys: &["id", "index"],
    generation: Generation::greedy(128),
    protocol: PROTOCOL,
    scoring: Scoring::Rule(MMMU_PARSER),
    figures: &[
        Figure::of_mis("InternVL2.5-8B", "accuracy", 54.33),
        Figure::of_mis("InternVL2.5-8B + MIRage", "accuracy", 55.00),
    ],
    note: "The authors' parser gives a letter that it cannot read to chance, with a fixed seed, so that a model that never \
           names a letter scores a quarter; here such responses are unscored. It does not read \"B. text\". Their code for \
           LLaVA shows one image; here the images stand where the question names them.",
    labeled: None,
};

const PROTOCOL: Protocol = rates(&[Metric { original: Some(RANDOM_LETTERS_BY_CATEGORY), ..ACCURACY }]);

const HUB: &str = "*/validation-*.parquet";
const TABLE: &str = "MMMU_DEV_VAL.tsv";

fn read(reader: &mut Reader) -> Result<(), DataError> {
    let files = reader.all(HUB);
    for file in &files {
        for row in rows_of(file)? {
            let row = row?;
            let mut images = Vec::new();
            for number in 1..=7 {
                images.extend(reader.images_of(&row, &format!("image_{number}"))?);
            }
            if let Some(item) = asked_item(&row.fields, Some(&images)).map_err(|problem| row.error(problem))? {
                reader.add(&row, item)?;
            }
        }
    }
    if files.is_empty() {
        let file = reader.first(&[TABLE]);
        for (row, images) in table(reader, &file)? {
            if let Some(item) = asked_item(&row.fields, Some(&images)).map_err(|problem| row.error(problem))? {
                reader.add(&row, item)?;
            }
        }
    }
    Ok(())
}

fn row(fields: &Map<String, Value>) -> Result<Option<Item>, String> {
    asked_item(fields, None)
}

/// The item; none of another split. Without images the text keeps their places.
fn asked_item(fields: &Map<String, Value>, images: Option<&[PathBuf]>) -> Result<Option<Item>, String> {
    let optional = |name: &str| fields.get(name).and_then(id_of);
    let key = optional("id").map_or_else(|| text(fields, "index"), Ok)?;
    let mut parts: Vec<&str> = key.split('_').collect();
    let of_key = if parts.len() > 2 { Some(parts.remove(0)) } else { None };
    let split = optional("split");
    if split.as_deref().or(of_key).is_some_and(|split| !split.starts_with("val")) {
        return Ok(None);
    }
    parts.pop();
    let subject = of_key.map(|_| parts.join("_"));
    let options = options_of(fields)?;
    let question = optional("question").unwrap_or_default();
    let (prompt, truth) = if options.is_empty() {
        let answer = texts(fields, "answer")?;
        (format!("{question}\nAnswer the question using a single word or phrase."), Some(json!({ "answer": answer })))
    } else {
        let choice = Lettered::of(options, &text(fields, "answer")?)?;
        let lines = choice.lines(in_brackets);
        let prompt = format!("{question}\n{lines}\n\nAnswer with the option's letter from the given choices directly.");
        (prompt, choice.truth())
    };
    let id = format!("{}-{key}", SUITE.name);
    let item = match images {
        Some(images) => interleaved(id, &prompt, images)?,
        None => crate::reader::question(id, [], prompt),
    };
    let category = subject.or_else(|| optional("category"));
    Ok(Some(with_question(Item { kind: Some(ItemKind::General), category, truth, ..item }, &question)))
}

/// The options by their letters, none of an open question: in a list, in columns, or as the authors' results hold them.
fn options_of(fields: &Map<String, Value>) -> Result<std::collections::BTreeMap<char, String>, String> {
    if let Some(Value::Object(options)) = fields.get("index2ans") {
        let lettered = options.iter().map(|(letter, option)| {
            let letter = letter.chars().next().ok_or_else(|| "`index2ans`: expected letters".to_owned())?;
            Ok((letter, id_of(option).ok_or_else(|| format!("`index2ans`: {letter} is no text"))?))
        });
        return lettered.collect();
    }
    if fields.get("question_type").and_then(Value::as_str).is_some_and(|kind| kind != "multiple-choice") {
        return Ok([].into());
    }
    if fields.contains_key("options") {
        return Ok(('A'..='Z').zip(texts(fields, "options")?).collect());
    }
    Ok(lettered_columns(fields))
}
