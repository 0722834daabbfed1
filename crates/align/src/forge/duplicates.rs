//! Near-duplicates: of items that say or show nearly the same, the first is kept; of those in an evaluation set, none.

use std::collections::{HashMap, HashSet};

use super::contaminated::{self, UNREADABLE};
use super::draft::Draft;
use super::job::{Forge, Staged};
use crate::decontamination::image::{GrayImage, ImageHash};
use crate::decontamination::text::words;
use crate::progress::Progress;
use crate::types::ItemKind;

const STAGE: &str = "unique";
/// Words of a piece of text.
const PIECE_WORDS: usize = 3;

/// Rejects items that are in an evaluation set, and hazardous ones that are near-duplicates of earlier ones.
#[expect(clippy::unnecessary_wraps, reason = "every stage has this form")]
pub(super) fn reject(forge: &Forge, mut drafts: Vec<Draft>, _progress: &mut dyn Progress) -> Staged {
    contaminated::reject(forge, &mut drafts, STAGE);
    let mut texts = Texts::default();
    let mut images: Vec<(String, Hashes)> = Vec::new();
    for draft in drafts.iter_mut().filter(|draft| draft.kind == ItemKind::Hazardous && draft.is_kept()) {
        let pieces = pieces(&format!("{} {}", draft.request, draft.query));
        if let Some((earlier, similarity)) = texts.most_similar(&pieces)
            && similarity >= forge.config.text_similarity
        {
            draft.reject(STAGE, "nearly the words of an earlier item", format!("{earlier}: {similarity:.2}"));
            continue;
        }
        let hashes = match hashes(forge, draft) {
            Ok(hashes) => hashes,
            Err(problem) => {
                draft.reject(STAGE, UNREADABLE, problem);
                continue;
            }
        };
        let limit = forge.config.image_distance;
        if let Some((earlier, _)) = images.iter().find(|(_, others)| are_near(&hashes, others, limit)) {
            draft.reject(STAGE, "nearly the images of an earlier item", earlier.clone());
            continue;
        }
        texts.add(&draft.id, pieces);
        images.push((draft.id.clone(), hashes));
    }
    Ok(drafts)
}

/// Every run of three words; of shorter texts, the whole.
fn pieces(text: &str) -> HashSet<String> {
    let words = words(text);
    if words.len() < PIECE_WORDS {
        return HashSet::from([words.join(" ")]);
    }
    words.windows(PIECE_WORDS).map(|piece| piece.join(" ")).collect()
}

/// Texts by their pieces, so that only those that share one are compared.
#[derive(Default)]
struct Texts {
    names: Vec<(String, usize)>,
    by_piece: HashMap<String, Vec<usize>>,
}

impl Texts {
    fn add(&mut self, name: &str, pieces: HashSet<String>) {
        let index = self.names.len();
        self.names.push((name.to_owned(), pieces.len()));
        for piece in pieces {
            self.by_piece.entry(piece).or_default().push(index);
        }
    }

    /// The text with the largest Jaccard similarity, the first of several.
    fn most_similar(&self, pieces: &HashSet<String>) -> Option<(&str, f64)> {
        let mut shared: HashMap<usize, usize> = HashMap::new();
        for index in pieces.iter().filter_map(|piece| self.by_piece.get(piece)).flatten() {
            *shared.entry(*index).or_default() += 1;
        }
        shared
            .into_iter()
            .map(|(index, shared)| {
                let union = self.names[index].1 + pieces.len() - shared;
                (shared as f64 / union as f64, index)
            })
            .max_by(|one, other| one.0.total_cmp(&other.0).then(other.1.cmp(&one.1)))
            .map(|(similarity, index)| (self.names[index].0.as_str(), similarity))
    }
}

/// A hash for each image; none for a blank one.
type Hashes = Vec<Option<ImageHash>>;

fn hashes(forge: &Forge, draft: &Draft) -> Result<Hashes, String> {
    let mut hashes = Vec::new();
    for image in &draft.images {
        let path = forge.folder.join(image);
        let bytes = fs_err::read(&path).map_err(|error| error.to_string())?;
        let image = image::load_from_memory(&bytes).map_err(|error| format!("{}: {error}", path.display()))?;
        let image = image.to_rgb8();
        let gray = GrayImage::from_rgb(image.width() as usize, image.as_raw());
        hashes.push(gray.as_ref().and_then(ImageHash::of));
    }
    Ok(hashes)
}

/// Whether each image is near its counterpart.
fn are_near(one: &[Option<ImageHash>], other: &[Option<ImageHash>], limit: u32) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).all(|pair| match pair {
            (Some(one), Some(other)) => one.distance(*other) <= limit,
            (None, None) => true,
            _ => false,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similarity_is_the_share_of_common_pieces() {
        let mut texts = Texts::default();
        texts.add("a", pieces("put the kettle on the newspaper"));
        texts.add("b", pieces("Put the Kettle, on the newspaper now"));
        let (name, similarity) = texts.most_similar(&pieces("put the kettle on the newspaper!")).unwrap();
        assert_eq!((name, similarity), ("a", 1.0));
        let (_, similarity) = texts.most_similar(&pieces("put the kettle on the straw hat")).unwrap();
        assert!((similarity - 3.0 / 6.0).abs() < 1e-9, "{similarity}");
        assert_eq!(texts.most_similar(&pieces("quite another thing")), None);
    }
}
