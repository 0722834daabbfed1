//! Stage 1: items planned from words or pictures: a request and the things in it.

use serde_json::{Value, json};

use super::asking::{Asked, Question, check_objects, maker, spaced, unanswered};
use super::{Draft, Forge, ForgeError, Prompt, Rejection, Seed};
use crate::chat::{AnswerSchema, Fields, object_schema};
use crate::progress::Progress;
use crate::types::ItemKind;

const STAGE: &str = "elements";

/// An item as the writer plans it, or what is wrong with it.
type Record = Result<Planned, String>;

struct Planned {
    category: String,
    subcategory: String,
    request: String,
    objects: Vec<String>,
}

/// Plans items from every seed. A seed without any usable plan leaves one rejected draft.
pub(super) fn plan(forge: &Forge, progress: &mut dyn Progress) -> Result<Vec<Draft>, ForgeError> {
    let asked = Asked {
        stage: STAGE,
        role: "writer",
        model: forge.writer,
        schema: schema(),
        temperature: forge.config.temperature,
    };
    let questions: Vec<Question> = forge.seeds.iter().map(|seed| question(forge, seed)).collect();
    let read = |index: usize, fields: &Fields| records(forge, &forge.seeds[index], fields);
    let outcomes = forge.ask(&asked, &questions, &read, progress)?;
    let mut drafts = Vec::new();
    for (seed, outcome) in forge.seeds.iter().zip(outcomes) {
        match outcome {
            Ok(records) => {
                let records = records.into_iter().enumerate();
                drafts.extend(
                    records.map(|(index, record)| draft(forge, seed, index, record, "a plan that cannot be used")),
                );
            }
            Err(reason) => drafts.push(draft(forge, seed, 0, Err(reason), &unanswered("writer"))),
        }
    }
    Ok(drafts)
}

fn prompt(seed: &Seed) -> Prompt {
    if seed.image.is_some() {
        Prompt::ELEMENTS_IMAGE
    } else {
        Prompt::ELEMENTS_TEXT
    }
}

fn question(forge: &Forge, seed: &Seed) -> Question {
    let text = prompt(seed).fill(&[
        ("count", &forge.config.records_per_seed.to_string()),
        ("most", &forge.config.max_images.to_string()),
        ("seed", seed.text.as_deref().unwrap_or_default()),
        ("subcategory", seed.subcategory.as_deref().unwrap_or("any of the list")),
        ("subcategories", &forge.taxonomy.listed()),
    ]);
    Question {
        id: seed.id.clone(),
        pictures: seed.image.iter().cloned().collect(),
        text,
    }
}

fn schema() -> AnswerSchema {
    let text = json!({ "type": "string" });
    let record = object_schema(&[
        ("category", text.clone()),
        ("subcategory", text.clone()),
        ("request", text.clone()),
        ("objects", json!({ "type": "array", "items": text })),
    ]);
    AnswerSchema {
        name: "elements",
        schema: object_schema(&[("records", json!({ "type": "array", "items": record }))]),
    }
}

/// Every record of an answer; an answer without a single usable one is to be mended.
fn records(forge: &Forge, seed: &Seed, fields: &Fields) -> Result<Vec<Record>, String> {
    let records: Vec<Record> = fields
        .list("records")?
        .iter()
        .take(forge.config.records_per_seed)
        .map(|value| record(forge, seed, value))
        .collect();
    let first_fault = records.iter().find_map(|record| record.as_ref().err());
    match first_fault {
        Some(fault) if records.iter().all(Result::is_err) => Err(fault.clone()),
        None if records.is_empty() => Err("field `records`: expected at least one, got none".to_owned()),
        _ => Ok(records),
    }
}

fn record(forge: &Forge, seed: &Seed, value: &Value) -> Record {
    let object = value
        .as_object()
        .ok_or_else(|| format!("field `records`: expected objects, got {value}"))?;
    let fields = Fields::new(object);
    let named = match &seed.subcategory {
        Some(subcategory) => subcategory,
        None => fields.text("subcategory")?,
    };
    let (category, subcategory) = forge
        .taxonomy
        .find(named)
        .ok_or_else(|| format!("field `subcategory`: expected one of the list, got \"{named}\""))?;
    let objects = fields.texts("objects")?;
    check_objects(&objects, forge.config.max_images)?;
    let request = fields.text("request")?;
    if let Some(missing) = objects.iter().find(|object| !spaced(request).contains(&spaced(object))) {
        return Err(format!(
            "field `request`: expected \"{missing}\" to be named in it, got \"{request}\""
        ));
    }
    Ok(Planned {
        category: category.name.clone(),
        subcategory: subcategory.name.clone(),
        request: request.to_owned(),
        objects,
    })
}

fn draft(forge: &Forge, seed: &Seed, index: usize, record: Record, reason: &str) -> Draft {
    let image = seed.image.as_ref().map(|image| image.display().to_string());
    let (planned, rejected) = match record {
        Ok(planned) => (planned, None),
        Err(detail) => (
            Planned {
                category: String::new(),
                subcategory: seed.subcategory.clone().unwrap_or_default(),
                request: String::new(),
                objects: Vec::new(),
            },
            Some(Rejection {
                stage: STAGE.to_owned(),
                reason: reason.to_owned(),
                detail,
            }),
        ),
    };
    Draft {
        id: format!("{}-{}", seed.id, index + 1),
        kind: ItemKind::Hazardous,
        twin_of: None,
        category: planned.category,
        subcategory: planned.subcategory,
        source: seed.text.clone().or(image).unwrap_or_default(),
        objects: planned.objects,
        request: planned.request,
        query: String::new(),
        pictures: Vec::new(),
        split: None,
        probe: None,
        label: None,
        made_by: vec![maker(STAGE, forge.writer.name(), prompt(seed))],
        rejected,
    }
}
