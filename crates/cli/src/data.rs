//! Data files with what a command asks of each item beyond being one.

use std::path::Path;

use align::types::{Item, Role, read_items};

use crate::errors::Failure;

/// Reads a file of items and checks each; `fault` says what is wrong with an item, or nothing.
///
/// Errors: what [`read_items`] returns; a [`Failure`] of data naming file, line, item and fault.
pub fn read_checked(path: &Path, fault: impl Fn(&Item) -> Option<String>) -> anyhow::Result<Vec<Item>> {
    let items = read_items(path)?;
    for (index, item) in items.iter().enumerate() {
        if let Some(problem) = fault(item) {
            let line = lines_of_items(path)?[index];
            return Err(Failure::data(format!("{}:{line}: item `{}`: {problem}", path.display(), item.id)).into());
        }
    }
    Ok(items)
}

/// What is wrong with a prompt that the exact judge is to judge: it must say what is true.
pub fn without_truth(item: &Item) -> Option<String> {
    item.truth
        .is_none()
        .then(|| "expected a field `truth` for the judge, got none".to_owned())
}

/// What is wrong with a sample that is to be learnt: it must end with the assistant's message.
pub fn without_reply(item: &Item) -> Option<String> {
    let speaker = match item.messages.last()?.role {
        Role::Assistant => return None,
        Role::User => "user's",
        Role::System => "system's",
    };
    Some(format!(
        "expected the last message to be the assistant's, got the {speaker}"
    ))
}

/// The line of each item, counted from one: blank lines hold none.
pub fn lines_of_items(path: &Path) -> std::io::Result<Vec<usize>> {
    let text = fs_err::read_to_string(path)?;
    let filled = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    Ok(filled.map(|(line, _)| line + 1).collect())
}
