//! The benign-image twin of every item: one thing swapped so that the same words are harmless.

use std::path::Path;

use serde_json::json;

use super::asking::{Asked, Question, check_objects, check_query};
use super::draft::Draft;
use super::job::{Forge, Staged};
use super::prompt::PromptTemplate;
use crate::chat::Fields;
use crate::progress::Progress;
use crate::types::ItemKind;

const STAGE: &str = "twins";

/// Puts each item's benign-image twin after it. An item without one is rejected.
pub(super) fn benign(forge: &Forge, drafts: Vec<Draft>, progress: &mut dyn Progress) -> Staged {
    let text = json!({ "type": "string" });
    let fields =
        [("explanation", text.clone()), ("image", json!({ "type": "integer", "minimum": 0 })), ("object", text)];
    let asked = Asked::writer(forge, STAGE, "twin", &fields);
    let mut questions = Vec::new();
    for draft in &drafts {
        let objects = draft.listed_objects();
        let values = [("query", &*draft.query), ("request", &draft.request), ("objects", &objects)];
        questions.push(Question::about(draft, PromptTemplate::TWIN.fill(&values)));
    }
    let outcomes = forge.ask(&asked, &questions, &|index, fields| swapped(&drafts[index], fields), progress)?;
    let mut all = Vec::new();
    for (mut draft, outcome) in drafts.into_iter().zip(outcomes) {
        draft.made_by.push(asked.maker(PromptTemplate::TWIN));
        let mut twin = None;
        match outcome {
            Ok(Some(objects)) => twin = Some(twin_of(&draft, objects)),
            Ok(None) => draft.reject(STAGE, "no swap makes it harmless", ""),
            Err(reason) => draft.reject(STAGE, &asked.unanswered(), reason),
        }
        all.push(draft);
        all.extend(twin);
    }
    Ok(all)
}

/// The things of the twin; none where no swap will do.
fn swapped(draft: &Draft, fields: &Fields) -> Result<Option<Vec<String>>, String> {
    let image = fields.number("image", draft.objects.len())?;
    if image == 0 {
        return Ok(None);
    }
    let mut objects = draft.objects.clone();
    fields.text("object")?.clone_into(&mut objects[image - 1]);
    if objects[image - 1].eq_ignore_ascii_case(&draft.objects[image - 1]) {
        return Err(format!("field `object`: expected another thing than \"{}\"", objects[image - 1]));
    }
    check_objects(&objects, objects.len())?;
    check_query("object", &draft.query, &objects)?;
    Ok(Some(objects))
}

/// The twin with these things; its request is the item's own, which names the things of the item.
fn twin_of(draft: &Draft, objects: Vec<String>) -> Draft {
    let mut request = draft.request.clone();
    for (from, to) in draft.objects.iter().zip(&objects) {
        request = request.replace(from, to);
    }
    Draft {
        id: format!("{}-benign", draft.id),
        kind: ItemKind::Benign,
        twin_of: Some(draft.id.clone()),
        objects,
        request,
        ..draft.clone()
    }
}

/// The blank-image twin of a hazardous item, whose images are all the black one.
pub(super) fn blank(draft: &Draft, black: &Path) -> Draft {
    Draft {
        // Seeds hang on ids: the ending stays.
        id: format!("{}-black", draft.id),
        kind: ItemKind::BlankImage,
        twin_of: Some(draft.id.clone()),
        images: vec![black.to_owned(); draft.images.len()],
        ..draft.clone()
    }
}
