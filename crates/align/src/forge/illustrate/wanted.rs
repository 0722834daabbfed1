//! Images that drafts need: where they come from, where they go, how they are kept.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::files::write_atomically;
use crate::forge::draft::Draft;
use crate::paint::Painting;

/// Where images come from.
pub(in crate::forge) struct ImageSource<'a> {
    /// The stage that wants them.
    pub stage: &'static str,
    /// What to choose from; nothing to paint.
    pub pool: &'a [PathBuf],
    /// The first prompt of the painter.
    pub prompt: &'a str,
    /// Whether the judge looks and may have them painted once more.
    pub refine: bool,
}

/// An image that is wanted: of which draft, in which place, by which prompt.
pub(super) struct Wanted {
    pub draft: usize,
    pub place: usize,
    pub prompt: String,
}

/// Gives a draft the image of one of its things.
pub(super) fn put(draft: &mut Draft, place: usize, path: PathBuf) {
    if draft.images.len() < draft.objects.len() {
        draft.images.resize(draft.objects.len(), PathBuf::new());
    }
    draft.images[place] = path;
}

/// Passes images that can be decoded.
pub(super) fn check(painting: Painting) -> Result<Painting, String> {
    match image::load_from_memory(&painting.bytes) {
        Ok(_) => Ok(painting),
        Err(error) => Err(format!("an image that cannot be read: {error}")),
    }
}

/// Keeps an image below the run's folder; returns its path there.
pub(super) fn keep(folder: &Path, painting: &Painting) -> std::io::Result<PathBuf> {
    let digest = Sha256::digest(&painting.bytes);
    let hash: String = digest.iter().take(10).map(|byte| format!("{byte:02x}")).collect();
    let path = Path::new("images").join(format!("{hash}.{}", painting.format.extension()));
    if !folder.join(&path).exists() {
        write_atomically(&folder.join(&path), &painting.bytes)?;
    }
    Ok(path)
}
