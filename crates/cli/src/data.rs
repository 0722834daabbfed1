//! Data files, with what a command requires of each item.

use std::cell::RefCell;
use std::path::Path;

use align::types::{Dialogues, Item, Part, Role};
use benchmarks::{Suite, TestOnly};
use diagnostic::excerpt;

use crate::errors::{Failure, Result};

/// Reads a file of items and checks each; `problem` says what is wrong with an item, or nothing.
///
/// Errors: what [`Dialogues`] returns; a [`Failure`] of data naming file, line, item and problem.
pub fn read_checked(path: &Path, problem: impl Fn(&Item) -> Option<String>) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    for_each_checked(Dialogues::open(path)?, path, problem, |_, item| items.push(item))?;
    Ok(items)
}

/// As [`read_checked`], each item with its line.
///
/// Errors: those of [`read_checked`].
pub fn read_checked_lines(path: &Path, problem: impl Fn(&Item) -> Option<String>) -> Result<Vec<(usize, Item)>> {
    let mut items = Vec::new();
    for_each_checked(Dialogues::open(path)?, path, problem, |line, item| items.push((line, item)))?;
    Ok(items)
}

/// Checks each item of a file as [`read_checked`] does, but for its id, and keeps none: a file of any length takes the
/// same memory.
///
/// Errors: those of [`read_checked`].
pub fn check_each(path: &Path, problem: impl Fn(&Item) -> Option<String>) -> Result {
    for_each_checked(Dialogues::open(path)?.with_ids_unchecked(), path, problem, |_, _| ())
}

fn for_each_checked(
    mut items: Dialogues<Item>,
    path: &Path,
    problem: impl Fn(&Item) -> Option<String>,
    mut take: impl FnMut(usize, Item),
) -> Result {
    while let Some(item) = items.next().transpose()? {
        if let Some(problem) = problem(&item) {
            let (path, line) = (path.display(), items.line());
            return Err(Failure::data(format!("{path}:{line}: item `{}`: {problem}", excerpt(&item.id))));
        }
        take(items.line(), item);
    }
    Ok(())
}

/// What is wrong with an item of a file that is to be trained on: it is of a benchmark that forbids it, or what `problem`
/// says.
///
/// Errors: of data where the whole file lies in the folder of such a benchmark.
pub fn trainable(path: &Path, problem: impl Fn(&Item) -> Option<String>) -> Result<impl Fn(&Item) -> Option<String>> {
    check_no_test_set(path)?;
    let test_only = RefCell::new(TestOnly::default());
    Ok(move |item: &Item| {
        let suite = test_only.borrow_mut().of_item(item);
        suite.map(Suite::forbids_training).or_else(|| problem(item))
    })
}

/// Fails where a file or folder is, or lies in, the folder of a benchmark that forbids training.
///
/// Errors: of data naming the benchmark and its license.
pub fn check_no_test_set(path: &Path) -> Result {
    match TestOnly::default().of_file(path) {
        None => Ok(()),
        Some(suite) => Err(Failure::data(suite.forbids_training()).at(&path.display().to_string())),
    }
}

/// An engine's complaint about an item, with file and line where one of these files holds it; any other error is what
/// it is.
pub fn located(error: impl Into<Failure>, files: &[impl AsRef<Path>]) -> Failure {
    let failure = error.into();
    let Some(id) = failure.diagnosis.item.as_deref() else {
        return failure;
    };
    for file in files.iter().map(AsRef::as_ref) {
        if let Some(line) = line_of(file, id) {
            return failure.at(&format!("{}:{line}", file.display()));
        }
    }
    failure
}

fn line_of(file: &Path, id: &str) -> Option<usize> {
    let mut items = Dialogues::<Item>::open(file).ok()?.with_ids_unchecked();
    while let Some(Ok(item)) = items.next() {
        if item.id == id {
            return Some(items.line());
        }
    }
    None
}

/// Fails where results would be written over the data they are made of.
///
/// Errors: of settings naming both.
pub fn check_apart(data: &Path, out: &Path) -> Result<(), Failure> {
    let same = match (fs_err::canonicalize(data), fs_err::canonicalize(out)) {
        (Ok(data), Ok(out)) => data == out,
        _ => false,
    };
    if !same {
        return Ok(());
    }
    let problem = format!("--out {}: expected another file than --data, got the same", out.display());
    Err(Failure::settings(problem).hint("it would be overwritten"))
}

/// What is wrong with a prompt that the exact judge is to judge: it must say what is true.
pub fn without_truth(item: &Item) -> Option<String> {
    item.truth.is_none().then(|| "expected a field `truth` for the judge, got none".to_owned())
}

/// What is wrong with a sample that is to be learned: it must end with the assistant's message.
pub fn without_reply(item: &Item) -> Option<String> {
    let speaker = match item.messages.last()?.role {
        Role::Assistant => return image_in_reply(item),
        Role::User => "user's",
        Role::System => "system's",
    };
    Some(format!("expected the last message to be the assistant's, got the {speaker}"))
}

/// A reply is learned and scored as text, so that an image in it would be lost.
fn image_in_reply(item: &Item) -> Option<String> {
    let reply = item.messages.last()?;
    let has_image = reply.content.iter().any(|part| matches!(part, Part::Image { .. }));
    has_image.then(|| "expected text alone in the assistant's message, got an image".to_owned())
}
