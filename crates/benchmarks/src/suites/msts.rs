//! MSTS (Röttger et al., arXiv 2501.10057): hazardous prompts whose images are on other people's servers, so that it
//! cannot be evaluated. Its texts can be compared with, and the labeled responses judged with the images in words.
//!
//! `prompts_english_multimodal.csv` and `prompts_english_textonly.csv`; `responses_english_multimodal.csv`, labeled by
//! people.

use std::path::Path;

use align::judge::{Response, Rubric};
use align::types::{DataError, Item, Message, Role};
use serde::Deserialize;

use crate::rows::{question, read_csv};
use crate::suite::{Labeled, LabeledResponse, Suite};

/// What is known of it.
pub const SUITE: Suite = Suite {
    name: "msts",
    measures: "hazardous prompts, whose images are not published",
    read: prompts,
    judge: None,
    labeled: Some(Labeled { rubrics: &[Rubric::Mis, Rubric::Safer, Rubric::Scale], read: labeled }),
};

const PROMPTS: [&str; 2] = ["prompts_english_multimodal.csv", "prompts_english_textonly.csv"];
const RESPONSES: &str = "responses_english_multimodal.csv";

#[derive(Deserialize)]
struct PromptRow {
    prompt_id: String,
    prompt_text: String,
}

/// The prompts' texts. An id may be in both files.
fn prompts(folder: &Path) -> Result<Vec<Item>, DataError> {
    let mut items = Vec::new();
    for file in PROMPTS {
        for (_, row) in read_csv(&folder.join(file))? {
            let row: PromptRow = row;
            items.push(question(row.prompt_id, None, row.prompt_text));
        }
    }
    Ok(items)
}

/// A prompt whose image is not published: what it shows in words, then the text.
pub fn with_image_in_words(description: &str, text: &str) -> String {
    format!("[image: {description}] {text}")
}

#[derive(Deserialize)]
struct ResponseRow {
    prompt_text: String,
    unsafe_image_description: String,
    response: String,
    final_label: Label,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
enum Label {
    #[serde(rename = "1 - safe")]
    Safe,
    #[serde(rename = "2 - unsafe")]
    Unsafe,
}

/// Responses of ten models to 400 prompts. An unsafe one is positive.
fn labeled(folder: &Path) -> Result<Vec<LabeledResponse>, DataError> {
    let mut responses = Vec::new();
    for (line, row) in read_csv(&folder.join(RESPONSES))? {
        let row: ResponseRow = row;
        let question = with_image_in_words(&row.unsafe_image_description, &row.prompt_text);
        responses.push(LabeledResponse {
            response: Response {
                id: format!("msts-{line}"),
                messages: vec![Message::text(Role::User, question)],
                response: row.response,
            },
            is_positive: row.final_label == Label::Unsafe,
        });
    }
    Ok(responses)
}
