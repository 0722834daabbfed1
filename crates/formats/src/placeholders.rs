//! `<image>` in text: how most layouts mark where an image is shown.

use align::types::{Message, Part, Role, media_placeholder_in};
use serde_json::{Value, json};

use crate::media::marked_media;
use crate::roles::TurnNames;
use rows::{Image, Problem, ProblemKind};

/// The text that marks an image.
pub(crate) const PLACEHOLDER: &str = "<image>";

/// What is done with images that have no placeholder.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unplaced {
    /// They are a problem.
    Refused,
    /// If there is no placeholder at all, they are shown before the first question.
    First,
}

/// A message as text with placeholders.
///
/// Errors: where the text itself holds a placeholder, which would be read as an image, a film or sound.
pub(crate) fn text_of(message: &Message) -> Result<String, String> {
    let (mut text, mut n_images) = (String::new(), 0);
    for part in &message.content {
        match part {
            Part::Text { text: words } => text.push_str(words),
            Part::Image { .. } => {
                text.push_str(PLACEHOLDER);
                n_images += 1;
            }
        }
    }
    if text.matches(PLACEHOLDER).count() != n_images {
        return Err(format!("its text contains `{PLACEHOLDER}`, which would be read as an image"));
    }
    match media_placeholder_in(&text) {
        None => Ok(text),
        Some(placeholder) => Err(format!("its text contains `{placeholder}`, which would be read as a video or audio")),
    }
}

/// Messages as a list of objects with a role and a text with placeholders.
///
/// Errors: those of [`text_of`].
pub(crate) fn turns(messages: &[Message], names: &TurnNames) -> Result<Value, String> {
    let mut turns = Vec::new();
    for message in messages {
        turns.push(json!({ (names.role): names.of(message.role), (names.content): text_of(message)? }));
    }
    Ok(turns.into())
}

/// Messages from texts with placeholders, and the images that these mark, in order.
///
/// A problem is noted if their numbers differ. Images are then placed as far as they go, and the rest at the end of the
/// first question, so that all can still be checked.
pub(crate) fn messages(
    texts: Vec<(Role, String)>,
    images: &[Image],
    unplaced: Unplaced,
    problems: &mut Vec<Problem>,
) -> Vec<Message> {
    let n_placeholders: usize = texts.iter().map(|(_, text)| text.matches(PLACEHOLDER).count()).sum();
    let shown_first = n_placeholders == 0 && unplaced == Unplaced::First;
    if n_placeholders != images.len() && !shown_first {
        let message = format!("expected as many `{PLACEHOLDER}` as images, got {n_placeholders} and {}", images.len());
        problems.push(Problem::new(count_mismatch(n_placeholders, images.len()), message));
    }
    let mut left = images.iter().map(Image::part);
    let mut messages = Vec::new();
    for (role, text) in texts {
        problems.extend(marked_media(&text));
        let mut content = Vec::new();
        for (index, words) in text.split(PLACEHOLDER).enumerate() {
            if index > 0 {
                content.extend(left.next());
            }
            if !words.is_empty() {
                content.push(Part::Text { text: words.to_owned() });
            }
        }
        messages.push(Message { role, content });
    }
    if let Some(question) = messages.iter_mut().find(|message| message.role == Role::User) {
        let at = if shown_first { 0 } else { question.content.len() };
        question.content.splice(at..at, left);
    }
    messages
}

/// The kind of problem if the number of placeholders is not that of the images.
pub(crate) fn count_mismatch(n_placeholders: usize, n_images: usize) -> ProblemKind {
    if n_placeholders > n_images { ProblemKind::TooFewImages } else { ProblemKind::TooManyImages }
}
