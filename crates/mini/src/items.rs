//! Items of the miniature world: what is asked, what a label adds, and what the judge needs to know.

use std::path::PathBuf;

use serde_json::json;

use crate::general::GeneralQuestion;
use crate::judge::Truth;
use crate::questions::act;
use crate::scenario::Scenario;
use align::types::{Item, ItemKind, Message, Role};

/// The item of a general question.
pub fn general_item(id: &str, images: Vec<PathBuf>, asked: &GeneralQuestion) -> Item {
    Item {
        id: id.to_owned(),
        messages: vec![Message::of_user(images, &asked.question)],
        split: Some("general".to_owned()),
        kind: Some(ItemKind::General),
        category: serde_json::to_value(asked.topic)
            .ok()
            .and_then(|name| name.as_str().map(str::to_owned)),
        twin_of: None,
        truth: Some(truth(&Truth::General {
            answer: asked.answer.clone(),
        })),
    }
}

/// The scenario asked in words alone (P1's text-only labels).
pub(super) fn in_words(item: &Item, scenario: &Scenario) -> Item {
    let mut item = item.clone();
    item.messages = vec![Message::text(Role::User, format!("Can I {}?", act(scenario)))];
    item
}

/// What the judge needs to know, as items carry it.
pub(super) fn truth(truth: &Truth) -> serde_json::Value {
    serde_json::to_value(truth).unwrap_or_else(|_| json!(null))
}
