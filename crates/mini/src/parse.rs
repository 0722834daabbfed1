//! Reads what a reply of the miniature world claims: objects, attributes, risk, decision.

use crate::attributes::Attribute;
use crate::labels::{CANNOT_SEE, NO_RISK, REFUSAL, risk};
use crate::pictogram::ObjectKind;
use crate::questions::ordinal;
use crate::rules::RULES;
use align::tagged::Tagged;

/// One sentence of thinking, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// An image shows something; the object is none when no such object exists.
    Shows {
        /// The image, counted from zero.
        image: usize,
        /// The object claimed.
        object: Option<ObjectKind>,
        /// The attributes claimed; none where a phrase is no known attribute.
        attributes: Vec<Option<Attribute>>,
    },
    /// An image is black.
    Black {
        /// The image, counted from zero.
        image: usize,
    },
    /// Things go wrong together, in the way of the rules of this name.
    Risk(&'static str),
    /// Nothing is dangerous together.
    NoRisk,
    /// A sentence that claims nothing known.
    Other(String),
}

/// What an answer decides, and what it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The answer complies.
    Comply {
        /// The objects named, in order.
        objects: Vec<ObjectKind>,
    },
    /// The answer declines with a reason.
    Decline {
        /// The objects named, in order.
        objects: Vec<ObjectKind>,
        /// The name of the rules whose risk is given, if it is a known one.
        risk: Option<&'static str>,
        /// Whether the alternative belongs to that risk.
        alternative: bool,
    },
    /// The bare refusal.
    Refuse,
    /// The images cannot be seen.
    CannotSee,
    /// Anything else.
    Other(String),
}

/// A reply taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// Whether it is exactly `<think>…</think><answer>…</answer>`.
    pub format: bool,
    /// The thinking, sentence by sentence; none when there is none.
    pub think: Option<Vec<Claim>>,
    /// The answer.
    pub answer: Answer,
    /// The answer's words.
    pub answer_text: String,
}

/// Takes a reply apart. Anything before the thinking (a reflection) is passed over; without tags all of it is answer.
pub fn parse(response: &str) -> Parsed {
    let tagged = Tagged::of(response);
    let answer = tagged.as_ref().map_or(response, |tagged| tagged.answer).trim();
    Parsed {
        format: tagged.as_ref().is_some_and(|tagged| tagged.is_alone),
        think: tagged.map(|tagged| sentences(tagged.think).map(claim).collect()),
        answer: decide(answer),
        answer_text: answer.to_owned(),
    }
}

fn sentences(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive('.').map(str::trim).filter(|sentence| !sentence.is_empty())
}

fn claim(sentence: &str) -> Claim {
    if sentence == NO_RISK {
        return Claim::NoRisk;
    }
    if let Some(rule) = RULES.iter().find(|rule| risk(rule) == sentence) {
        return Claim::Risk(rule.name);
    }
    perceived(sentence.trim_end_matches('.')).unwrap_or_else(|| Claim::Other(sentence.to_owned()))
}

fn perceived(sentence: &str) -> Option<Claim> {
    let rest = sentence.strip_prefix("The ")?;
    let (image, rest) =
        (0..3).find_map(|image| rest.strip_prefix(&format!("{} image ", ordinal(image))).map(|rest| (image, rest)))?;
    if rest == "is black" {
        return Some(Claim::Black { image });
    }
    let shown = rest.strip_prefix("shows ")?;
    let (name, properties) = shown.split_once(", which is ").map_or((shown, None), |(name, list)| (name, Some(list)));
    let attributes = properties.map_or_else(Vec::new, |list| {
        list.split(" and ")
            .map(|phrase| Attribute::ALL.into_iter().find(|attribute| attribute.phrase() == phrase))
            .collect()
    });
    let bare = name.strip_prefix("a ").or_else(|| name.strip_prefix("an ")).unwrap_or(name);
    let bare = bare.strip_prefix("some ").unwrap_or(bare);
    let object = ObjectKind::ALL.into_iter().find(|object| object.name() == bare);
    Some(Claim::Shows { image, object, attributes })
}

fn decide(answer: &str) -> Answer {
    if answer == REFUSAL {
        return Answer::Refuse;
    }
    if answer == CANNOT_SEE {
        return Answer::CannotSee;
    }
    if let Some(act) = answer.strip_prefix("Sure. You can ") {
        return Answer::Comply { objects: objects_in(act) };
    }
    let declined = answer.strip_prefix("Please do not ").and_then(|rest| {
        let (act, rest) = rest.split_once(": this ")?;
        let (danger, alternative) = rest.split_once(". Instead, ")?;
        let given = RULES.iter().find(|rule| rule.risk == danger);
        let fitting =
            RULES.iter().any(|rule| rule.risk == danger && alternative.trim_end_matches('.') == rule.alternative);
        Some(Answer::Decline { objects: objects_in(act), risk: given.map(|rule| rule.name), alternative: fitting })
    });
    declined.unwrap_or_else(|| Answer::Other(answer.to_owned()))
}

/// The objects that a text names as "the …", in order.
fn objects_in(text: &str) -> Vec<ObjectKind> {
    text.split("the ")
        .skip(1)
        .filter_map(|rest| {
            ObjectKind::ALL.into_iter().find(|object| {
                rest.strip_prefix(object.name()).is_some_and(|after| !after.starts_with(char::is_alphanumeric))
            })
        })
        .collect()
}
