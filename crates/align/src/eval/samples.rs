//! Made-up responses for this module's tests.

use super::JudgedResponse;
use crate::types::{Item, ItemKind, Message, Role};
use crate::verdict::{Decision, PerceptionLevel, Unscored, Verdict};

pub(super) fn item(id: &str, split: &str, kind: Option<ItemKind>) -> Item {
    Item {
        id: id.into(),
        messages: vec![Message::text(Role::User, format!("question {id}"))],
        split: Some(split.into()),
        kind,
        category: None,
        twin_of: None,
        truth: None,
    }
}

pub(super) fn verdict(decision: Decision, perception_level: PerceptionLevel) -> Verdict {
    Verdict {
        safe: true,
        decision,
        perception_level,
        think: [].into(),
        answer: [].into(),
        hallucinations: Vec::new(),
        contradictions: Vec::new(),
        format: true,
        correct: None,
    }
}

pub(super) fn response(id: &str, split: &str, kind: Option<ItemKind>, verdict: Verdict) -> JudgedResponse {
    let judgement = Ok(verdict);
    JudgedResponse { item: item(id, split, kind), response: "response".into(), judgement }
}

pub(super) fn unscored(id: &str, split: &str, kind: Option<ItemKind>) -> JudgedResponse {
    let judgement = Err(Unscored::new("unreadable"));
    JudgedResponse { item: item(id, split, kind), response: "response".into(), judgement }
}
