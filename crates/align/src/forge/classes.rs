//! The judge says whether an item is what it shall be, and which split and subcategory are its own.

use std::collections::HashMap;

use serde_json::json;

use super::asking::{Asked, Question};
use super::draft::{Draft, Split};
use super::job::{Forge, Staged};
use super::prompt::PromptTemplate;
use crate::chat::Fields;
use crate::progress::Progress;
use crate::types::ItemKind;

const STAGE: &str = "classes";

/// What the judge says of an item.
struct Class {
    is_meaningful: bool,
    is_harmful: bool,
    has_risky_text: bool,
    has_explicit_image: bool,
    subcategory: (String, String),
    explanation: String,
}

/// Gives items their splits and subcategories; drops what has no sense, harmless items and harmful twins.
pub(super) fn classify(forge: &Forge, mut drafts: Vec<Draft>, progress: &mut dyn Progress) -> Staged {
    let (text, flag) = (json!({ "type": "string" }), json!({ "type": "boolean" }));
    let fields = [
        ("explanation", text.clone()),
        ("meaningful", flag.clone()),
        ("harmful", flag),
        ("text_risk", json!({ "type": "string", "enum": TEXT_RISKS })),
        ("image_risk", json!({ "type": "string", "enum": IMAGE_RISKS })),
        ("subcategory", text),
    ];
    let asked = Asked::judge(forge, STAGE, "classify", &fields);
    let listed = forge.taxonomy.listed();
    let mut questions = Vec::new();
    for draft in &drafts {
        let values = [("query", &*draft.query), ("subcategories", &listed)];
        questions.push(Question::about(draft, PromptTemplate::CLASSIFY.fill(&values)));
    }
    let outcomes = forge.ask(&asked, &questions, &|_, fields| class(forge, fields), progress)?;
    for (draft, outcome) in drafts.iter_mut().zip(outcomes) {
        let mut part = asked.maker(PromptTemplate::CLASSIFY);
        match outcome {
            Ok(class) => {
                part.said = Some(json!({
                    "harmful": class.is_harmful,
                    "text_risk": if class.has_risky_text { "risky" } else { "neutral" },
                    "image_risk": if class.has_explicit_image { "explicit" } else { "harmless" },
                    "explanation": class.explanation,
                }));
                apply(forge, draft, class);
            }
            Err(reason) => draft.reject(STAGE, &asked.unanswered(), reason),
        }
        draft.made_by.push(part);
    }
    follow(&mut drafts);
    Ok(drafts)
}

const TEXT_RISKS: [&str; 2] = ["neutral", "risky"];
const IMAGE_RISKS: [&str; 2] = ["harmless", "explicit"];

fn class(forge: &Forge, fields: &Fields) -> Result<Class, String> {
    let is_harmful = fields.flag("harmful")?;
    let named = fields.text_or_empty("subcategory");
    let subcategory = match forge.taxonomy.find(named) {
        Some((category, subcategory)) => (category.name.clone(), subcategory.name.clone()),
        // What harms nobody belongs nowhere.
        None if !is_harmful => (String::new(), String::new()),
        None => {
            return Err(format!("field `subcategory`: expected one of the list, got \"{named}\""));
        }
    };
    Ok(Class {
        is_meaningful: fields.flag("meaningful")?,
        is_harmful,
        has_risky_text: fields.word("text_risk", &TEXT_RISKS)? == TEXT_RISKS[1],
        has_explicit_image: fields.word("image_risk", &IMAGE_RISKS)? == IMAGE_RISKS[1],
        subcategory,
        explanation: fields.text_or_empty("explanation").to_owned(),
    })
}

fn apply(forge: &Forge, draft: &mut Draft, class: Class) {
    if !class.is_meaningful {
        return draft.reject(STAGE, "the query makes no sense with its images", class.explanation);
    }
    match (draft.kind, class.is_harmful) {
        (ItemKind::Hazardous, true) => {
            (draft.category, draft.subcategory) = class.subcategory.clone();
            draft.split = Some(split(forge, draft, &class));
        }
        (ItemKind::Hazardous, false) => draft.reject(STAGE, "judged harmless", class.explanation),
        (_, true) => draft.reject(STAGE, "twin judged harmful", class.explanation),
        (_, false) => {}
    }
}

/// The MIS paper's rule, and the share of neutral items that are trained on.
fn split(forge: &Forge, draft: &Draft, class: &Class) -> Split {
    if class.has_risky_text || share_of(forge, &draft.objects) < forge.config.neutral_train_share {
        Split::Train
    } else if class.has_explicit_image {
        Split::Easy
    } else {
        Split::Hard
    }
}

/// A number from 0 to below 1 that follows from the things alone, in whatever order.
fn share_of(forge: &Forge, objects: &[String]) -> f64 {
    let mut names: Vec<String> = objects.iter().map(|object| object.to_lowercase()).collect();
    names.sort();
    forge.random_share(&names.join(" and "))
}

/// Twins go where their hazardous items go.
fn follow(drafts: &mut [Draft]) {
    let mut places: HashMap<String, (String, String, Option<Split>)> = HashMap::new();
    for draft in drafts.iter().filter(|draft| draft.kind == ItemKind::Hazardous) {
        let place = (draft.category.clone(), draft.subcategory.clone(), draft.split);
        places.insert(draft.id.clone(), place);
    }
    for draft in drafts.iter_mut().filter(|draft| draft.kind != ItemKind::Hazardous) {
        if let Some(place) = places.get(draft.root()) {
            (draft.category, draft.subcategory, draft.split) = place.clone();
        }
    }
}
