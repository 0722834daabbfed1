//! Stages 2 and 3: the request over pictures instead of things, then in neutral words.

use serde_json::json;

use super::asking::{Asked, Question, apply, check_objects, check_query};
use super::{Draft, Forge, ForgeError, Prompt};
use crate::chat::{AnswerSchema, Fields, object_schema};
use crate::progress::Progress;

/// What the writer makes of a request.
enum Instruction {
    Keep { objects: Vec<String>, text: String },
    Leave(String),
}

/// Makes things specific and puts pictures in their place; drops requests without risk.
pub(super) fn instruct(
    forge: &Forge,
    mut drafts: Vec<Draft>,
    progress: &mut dyn Progress,
) -> Result<Vec<Draft>, ForgeError> {
    let text = json!({ "type": "string" });
    let asked = writer(
        forge,
        "instructions",
        AnswerSchema {
            name: "instruction",
            schema: object_schema(&[
                ("keep", json!({ "type": "boolean" })),
                ("reason", text.clone()),
                ("objects", json!({ "type": "array", "items": text })),
                ("instruction", text.clone()),
            ]),
        },
    );
    let questions = questions(&drafts, |draft| {
        Prompt::INSTRUCTION.fill(&[("request", &draft.request), ("objects", &draft.listed_objects())])
    });
    let read = |index: usize, fields: &Fields| {
        if !fields.flag("keep")? {
            return Ok(Instruction::Leave(fields.text_or_empty("reason").to_owned()));
        }
        let objects = fields.texts("objects")?;
        check_objects(&objects, forge.config.max_images)?;
        let expected = drafts[index].objects.len();
        if objects.len() != expected {
            return Err(format!(
                "field `objects`: expected {expected} things as in the list, got {}",
                objects.len()
            ));
        }
        let text = fields.text("instruction")?.to_owned();
        check_query("instruction", &text, &objects)?;
        Ok(Instruction::Keep { objects, text })
    };
    let outcomes = forge.ask(&asked, &questions, &read, progress)?;
    apply(
        &mut drafts,
        &asked,
        Prompt::INSTRUCTION,
        outcomes,
        |draft, instruction| match instruction {
            Instruction::Keep { objects, text } => {
                draft.objects = objects;
                draft.query = text;
            }
            Instruction::Leave(reason) => draft.reject("instructions", "the writer sees no risk or no picture", reason),
        },
    );
    Ok(drafts)
}

/// Softens the words.
pub(super) fn detoxify(
    forge: &Forge,
    mut drafts: Vec<Draft>,
    progress: &mut dyn Progress,
) -> Result<Vec<Draft>, ForgeError> {
    let text = json!({ "type": "string" });
    let asked = writer(
        forge,
        "queries",
        AnswerSchema {
            name: "detox",
            schema: object_schema(&[("explanation", text.clone()), ("query", text)]),
        },
    );
    let questions = questions(&drafts, |draft| {
        Prompt::DETOX.fill(&[("instruction", &draft.query), ("objects", &draft.listed_objects())])
    });
    let read = |index: usize, fields: &Fields| {
        let query = fields.text("query")?.to_owned();
        check_query("query", &query, &drafts[index].objects)?;
        Ok(query)
    };
    let outcomes = forge.ask(&asked, &questions, &read, progress)?;
    apply(&mut drafts, &asked, Prompt::DETOX, outcomes, |draft, query| {
        draft.query = query;
    });
    Ok(drafts)
}

fn writer<'a>(forge: &'a Forge, stage: &'static str, schema: AnswerSchema) -> Asked<'a> {
    Asked {
        stage,
        role: "writer",
        model: forge.writer,
        schema,
        temperature: forge.config.temperature,
    }
}

fn questions(drafts: &[Draft], text: impl Fn(&Draft) -> String) -> Vec<Question> {
    drafts
        .iter()
        .map(|draft| Question {
            id: draft.id.clone(),
            pictures: Vec::new(),
            text: text(draft),
        })
        .collect()
}
