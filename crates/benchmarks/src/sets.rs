//! Evaluation sets that training prompts are compared with: our own files of items, and published benchmarks.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use align::types::{DataError, Item, ItemKind, Part, image_paths, read_items};
use diagnostic::{Diagnosis, Diagnostic, Kind};

use crate::images::Images;
use crate::interleaved::interleaved;
use crate::reader::{QUESTION, question};
use crate::suites::{UnknownSuite, suite};

/// Why an evaluation set cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// A file of it could not be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A folder was given under a name that no benchmark has.
    #[error("{}: expected a file of items, got a folder; {problem}", path.display())]
    Unknown {
        /// The folder.
        path: PathBuf,
        /// The name and those that there are.
        problem: UnknownSuite,
    },
}

impl Diagnostic for SetError {
    fn diagnosis(&self) -> Diagnosis {
        match self {
            Self::Data(error) => error.diagnosis(),
            Self::Unknown { .. } => Kind::Settings.into(),
        }
    }
}

/// Reads an evaluation set: a file of items, or the folder of the benchmark of this name, or the folder above. Images that
/// come as bytes go where `images` says. Where a benchmark puts words around its questions, an item of each question alone, in
/// words, comes with them.
///
/// Errors: [`SetError`] naming the file or folder.
pub fn read_set(name: &str, path: &Path, images: &mut Images) -> Result<Vec<Item>, SetError> {
    if !path.is_dir() {
        return Ok(read_items(path)?);
    }
    let suite = suite(name).map_err(|problem| SetError::Unknown { path: path.to_owned(), problem })?;
    let loaded = suite.load_any(path, images)?;
    // Texts can be compared with texts, where the images are published nowhere.
    if loaded.unshown.is_none() {
        loaded.check_complete()?;
    }
    let bare = bare_questions(&loaded.items);
    Ok(loaded.items.into_iter().chain(bare).collect())
}

/// An item for each question that is not the whole text of its own. Questions of general ability that several items share,
/// such as those of a family of puzzles, are left out: images and options tell these apart.
fn bare_questions(items: &[Item]) -> Vec<Item> {
    let mut having: HashMap<&str, usize> = HashMap::new();
    for question in items.iter().filter_map(question_of) {
        *having.entry(question).or_default() += 1;
    }
    let (mut bare, mut seen) = (Vec::new(), HashSet::new());
    for item in items {
        let Some(asked) = question_of(item) else { continue };
        let is_whole = item.prompt().iter().any(|message| message.plain_text() == asked);
        let is_of_images = item.kind == Some(ItemKind::General) && having[asked] > 1;
        if !is_whole && !is_of_images && seen.insert(asked) {
            bare.push(in_words(asked, item));
        }
    }
    bare
}

fn question_of(item: &Item) -> Option<&str> {
    item.truth.as_ref()?.get(QUESTION)?.as_str()
}

/// A question in words, without marks for its images.
fn in_words(asked: &str, item: &Item) -> Item {
    let images: Vec<PathBuf> = image_paths(item.prompt()).map(Path::to_owned).collect();
    let placed = interleaved(item.id.clone(), asked, &images);
    let mut bare = placed.unwrap_or_else(|_| question(item.id.clone(), [], asked));
    for message in &mut bare.messages {
        message.content.retain(|part| matches!(part, Part::Text { .. }));
    }
    bare
}
