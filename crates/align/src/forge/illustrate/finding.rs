//! Images found in a folder: the judge chooses.

use std::cmp::Reverse;
use std::path::PathBuf;

use serde_json::json;

use super::wanted::{ImageSource, Wanted, check, keep, put};
use crate::forge::asking::{Asked, Question, spaced};
use crate::forge::draft::Draft;
use crate::forge::job::{Forge, ForgeError};
use crate::forge::prompt::PromptTemplate;
use crate::paint::Painting;
use crate::progress::Progress;
use crate::seeds::derive_seed;

/// Most images that the judge chooses from.
const MOST_CANDIDATES: usize = 8;

/// Lets the judge choose an image from those of the folder whose names speak of the thing, and others.
pub(super) fn find(
    forge: &Forge,
    source: &ImageSource,
    drafts: &mut [Draft],
    wanted: &[Wanted],
    progress: &mut dyn Progress,
) -> Result<(), ForgeError> {
    let fields = [("image", json!({ "type": "integer", "minimum": 0 }))];
    let asked = Asked::judge(forge, source.stage, "match", &fields);
    let mut questions = Vec::new();
    for wanted in wanted {
        let draft = &drafts[wanted.draft];
        let object = &draft.objects[wanted.place];
        questions.push(Question {
            id: format!("{}/{}", draft.id, wanted.place + 1),
            images: candidates(forge, source.pool, object),
            text: PromptTemplate::MATCH.fill(&[("object", object)]),
        });
    }
    let outcomes = forge.ask(
        &asked,
        &questions,
        &|index, fields| fields.number("image", questions[index].images.len()),
        progress,
    )?;
    for ((wanted, question), outcome) in wanted.iter().zip(&questions).zip(outcomes) {
        let draft = &mut drafts[wanted.draft];
        let mut part = asked.maker(PromptTemplate::MATCH);
        match outcome {
            Ok(0) => draft.reject(source.stage, "no image found", draft.objects[wanted.place].clone()),
            Ok(number) => {
                let found = &question.images[number - 1];
                part.said = Some(json!({ "image": wanted.place + 1, "found": found }));
                match Painting::new(fs_err::read(found)?).and_then(check) {
                    Ok(image) => put(draft, wanted.place, keep(forge.folder, &image)?),
                    Err(problem) => draft.reject(source.stage, "the image found cannot be read", problem),
                }
            }
            Err(reason) => draft.reject(source.stage, &asked.unanswered(), reason),
        }
        draft.made_by.push(part);
    }
    Ok(())
}

/// Images that may show a thing: those whose names share most words with it first, the others at random.
fn candidates(forge: &Forge, pool: &[PathBuf], object: &str) -> Vec<PathBuf> {
    let words = spaced(object);
    let mut ranked: Vec<PathBuf> = pool.to_vec();
    ranked.sort_by_cached_key(|image| {
        let name = spaced(&image.file_stem().unwrap_or_default().to_string_lossy());
        let shared = words.split_whitespace().filter(|word| name.contains(&format!(" {word} ")));
        let order = derive_seed(forge.config.seed, &format!("{object} {name}"), &[]);
        (Reverse(shared.count()), order)
    });
    ranked.truncate(MOST_CANDIDATES);
    ranked
}
