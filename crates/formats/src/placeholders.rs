//! `<image>` in text: how most layouts say where a picture stands.

use align::types::{Message, Part, Role};

use crate::fault::{Fault, FaultKind};
use crate::record::Picture;

/// What stands in text for a picture.
pub(crate) const PLACEHOLDER: &str = "<image>";

/// What is done with pictures that no placeholder stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unplaced {
    /// They are a fault.
    Refused,
    /// Where there is no placeholder at all, they are shown before the first question.
    First,
}

/// A message as text with placeholders.
///
/// Errors: where the text itself holds one, which would be read as a picture.
pub(crate) fn text_of(message: &Message) -> Result<String, String> {
    let mut text = String::new();
    for part in &message.content {
        match part {
            Part::Text { text: words } => text.push_str(words),
            Part::Image { .. } => text.push_str(PLACEHOLDER),
        }
    }
    let pictures = message
        .content
        .iter()
        .filter(|part| matches!(part, Part::Image { .. }))
        .count();
    if text.matches(PLACEHOLDER).count() == pictures {
        Ok(text)
    } else {
        Err(format!(
            "its text holds `{PLACEHOLDER}`, which would be read as a picture"
        ))
    }
}

/// Messages from texts with placeholders and the pictures that these stand for, in order.
///
/// Where the two disagree in number a fault is noted; the pictures then stand as far as they go, and what is left over
/// stands at the end of the first question, so that they can still be looked at.
pub(crate) fn messages(
    texts: Vec<(Role, String)>,
    pictures: &[Picture],
    unplaced: Unplaced,
    faults: &mut Vec<Fault>,
) -> Vec<Message> {
    let placeholders: usize = texts.iter().map(|(_, text)| text.matches(PLACEHOLDER).count()).sum();
    let shown_first = placeholders == 0 && unplaced == Unplaced::First;
    if placeholders != pictures.len() && !shown_first {
        let kind = if placeholders > pictures.len() {
            FaultKind::TooFewImages
        } else {
            FaultKind::TooManyImages
        };
        let problem = format!(
            "expected as many `{PLACEHOLDER}` as pictures, got {placeholders} and {}",
            pictures.len()
        );
        faults.push(Fault::new(kind, problem));
    }
    let mut left = pictures.iter().map(|picture| Part::Image {
        image: picture.part_path(),
    });
    let mut messages: Vec<Message> = texts
        .into_iter()
        .map(|(role, text)| Message {
            role,
            content: parts(&text, &mut left),
        })
        .collect();
    let left: Vec<Part> = left.collect();
    if let Some(question) = messages.iter_mut().find(|message| message.role == Role::User) {
        let place = if shown_first { 0 } else { question.content.len() };
        question.content.splice(place..place, left);
    }
    messages
}

fn parts(text: &str, pictures: &mut impl Iterator<Item = Part>) -> Vec<Part> {
    let mut content = Vec::new();
    for (index, words) in text.split(PLACEHOLDER).enumerate() {
        if index > 0 {
            content.extend(pictures.next());
        }
        if !words.is_empty() {
            content.push(Part::Text { text: words.to_owned() });
        }
    }
    content
}
