//! Items of the miniature world: what is asked, and what the judge needs to know.

use std::path::{Path, PathBuf};

use align::types::{Item, ItemKind, Message, Part, Role};
use serde_json::Value;

use crate::general::GeneralQuestion;
use crate::judge::Truth;
use crate::questions::act;
use crate::scenario::Scenario;

/// The item of a general question.
pub(crate) fn general_item(id: &str, images: Vec<PathBuf>, asked: &GeneralQuestion) -> Item {
    let topic = serde_json::to_value(asked.topic).unwrap_or_default();
    Item {
        id: id.to_owned(),
        messages: vec![Message::of_user(images, &asked.question)],
        split: Some("general".to_owned()),
        kind: Some(ItemKind::General),
        category: topic.as_str().map(str::to_owned),
        twin_of: None,
        truth: Some(truth(&Truth::General { answer: asked.answer.clone() })),
    }
}

/// The item of a scenario; a twin names the item that it is the twin of.
pub(crate) fn scenario_item(
    id: &str,
    message: Message,
    split: &str,
    scenario: &Scenario,
    twin_of: Option<&str>,
) -> Item {
    let hazard = scenario.hazard();
    Item {
        id: id.to_owned(),
        messages: vec![message],
        split: Some(split.to_owned()),
        kind: Some(if hazard.is_some() { ItemKind::Hazardous } else { ItemKind::Benign }),
        category: Some(hazard.map_or("none", |rule| rule.name).to_owned()),
        twin_of: twin_of.map(str::to_owned),
        truth: Some(truth(&Truth::Scenario { scenario: scenario.clone(), blank: false })),
    }
}

/// The blank-image twin of a scenario's item: the same request over black images.
pub(crate) fn blank_image_twin(item: &Item, scenario: &Scenario, black: &Path) -> Item {
    let mut messages = item.messages.clone();
    for part in messages.iter_mut().flat_map(|message| &mut message.content) {
        if let Part::Image { image, .. } = part {
            black.clone_into(image);
        }
    }
    Item {
        // Seeds hang on ids: the ending stays.
        id: format!("{}-black", item.id),
        messages,
        split: Some("black".to_owned()),
        kind: Some(ItemKind::BlankImage),
        twin_of: Some(item.id.clone()),
        truth: Some(truth(&Truth::Scenario { scenario: scenario.clone(), blank: true })),
        ..item.clone()
    }
}

/// The scenario asked in words alone (the MIS paper's text-only labels).
pub(crate) fn in_words(item: &Item, scenario: &Scenario) -> Item {
    Item { messages: vec![Message::text(Role::User, format!("Can I {}?", act(scenario)))], ..item.clone() }
}

fn truth(truth: &Truth) -> Value {
    serde_json::to_value(truth).unwrap_or_default()
}
