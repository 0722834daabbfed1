//! Stage 5: a picture of each thing: painted in up to two rounds, or found in a folder. Pictures stand below `images/`
//! under the hash of their content.

use std::path::{Path, PathBuf};

use serde_json::json;
use sha2::{Digest, Sha256};

use super::asking::{Asked, Question, maker, spaced, unanswered};
use super::stage::keep_pairs;
use super::{Draft, Forge, ForgeError, Maker, Prompt};
use crate::chat::{AnswerSchema, Fields, object_schema};
use crate::paint::{PaintRequest, Painting};
use crate::progress::Progress;
use crate::run_dir::write_atomically;
use crate::training::derive_seed;
use crate::types::ItemKind;

const STAGE: &str = "pictures";
/// Most pictures that the judge chooses from.
const MOST_CANDIDATES: usize = 8;

/// Where pictures come from.
pub(super) struct Source<'a> {
    /// The stage that wants them.
    pub stage: &'static str,
    /// What to choose from; nothing to paint.
    pub pool: &'a [PathBuf],
    /// What the painter is asked for at first.
    pub prompt: &'a str,
    /// Whether the judge looks and may have them painted once more.
    pub refine: bool,
}

/// A picture that is wanted: of which draft, in which place, by which prompt.
struct Wanted {
    draft: usize,
    place: usize,
    prompt: String,
}

/// Gives every draft its pictures; twins share those of the things that they share.
pub(super) fn illustrate(
    forge: &Forge,
    mut drafts: Vec<Draft>,
    progress: &mut dyn Progress,
) -> Result<Vec<Draft>, ForgeError> {
    let source = Source {
        stage: STAGE,
        pool: forge.pictures,
        prompt: &forge.config.picture_prompt,
        refine: forge.config.refine,
    };
    give_pictures(forge, &source, &mut drafts, progress)?;
    keep_pairs(&mut drafts, STAGE);
    Ok(drafts)
}

/// Hazardous items first, then their twins, which take over what they share.
pub(super) fn give_pictures(
    forge: &Forge,
    source: &Source,
    drafts: &mut [Draft],
    progress: &mut dyn Progress,
) -> Result<(), ForgeError> {
    let hazardous = wanted(source, drafts, |draft, _| draft.kind == ItemKind::Hazardous);
    drafts.iter_mut().for_each(|draft| draft.pictures = Vec::new());
    make(forge, source, drafts, &hazardous, progress)?;
    share(drafts, source.stage);
    let missing = wanted(source, drafts, |draft, place| {
        draft.kind == ItemKind::Benign && draft.is_kept() && draft.pictures[place].as_os_str().is_empty()
    });
    make(forge, source, drafts, &missing, progress)
}

fn wanted(source: &Source, drafts: &[Draft], is_wanted: impl Fn(&Draft, usize) -> bool) -> Vec<Wanted> {
    let places = drafts
        .iter()
        .enumerate()
        .flat_map(|(index, draft)| (0..draft.objects.len()).map(move |place| (index, draft, place)));
    places
        .filter(|(_, draft, place)| is_wanted(draft, *place))
        .map(|(index, draft, place)| Wanted {
            draft: index,
            place,
            prompt: source.prompt.replace("{object}", &draft.objects[place]),
        })
        .collect()
}

/// Gives twins the pictures of what they share with their hazardous items; the other places stay empty.
fn share(drafts: &mut [Draft], stage: &str) {
    let originals: std::collections::HashMap<String, (Vec<String>, Vec<PathBuf>, bool)> = drafts
        .iter()
        .filter(|draft| draft.kind == ItemKind::Hazardous)
        .map(|draft| {
            let pictures = draft.pictures.clone();
            (draft.id.clone(), (draft.objects.clone(), pictures, draft.is_kept()))
        })
        .collect();
    for draft in drafts.iter_mut().filter(|draft| draft.kind == ItemKind::Benign) {
        let Some((objects, pictures, true)) = originals.get(draft.root()) else {
            continue;
        };
        draft.pictures = draft
            .objects
            .iter()
            .zip(objects)
            .zip(pictures)
            .map(|((own, others), picture)| if own == others { picture.clone() } else { PathBuf::new() })
            .collect();
    }
    // A twin whose hazardous item has no pictures goes with it.
    keep_pairs(drafts, stage);
}

fn make(
    forge: &Forge,
    source: &Source,
    drafts: &mut [Draft],
    wanted: &[Wanted],
    progress: &mut dyn Progress,
) -> Result<(), ForgeError> {
    if !source.pool.is_empty() {
        return find(forge, source, drafts, wanted, progress);
    }
    paint(forge, source, drafts, wanted, 1, progress)?;
    if source.refine {
        let again = refine(forge, source, drafts, wanted, progress)?;
        paint(forge, source, drafts, &again, 2, progress)?;
    }
    Ok(())
}

