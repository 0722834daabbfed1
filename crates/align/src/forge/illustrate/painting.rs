//! Images painted in up to two rounds: the judge looks at the first and may have it painted once more.

use serde_json::json;

use super::wanted::{ImageSource, Wanted, check, keep, put};
use crate::chat::Fields;
use crate::forge::asking::{Asked, Question};
use crate::forge::draft::{Draft, Maker};
use crate::forge::job::{Forge, ForgeError};
use crate::forge::prompt::PromptTemplate;
use crate::paint::PaintRequest;
use crate::progress::Progress;
use crate::seeds::derive_seed;

/// Paints images and keeps them. A draft whose image cannot be had is rejected.
pub(super) fn paint(
    forge: &Forge,
    source: &ImageSource,
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
        let kept = painting.map_err(|unpainted| unpainted.reason).and_then(check).and_then(|painting| {
            keep(forge.folder, &painting).map_err(|error| {
                let problem = error.to_string();
                failed_write.get_or_insert(error);
                problem
            })
        });
        painted.push((index, kept));
        progress.advance(1);
    })?;
    progress.end();
    if let Some(error) = failed_write {
        return Err(error.into());
    }
    // Images come in any order; records keep to that of the drafts.
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
            Err(reason) => draft.reject(source.stage, "no image of the painter", reason),
        }
    }
    Ok(())
}

fn request(forge: &Forge, source: &ImageSource, draft: &Draft, wanted: &Wanted, round: u64) -> PaintRequest {
    let purpose = format!("{} {}", source.stage, draft.id);
    PaintRequest {
        id: format!("{}/{}", draft.id, wanted.place + 1),
        prompt: wanted.prompt.clone(),
        size: forge.config.image_size,
        seed: derive_seed(forge.config.seed, &purpose, &[wanted.place as u64, round]),
    }
}

/// Lets the judge look at whole items; returns what it wants painted again. Drafts that it has no word on are rejected.
pub(super) fn refine(
    forge: &Forge,
    source: &ImageSource,
    drafts: &mut [Draft],
    painted: &[Wanted],
    progress: &mut dyn Progress,
) -> Result<Vec<Wanted>, ForgeError> {
    let mut looked_at: Vec<usize> = painted.iter().map(|wanted| wanted.draft).collect();
    looked_at.dedup();
    looked_at.retain(|&index| drafts[index].is_kept());
    let fields = [
        ("fits", json!({ "type": "boolean" })),
        ("prompts", json!({ "type": "array", "items": { "type": "string" } })),
    ];
    let asked = Asked::judge(forge, source.stage, "refine", &fields);
    let mut questions = Vec::new();
    for draft in looked_at.iter().map(|&index| &drafts[index]) {
        let values = [("query", &*draft.query), ("objects", &draft.listed_objects())];
        questions.push(Question::about(draft, PromptTemplate::REFINE.fill(&values)));
    }
    let outcomes = forge.ask(
        &asked,
        &questions,
        &|place, fields| better_prompts(fields, drafts[looked_at[place]].objects.len()),
        progress,
    )?;
    let mut again = Vec::new();
    for (index, outcome) in looked_at.into_iter().zip(outcomes) {
        let draft = &mut drafts[index];
        draft.made_by.push(asked.maker(PromptTemplate::REFINE));
        match outcome {
            Ok(None) => {}
            Ok(Some(prompts)) => {
                let redone = painted.iter().filter(|wanted| wanted.draft == index);
                again.extend(redone.map(|wanted| Wanted { prompt: prompts[wanted.place].clone(), ..*wanted }));
            }
            Err(reason) => draft.reject(source.stage, &asked.unanswered(), reason),
        }
    }
    Ok(again)
}

/// What to paint instead, a prompt an image; none where the images fit.
fn better_prompts(fields: &Fields, n_images: usize) -> Result<Option<Vec<String>>, String> {
    if fields.flag("fits")? {
        return Ok(None);
    }
    let prompts = fields.texts("prompts")?;
    if prompts.len() == n_images {
        return Ok(Some(prompts));
    }
    Err(format!("field `prompts`: expected {n_images}, one for each image, got {}", prompts.len()))
}
