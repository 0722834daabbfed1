//! Data files with what a command asks of each item beyond being one.

use std::path::Path;

use align::types::{Item, read_items};

use crate::errors::Failure;

/// Reads a file of items and checks each; `fault` says what is wrong with an item, or nothing.
///
/// Errors: what [`read_items`] returns; a [`Failure`] of data naming file, line, item and fault.
pub fn read_checked(path: &Path, fault: impl Fn(&Item) -> Option<String>) -> anyhow::Result<Vec<Item>> {
    let items = read_items(path)?;
    for (index, item) in items.iter().enumerate() {
        if let Some(problem) = fault(item) {
            let line = line_of(path, index)?;
            return Err(Failure::data(format!("{}:{line}: item `{}`: {problem}", path.display(), item.id)).into());
        }
    }
    Ok(items)
}

/// The line of the item at `index`, counted from one: blank lines hold none.
fn line_of(path: &Path, index: usize) -> std::io::Result<usize> {
    let text = fs_err::read_to_string(path)?;
    let mut filled = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    Ok(filled.nth(index).map_or(0, |(line, _)| line + 1))
}