/// Paints pictures and keeps them. A draft whose picture cannot be had is rejected.
fn paint(
    forge: &Forge,
    source: &Source,
    drafts: &mut [Draft],
    wanted: &[Wanted],
    round: u64,
    progress: &mut dyn Progress,
) -> Result<(), ForgeError> {
    progress.begin(&format!("{}: painter, round {round}", source.stage), wanted.len());
    let mut requests = wanted
        .iter()
        .map(|wanted| request(forge, source, &drafts[wanted.draft], wanted, round))
        .collect::<Vec<_>>()
        .into_iter();
    let mut failed_write = None;
    let mut painted = Vec::new();
    forge.painter.paint(&mut requests, &mut |index, painting| {
        let kept = painting
            .map_err(|unpainted| unpainted.reason)
            .and_then(check)
            .and_then(|painting| {
                keep(forge.folder, &painting).map_err(|error| {
                    let told = error.to_string();
                    failed_write.get_or_insert(error);
                    told
                })
            });
        painted.push((index, kept));
        progress.advance(1);
    })?;
    progress.end();
    if let Some(error) = failed_write {
        return Err(error.into());
    }
    // Pictures come in any order; records keep to that of the drafts.
    painted.sort_by_key(|(index, _)| *index);
    for (index, kept) in painted {
        let Wanted { draft, place, prompt } = &wanted[index];
        let draft = &mut drafts[*draft];
        draft.made_by.push(Maker {
            stage: source.stage.to_owned(),
            model: forge.painter.name().to_owned(),
            prompt: None,
            said: Some(json!({ "image": place + 1, "round": round, "prompt": prompt })),
        });
        match kept {
            Ok(path) => put(draft, *place, path),
            Err(reason) => draft.reject(source.stage, "no picture of the painter", reason),
        }
    }
    Ok(())
}

fn put(draft: &mut Draft, place: usize, path: PathBuf) {
    if draft.pictures.len() < draft.objects.len() {
        draft.pictures.resize(draft.objects.len(), PathBuf::new());
    }
    draft.pictures[place] = path;
}

fn request(forge: &Forge, source: &Source, draft: &Draft, wanted: &Wanted, round: u64) -> PaintRequest {
    let purpose = format!("{} {}", source.stage, draft.id);
    PaintRequest {
        id: format!("{}/{}", draft.id, wanted.place + 1),
        prompt: wanted.prompt.clone(),
        size: forge.config.picture_size,
        seed: derive_seed(forge.config.seed, &purpose, &[wanted.place as u64, round]),
    }
}

/// Passes pictures that can be decoded.
fn check(painting: Painting) -> Result<Painting, String> {
    match image::load_from_memory(&painting.bytes) {
        Ok(_) => Ok(painting),
        Err(error) => Err(format!("a picture that cannot be read: {error}")),
    }
}

/// Keeps a picture below the run's folder; returns its path there.
fn keep(folder: &Path, painting: &Painting) -> std::io::Result<PathBuf> {
    let digest = Sha256::digest(&painting.bytes);
    let hash: String = digest.iter().take(10).map(|byte| format!("{byte:02x}")).collect();
    let path = Path::new("images").join(format!("{hash}.{}", painting.format.extension()));
    if !folder.join(&path).exists() {
        write_atomically(&folder.join(&path), &painting.bytes)?;
    }
    Ok(path)
}

/// Lets the judge look at whole items; returns what it wants painted again. Drafts that it has no word on are rejected.
fn refine(
    forge: &Forge,
    source: &Source,
    drafts: &mut [Draft],
    painted: &[Wanted],
    progress: &mut dyn Progress,
) -> Result<Vec<Wanted>, ForgeError> {
    let mut looked_at: Vec<usize> = painted.iter().map(|wanted| wanted.draft).collect();
    looked_at.dedup();
    looked_at.retain(|&index| drafts[index].is_kept());
    let asked = Asked {
        stage: source.stage,
        role: "judge",
        model: forge.judge,
        schema: AnswerSchema {
            name: "refine",
            schema: object_schema(&[
                ("fits", json!({ "type": "boolean" })),
                ("prompts", json!({ "type": "array", "items": { "type": "string" } })),
            ]),
        },
        temperature: 0.0,
    };
    let questions: Vec<Question> = looked_at.iter().map(|&index| does_it_fit(&drafts[index])).collect();
    let read = |place: usize, fields: &Fields| better_prompts(fields, drafts[looked_at[place]].objects.len());
    let outcomes = forge.ask(&asked, &questions, &read, progress)?;
    let mut again = Vec::new();
    for (index, outcome) in looked_at.into_iter().zip(outcomes) {
        let draft = &mut drafts[index];
        draft
            .made_by
            .push(maker(source.stage, forge.judge.name(), Prompt::REFINE));
        match outcome {
            Ok(None) => {}
            Ok(Some(prompts)) => {
                let redone = painted.iter().filter(|wanted| wanted.draft == index);
                again.extend(redone.map(|wanted| Wanted {
                    prompt: prompts[wanted.place].clone(),
                    ..*wanted
                }));
            }
            Err(reason) => draft.reject(source.stage, &unanswered("judge"), reason),
        }
    }
    Ok(again)
}

