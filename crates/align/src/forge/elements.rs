//! Items planned from words or images: a request and the things in it.

use serde_json::{Value, json};

use super::asking::{Asked, Question, check_objects, spaced};
use super::draft::{Draft, Rejection};
use super::job::{Forge, Staged};
use super::prompt::PromptTemplate;
use super::seed::Seed;
use crate::chat::{Fields, object_schema};
use crate::progress::Progress;
use crate::types::ItemKind;

const STAGE: &str = "elements";

/// An item as the writer plans it, or why it cannot be used.
type Outcome = Result<Plan, String>;

#[derive(Default)]
struct Plan {
    category: String,
    subcategory: String,
    request: String,
    objects: Vec<String>,
}

/// Plans items from every seed. A seed without any usable plan leaves one rejected draft.
pub(super) fn plan(forge: &Forge, _drafts: Vec<Draft>, progress: &mut dyn Progress) -> Staged {
    let text = json!({ "type": "string" });
    let record = object_schema(&[
        ("category", text.clone()),
        ("subcategory", text.clone()),
        ("request", text.clone()),
        ("objects", json!({ "type": "array", "items": text })),
    ]);
    let fields = [("records", json!({ "type": "array", "items": record }))];
    let asked = Asked::writer(forge, STAGE, "elements", &fields);
    let questions: Vec<Question> = forge.seeds.iter().map(|seed| question(forge, seed)).collect();
    let outcomes =
        forge.ask(&asked, &questions, &|index, fields| plans(forge, &forge.seeds[index], fields), progress)?;
    let mut drafts = Vec::new();
    for (seed, outcome) in forge.seeds.iter().zip(outcomes) {
        match outcome {
            Ok(plans) => {
                for (index, plan) in plans.into_iter().enumerate() {
                    drafts.push(draft(&asked, seed, index, plan, "a plan that cannot be used"));
                }
            }
            Err(reason) => drafts.push(draft(&asked, seed, 0, Err(reason), &asked.unanswered())),
        }
    }
    Ok(drafts)
}

fn prompt(seed: &Seed) -> PromptTemplate {
    if seed.image.is_some() { PromptTemplate::ELEMENTS_IMAGE } else { PromptTemplate::ELEMENTS_TEXT }
}

fn question(forge: &Forge, seed: &Seed) -> Question {
    let text = prompt(seed).fill(&[
        ("count", &forge.config.records_per_seed.to_string()),
        ("most", &forge.config.max_images.to_string()),
        ("seed", seed.text.as_deref().unwrap_or_default()),
        ("subcategory", seed.subcategory.as_deref().unwrap_or("any of the list")),
        ("subcategories", &forge.taxonomy.listed()),
    ]);
    Question { id: seed.id.clone(), images: seed.image.iter().cloned().collect(), text }
}

/// Every plan of an answer; an answer without a single usable one is to be repaired.
fn plans(forge: &Forge, seed: &Seed, fields: &Fields) -> Result<Vec<Outcome>, String> {
    let plans: Vec<Outcome> = fields
        .list("records")?
        .iter()
        .take(forge.config.records_per_seed)
        .map(|value| usable(forge, seed, value))
        .collect();
    let first_problem = plans.iter().find_map(|plan| plan.as_ref().err());
    match first_problem {
        Some(problem) if plans.iter().all(Result::is_err) => Err(problem.clone()),
        None if plans.is_empty() => Err("field `records`: expected at least one, got none".to_owned()),
        _ => Ok(plans),
    }
}

fn usable(forge: &Forge, seed: &Seed, value: &Value) -> Outcome {
    let object = value.as_object().ok_or_else(|| format!("field `records`: expected objects, got {value}"))?;
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
        return Err(format!("field `request`: expected \"{missing}\" to be named in it, got \"{request}\""));
    }
    Ok(Plan {
        category: category.name.clone(),
        subcategory: subcategory.name.clone(),
        request: request.to_owned(),
        objects,
    })
}

fn draft(asked: &Asked, seed: &Seed, index: usize, outcome: Outcome, reason: &str) -> Draft {
    let image = seed.image.as_ref().map(|image| image.display().to_string());
    let (plan, rejected) = match outcome {
        Ok(plan) => (plan, None),
        Err(detail) => (
            Plan { subcategory: seed.subcategory.clone().unwrap_or_default(), ..Plan::default() },
            Some(Rejection { stage: STAGE.to_owned(), reason: reason.to_owned(), detail }),
        ),
    };
    Draft {
        id: format!("{}-{}", seed.id, index + 1),
        kind: ItemKind::Hazardous,
        twin_of: None,
        category: plan.category,
        subcategory: plan.subcategory,
        source: seed.text.clone().or(image).unwrap_or_default(),
        objects: plan.objects,
        request: plan.request,
        query: String::new(),
        images: Vec::new(),
        split: None,
        probe: None,
        label: None,
        made_by: vec![asked.maker(prompt(seed))],
        rejected,
    }
}
