//! Films and sound: a row that shows one is an error when it is checked, and is left out of a conversion. What would be
//! left of it is a question about nothing.

use align::types::{Message, media_placeholder_in};

use crate::record::Record;
use rows::{Problem, ProblemKind};

/// The problem that a row shows a film or sound, which stands there.
pub(crate) fn media_problem(place: &str) -> Problem {
    let message = format!("`{place}` holds a video or audio: expected text and images only");
    Problem::new(ProblemKind::Media, message)
}

/// The problem that a text marks a film or sound, if it does.
pub(crate) fn marked_media(text: &str) -> Option<Problem> {
    let placeholder = media_placeholder_in(text)?;
    let message = format!("`{placeholder}` in the text stands for a video or audio: expected text and images only");
    Some(Problem::new(ProblemKind::Media, message))
}

/// The problem that a record's text has the mark of a film or sound where marks are words, if it does.
pub(crate) fn marked_in_words(record: &Record) -> Option<Problem> {
    let mut texts = record.item.messages.iter().map(Message::plain_text);
    let placeholder = texts.find_map(|text| media_placeholder_in(&text))?;
    let message = format!("`{placeholder}` is read as words; other tools take it for a video or audio");
    Some(Problem::new(ProblemKind::MediaWords, message))
}