fn does_it_fit(draft: &Draft) -> Question {
    Question {
        id: draft.id.clone(),
        pictures: draft.pictures.clone(),
        text: Prompt::REFINE.fill(&[("query", &draft.query), ("objects", &draft.listed_objects())]),
    }
}

/// What to paint instead, a prompt an image; none where the pictures fit.
fn better_prompts(fields: &Fields, n_images: usize) -> Result<Option<Vec<String>>, String> {
    if fields.flag("fits")? {
        return Ok(None);
    }
    let prompts = fields.texts("prompts")?;
    if prompts.len() == n_images {
        return Ok(Some(prompts));
    }
    Err(format!(
        "field `prompts`: expected {n_images}, one for each image, got {}",
        prompts.len()
    ))
}

/// Lets the judge choose a picture from those of the folder whose names speak of the thing, and others.
fn find(
    forge: &Forge,
    source: &Source,
    drafts: &mut [Draft],
    wanted: &[Wanted],
    progress: &mut dyn Progress,
) -> Result<(), ForgeError> {
    let asked = Asked {
        stage: source.stage,
        role: "judge",
        model: forge.judge,
        schema: AnswerSchema {
            name: "match",
            schema: object_schema(&[("image", json!({ "type": "integer", "minimum": 0 }))]),
        },
        temperature: 0.0,
    };
    let object = |wanted: &Wanted| drafts[wanted.draft].objects[wanted.place].clone();
    let candidates: Vec<Vec<PathBuf>> = wanted
        .iter()
        .map(|wanted| candidates(forge, source.pool, &object(wanted)))
        .collect();
    let questions: Vec<Question> = wanted
        .iter()
        .zip(&candidates)
        .map(|(wanted, candidates)| Question {
            id: format!("{}/{}", drafts[wanted.draft].id, wanted.place + 1),
            pictures: candidates.clone(),
            text: Prompt::MATCH.fill(&[("object", &object(wanted))]),
        })
        .collect();
    let read = |index: usize, fields: &Fields| fields.number("image", candidates[index].len());
    let outcomes = forge.ask(&asked, &questions, &read, progress)?;
    for ((wanted, candidates), outcome) in wanted.iter().zip(&candidates).zip(outcomes) {
        let draft = &mut drafts[wanted.draft];
        let mut part = maker(source.stage, forge.judge.name(), Prompt::MATCH);
        match outcome {
            Ok(0) => draft.reject(source.stage, "no picture found", draft.objects[wanted.place].clone()),
            Ok(number) => {
                let found = &candidates[number - 1];
                part.said = Some(json!({ "image": wanted.place + 1, "found": found }));
                let kept = Painting::new(fs_err::read(found)?).and_then(check);
                match kept {
                    Ok(picture) => put(draft, wanted.place, keep(forge.folder, &picture)?),
                    Err(problem) => draft.reject(source.stage, "the picture found cannot be read", problem),
                }
            }
            Err(reason) => draft.reject(source.stage, &unanswered("judge"), reason),
        }
        draft.made_by.push(part);
    }
    Ok(())
}

/// Pictures that may show a thing: those whose names share most words with it first, the others by chance.
fn candidates(forge: &Forge, pool: &[PathBuf], object: &str) -> Vec<PathBuf> {
    let words = spaced(object);
    let rank = |picture: &PathBuf| {
        let name = spaced(&picture.file_stem().unwrap_or_default().to_string_lossy());
        let shared = words
            .split_whitespace()
            .filter(|word| name.contains(&format!(" {word} ")));
        let chance = derive_seed(forge.config.seed, &format!("{object} {name}"), &[]);
        (std::cmp::Reverse(shared.count()), chance)
    };
    let mut ranked: Vec<PathBuf> = pool.to_vec();
    ranked.sort_by_cached_key(rank);
    ranked.truncate(MOST_CANDIDATES);
    ranked
}
