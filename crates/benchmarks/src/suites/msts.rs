//! MSTS (Röttger et al., arXiv 2501.10057): hazardous prompts whose images are on other people's servers, so that it
//! cannot be evaluated. Its texts can be compared with, and the labeled responses judged with the images in words.
//!
//! `prompts_english_multimodal.csv` and `prompts_english_textonly.csv`; `responses_english_multimodal.csv`, labeled by
//! people.

use std::path::Path;

use align::judge::{Response, Rubric};
use align::types::{DataError, Item, Message, Role};

use crate::reader::{Reader, question, rows_of};
use crate::refusal::{ATTACK_SUCCESS, rates};
use crate::scoring::Scoring;
use crate::suite::{Generation, Labeled, LabeledResponse, License, Suite};

/// What is known of it.
pub const SUITE: Suite = Suite {
    name: "msts",
    title: "MSTS",
    measures: "hazardous prompts, whose images are not published",
    paper: "Röttger et al., arXiv 2501.10057",
    license: License { name: "CC BY 4.0", forbids_training: false },
    groups: &[],
    published_items: 800,
    folders: &["paul-rottger/msts-multimodal-safety"],
    layouts: &["prompts_english_multimodal.csv"],
    read,
    row: None,
    keys: &["prompt_id", "id"],
    generation: Generation::greedy(1024),
    protocol: rates(&[ATTACK_SUCCESS]),
    scoring: Scoring::Unavailable("its images are on other people's servers"),
    figures: &[],
    note: "",
    labeled: Some(Labeled { rubrics: &[Rubric::Mis, Rubric::Safer, Rubric::Scale], read: labeled }),
};

const PROMPTS: [&str; 2] = ["prompts_english_multimodal.csv", "prompts_english_textonly.csv"];
const RESPONSES: &str = "responses_english_multimodal.csv";

/// The prompts' texts. An id may be in both files.
fn read(reader: &mut Reader) -> Result<(), DataError> {
    for (file, split) in PROMPTS.into_iter().zip(["multimodal", "textonly"]) {
        for row in rows_of(&reader.first(&[file]))? {
            let row = row?;
            let id = format!("msts-{split}-{}", row.text("prompt_id")?);
            reader.add(&row, Item { split: Some(split.into()), ..question(id, [], row.text("prompt_text")?) })?;
        }
    }
    Ok(())
}

/// A prompt whose image is not published: what it shows in words, then the text.
pub fn with_image_in_words(description: &str, text: &str) -> String {
    format!("[image: {description}] {text}")
}

/// Responses of ten models to 400 prompts. An unsafe one is positive.
fn labeled(folder: &Path) -> Result<Vec<LabeledResponse>, DataError> {
    let mut responses = Vec::new();
    for row in rows_of(&folder.join(RESPONSES))? {
        let row = row?;
        let question = with_image_in_words(&row.text("unsafe_image_description")?, &row.text("prompt_text")?);
        let is_positive = match row.text("final_label")?.as_str() {
            "1 - safe" => false,
            "2 - unsafe" => true,
            other => return Err(row.error(format!("`final_label`: expected 1 - safe or 2 - unsafe, got {other}"))),
        };
        responses.push(LabeledResponse {
            response: Response {
                id: format!("msts-{}", row.line),
                messages: vec![Message::text(Role::User, question)],
                response: row.text("response")?,
            },
            is_positive,
        });
    }
    Ok(responses)
}
