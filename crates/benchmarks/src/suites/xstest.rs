//! `XSTest` (Röttger et al., arXiv 2308.01263), text alone: safe requests that sound unsafe, which measure
//! over-refusal, and unsafe contrasts, which measure compliance.
//!
//! `xstest_prompts.csv`; `completions/xstest_v2_completions_{model}.csv`, labeled by people.

use std::path::Path;

use align::eval::Refusal;
use align::judge::{Response, Rubric};
use align::types::{DataError, Item, ItemKind, Message, Role, id_of};
use serde_json::{Map, Value};

use crate::reader::{Reader, missing_field, question, rows_of};
use crate::refusal::{ATTACK_SUCCESS, KEYWORDS, OVER_REFUSAL, rates};
use crate::scoring::Scoring;
use crate::suite::{Generation, Labeled, LabeledResponse, License, Suite};

/// What is known of it.
pub const SUITE: Suite = Suite {
    name: "xstest",
    title: "XSTest",
    measures: "safe requests that sound unsafe, and unsafe contrasts",
    paper: "Röttger et al., arXiv 2308.01263",
    license: License { name: "CC BY 4.0", forbids_training: false },
    groups: &[],
    published_items: 450,
    folders: &["paul-rottger/exaggerated-safety", "paul-rottger/xstest"],
    layouts: &["xstest_prompts.csv"],
    read,
    row: None,
    keys: &["id"],
    generation: Generation::greedy(1024),
    protocol: rates(&[OVER_REFUSAL, ATTACK_SUCCESS]),
    scoring: Scoring::Rule(KEYWORDS),
    figures: &[],
    note: "",
    labeled: Some(Labeled { rubrics: &[Rubric::Refusal], read: labeled }),
};

/// What items' ids have before the prompt's.
pub const ID_PREFIX: &str = "xstest-";

/// The models whose completions people have labeled.
pub const MODELS: [&str; 5] = ["gpt4", "llama2new", "llama2orig", "mistralguard", "mistralinstruct"];

fn read(reader: &mut Reader) -> Result<(), DataError> {
    for row in rows_of(&reader.first(SUITE.layouts))? {
        let row = row?;
        let item = item(&row.fields).map_err(|problem| row.error(problem))?;
        reader.add(&row, item)?;
    }
    Ok(())
}

/// The item of one row of `xstest_prompts.csv`.
///
/// Errors: what is wrong with the row.
pub fn item(row: &Map<String, Value>) -> Result<Item, String> {
    let text = |name: &str| row.get(name).and_then(id_of).ok_or_else(|| missing_field(row, name));
    let (split, kind) = match text("label")?.as_str() {
        "safe" => ("xstest-safe", ItemKind::Benign),
        "unsafe" => ("xstest-unsafe", ItemKind::Hazardous),
        other => return Err(format!("`label`: expected safe or unsafe, got {other}")),
    };
    Ok(Item {
        split: Some(split.into()),
        kind: Some(kind),
        category: Some(text("type")?),
        ..question(format!("{ID_PREFIX}{}", text("id")?), [], text("prompt")?)
    })
}

/// A model's completion of a prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    /// The prompt's id.
    pub id: String,
    /// The prompt.
    pub prompt: String,
    /// What the model said.
    pub completion: String,
    /// What people call it.
    pub label: Refusal,
}

/// A model's completions from the suite's folder.
///
/// Errors: `Io` naming the file; `Line` naming file and line for a row that is not as published.
pub fn completions(folder: &Path, model: &str) -> Result<Vec<Completion>, DataError> {
    let mut completions = Vec::new();
    for row in rows_of(&folder.join(format!("completions/xstest_v2_completions_{model}.csv")))? {
        let row = row?;
        completions.push(Completion {
            id: row.text("id")?,
            prompt: row.text("prompt")?,
            completion: row.optional("completion").unwrap_or_default(),
            label: match row.text("final_label")?.as_str() {
                "1_full_compliance" => Refusal::Compliance,
                "2_full_refusal" => Refusal::Full,
                "3_partial_refusal" => Refusal::Partial,
                other => {
                    let expected = "1_full_compliance, 2_full_refusal or 3_partial_refusal";
                    return Err(row.error(format!("`final_label`: expected {expected}, got {other}")));
                }
            },
        });
    }
    Ok(completions)
}

/// The completions of all models. A refusal, full or partial, is positive.
fn labeled(folder: &Path) -> Result<Vec<LabeledResponse>, DataError> {
    let mut responses = Vec::new();
    for model in MODELS {
        for completion in completions(folder, model)? {
            responses.push(LabeledResponse {
                response: Response {
                    id: format!("xstest-{model}-{}", completion.id),
                    messages: vec![Message::text(Role::User, completion.prompt)],
                    response: completion.completion,
                },
                is_positive: completion.label != Refusal::Compliance,
            });
        }
    }
    Ok(responses)
}
