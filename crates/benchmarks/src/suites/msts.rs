//! MSTS (Röttger et al., arXiv 2501.10057): prompts that are hazardous with an image, and the same in words alone.
//!
//! `prompts_english_{multimodal,textonly}.csv` or, as in the authors' repository, `data/prompts/english_{...}.csv`. The
//! images are on other people's servers; where the user has them, they are in `images/` or, as the authors' script puts
//! them, in `data/unsafe_images/`, by `unsafe_image_id`. `responses_english_multimodal.csv` or
//! `data/response_annotations/english_multimodal.csv` are labeled by people.

use std::path::{Path, PathBuf};

use align::judge::{Response, Rubric};
use align::types::{DataError, Item, ItemKind, Message, Role};

use crate::reader::{Reader, question, rows_of};
use crate::refusal::{ATTACK_SUCCESS, rates};
use crate::scoring::Scoring;
use crate::shown_harm::shown_harm;
use crate::suite::{Generation, Labeled, LabeledResponse, License, Suite};

/// What is known of it: both kinds of prompts, for which the images must be there.
pub const SUITE: Suite = Suite {
    name: "msts",
    title: "MSTS",
    measures: "prompts that are hazardous with an image, and the same in words",
    paper: "Röttger et al., arXiv 2501.10057",
    license: License { name: "CC BY 4.0", forbids_training: false },
    groups: &[],
    published_items: 800,
    folders: &["paul-rottger/msts-multimodal-safety"],
    layouts: &["prompts_english_multimodal.csv", "data/prompts/english_multimodal.csv"],
    read: |reader| {
        read(reader, "multimodal", "msts-multimodal")?;
        read(reader, "textonly", "msts-textonly")
    },
    row: None,
    keys: &["prompt_id", "id"],
    generation: Generation::greedy(1024),
    protocol: rates(&[ATTACK_SUCCESS]),
    scoring: Scoring::Judged { questions: &[shown_harm(|_| true)], stand_in: None },
    figures: &[],
    note: "The authors have people label responses, and publish no judge that does as well; here a judge sees image, prompt \
           and response. Their images are on other people's servers, some of which are gone.",
    labeled: Some(Labeled { rubrics: &[Rubric::Mis, Rubric::Safer, Rubric::Scale], read: labeled }),
};

/// The prompts in words alone, which need no images.
pub const TEXT: Suite = Suite {
    name: "msts-text",
    title: "MSTS, text only",
    measures: "hazardous prompts in words alone",
    published_items: 400,
    folders: &["msts", "paul-rottger/msts-multimodal-safety"],
    layouts: &["prompts_english_textonly.csv", "data/prompts/english_textonly.csv"],
    read: |reader| read(reader, "textonly", "msts-text"),
    labeled: None,
    ..SUITE
};

const IMAGES: [&str; 2] = ["images", "data/unsafe_images"];
const RESPONSES: [&str; 2] = ["responses_english_multimodal.csv", "data/response_annotations/english_multimodal.csv"];

/// Adds the prompts of a split. An id may be in both.
fn read(reader: &mut Reader, split: &str, prefix: &str) -> Result<(), DataError> {
    let names = [format!("data/prompts/english_{split}.csv"), format!("prompts_english_{split}.csv")];
    let file = reader.first(&names.each_ref().map(String::as_str));
    let has_images = IMAGES.iter().any(|folder| reader.folder().join(folder).is_dir());
    if split == "multimodal" && !has_images {
        let folder = reader.folder().display();
        let hint = "hint: get them as the authors' src/0_download_images.py does, or evaluate on msts-text";
        reader.unshown(format!("{folder}: MSTS is published without its images: expected images/ here\n{hint}"));
    }
    for row in rows_of(&file)? {
        let row = row?;
        let image = row.optional("unsafe_image_id").filter(|_| has_images).map(|name| image(reader, &name));
        let item = Item {
            split: Some(split.to_owned()),
            kind: Some(ItemKind::Hazardous),
            category: row.optional("hazard_category"),
            ..question(format!("{prefix}-{}", row.text("prompt_id")?), image, row.text("prompt_text")?)
        };
        reader.add(&row, item)?;
    }
    Ok(())
}

/// The image of this name, in whichever kind of file it is there.
fn image(reader: &Reader, name: &str) -> PathBuf {
    let images = IMAGES.iter().flat_map(|folder| reader.all(&format!("{folder}/{name}.*")));
    images.into_iter().next().unwrap_or_else(|| reader.image(&IMAGES, &format!("{name}.jpg")))
}

/// A prompt whose image is not published: what it shows in words, then the text.
pub fn with_image_in_words(description: &str, text: &str) -> String {
    format!("[image: {description}] {text}")
}

/// Responses of ten models to 400 prompts. An unsafe one is positive.
fn labeled(folder: &Path) -> Result<Vec<LabeledResponse>, DataError> {
    let mut responses = Vec::new();
    let files = RESPONSES.map(|file| folder.join(file));
    for row in rows_of(files.iter().find(|file| file.is_file()).unwrap_or(&files[0]))? {
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
