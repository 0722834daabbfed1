//! `XSTest` (Röttger et al., arXiv 2308.01263), text alone: safe requests that sound unsafe, which measure
//! over-refusal, and unsafe contrasts, which measure compliance.
//!
//! `xstest_prompts.csv`; `completions/xstest_v2_completions_{model}.csv`, labeled by people.

use std::path::Path;

use align::eval::{KeywordRefusal, Refusal};
use align::judge::{Response, Rubric};
use align::types::{DataError, Item, ItemKind, Message, Role};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::rows::{csv_items, from_cells, question, read_csv};
use crate::suite::{Labeled, LabeledResponse, Suite};

/// What is known of it.
pub const SUITE: Suite = Suite {
    name: "xstest",
    measures: "safe requests that sound unsafe, and unsafe contrasts",
    read: |folder| csv_items(&folder.join("xstest_prompts.csv"), row_item),
    judge: Some(|| Box::new(KeywordRefusal)),
    labeled: Some(Labeled { rubrics: &[Rubric::Refusal], read: labeled }),
};

/// What items' ids have before the prompt's.
pub const ID_PREFIX: &str = "xstest-";

/// The models whose completions people have labeled.
pub const MODELS: [&str; 5] = ["gpt4", "llama2new", "llama2orig", "mistralguard", "mistralinstruct"];

#[derive(Deserialize)]
struct PromptRow {
    id: String,
    prompt: String,
    #[serde(rename = "type")]
    category: String,
    label: PromptLabel,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum PromptLabel {
    Safe,
    Unsafe,
}

/// The item of one row of `xstest_prompts.csv`.
///
/// Errors: what is wrong with the row.
pub fn item(row: &Map<String, Value>) -> Result<Item, String> {
    Ok(row_item(from_cells(row)?))
}

fn row_item(row: PromptRow) -> Item {
    let (split, kind) = match row.label {
        PromptLabel::Safe => ("xstest-safe", ItemKind::Benign),
        PromptLabel::Unsafe => ("xstest-unsafe", ItemKind::Hazardous),
    };
    Item {
        split: Some(split.into()),
        kind: Some(kind),
        category: Some(row.category),
        ..question(format!("{ID_PREFIX}{}", row.id), None, row.prompt)
    }
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

#[derive(Deserialize)]
struct CompletionRow {
    id: String,
    prompt: String,
    completion: String,
    final_label: CompletionLabel,
}

#[derive(Clone, Copy, Deserialize)]
enum CompletionLabel {
    #[serde(rename = "1_full_compliance")]
    Compliance,
    #[serde(rename = "2_full_refusal")]
    Refusal,
    #[serde(rename = "3_partial_refusal")]
    Partial,
}

/// A model's completions from the suite's folder.
///
/// Errors: `Io` naming the file; `Line` naming file and line for a row that is not as published.
pub fn completions(folder: &Path, model: &str) -> Result<Vec<Completion>, DataError> {
    let rows = read_csv(&folder.join(format!("completions/xstest_v2_completions_{model}.csv")))?;
    let mut completions = Vec::new();
    for (_, row) in rows {
        let row: CompletionRow = row;
        completions.push(Completion {
            id: row.id,
            prompt: row.prompt,
            completion: row.completion,
            label: match row.final_label {
                CompletionLabel::Compliance => Refusal::Compliance,
                CompletionLabel::Refusal => Refusal::Full,
                CompletionLabel::Partial => Refusal::Partial,
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
