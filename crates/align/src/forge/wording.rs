//! The request over images instead of things, then in neutral words.

use serde_json::json;

use super::asking::{Asked, Question, apply, check_objects, check_query};
use super::draft::Draft;
use super::job::{Forge, Staged};
use super::prompt::PromptTemplate;
use crate::chat::Fields;
use crate::progress::Progress;

/// What the writer makes of a request.
enum Instruction {
    Keep { objects: Vec<String>, text: String },
    Leave(String),
}

/// Makes things specific and puts images in their place; rejects requests without risk.
pub(super) fn instruct(forge: &Forge, mut drafts: Vec<Draft>, progress: &mut dyn Progress) -> Staged {
    let text = json!({ "type": "string" });
    let fields = [
        ("keep", json!({ "type": "boolean" })),
        ("reason", text.clone()),
        ("objects", json!({ "type": "array", "items": text })),
        ("instruction", text.clone()),
    ];
    let asked = Asked::writer(forge, "instructions", "instruction", &fields);
    let mut questions = Vec::new();
    for draft in &drafts {
        let values = [("request", &*draft.request), ("objects", &draft.listed_objects())];
        questions.push(Question::about(draft, PromptTemplate::INSTRUCTION.fill(&values)));
    }
    let outcomes = forge.ask(
        &asked,
        &questions,
        &|index, fields| instruction(fields, drafts[index].objects.len(), forge.config.max_images),
        progress,
    )?;
    apply(&mut drafts, &asked, PromptTemplate::INSTRUCTION, outcomes, |draft, instruction| match instruction {
        Instruction::Keep { objects, text } => {
            draft.objects = objects;
            draft.query = text;
        }
        Instruction::Leave(reason) => draft.reject("instructions", "the writer sees no risk or no image", reason),
    });
    Ok(drafts)
}

/// Reads the writer's answer about a request of `n_objects` things, where an item has at most `max_images`.
fn instruction(fields: &Fields, n_objects: usize, max_images: usize) -> Result<Instruction, String> {
    if !fields.flag("keep")? {
        return Ok(Instruction::Leave(fields.text_or_empty("reason").to_owned()));
    }
    let objects = fields.texts("objects")?;
    check_objects(&objects, max_images)?;
    if objects.len() != n_objects {
        return Err(format!("field `objects`: expected {n_objects} things as in the list, got {}", objects.len()));
    }
    let text = fields.text("instruction")?.to_owned();
    check_query("instruction", &text, &objects)?;
    Ok(Instruction::Keep { objects, text })
}

/// Softens the words.
pub(super) fn detoxify(forge: &Forge, mut drafts: Vec<Draft>, progress: &mut dyn Progress) -> Staged {
    let text = json!({ "type": "string" });
    let asked = Asked::writer(forge, "queries", "detox", &[("explanation", text.clone()), ("query", text)]);
    let mut questions = Vec::new();
    for draft in &drafts {
        let values = [("instruction", &*draft.query), ("objects", &draft.listed_objects())];
        questions.push(Question::about(draft, PromptTemplate::DETOX.fill(&values)));
    }
    let outcomes = forge.ask(
        &asked,
        &questions,
        &|index, fields| {
            let query = fields.text("query")?.to_owned();
            check_query("query", &query, &drafts[index].objects)?;
            Ok(query)
        },
        progress,
    )?;
    apply(&mut drafts, &asked, PromptTemplate::DETOX, outcomes, |draft, query| {
        draft.query = query;
    });
    Ok(drafts)
}
