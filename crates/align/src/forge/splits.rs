//! Test items once more with photographs (the split `real`), and a blank-image twin for each hazardous item.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::contaminated;
use super::draft::{Draft, Split, keep_pairs};
use super::illustrate::{ImageSource, give_images};
use super::job::{Forge, ForgeError, Staged};
use super::twins;
use crate::files::write_atomically;
use crate::progress::Progress;
use crate::seeds::derive_seed;
use crate::types::ItemKind;

const STAGE: &str = "splits";

/// Adds the split `real` and the blank-image twins.
pub(super) fn complete(forge: &Forge, mut drafts: Vec<Draft>, progress: &mut dyn Progress) -> Staged {
    let mut real = real(forge, &drafts);
    let source =
        ImageSource { stage: STAGE, pool: forge.photographs, prompt: &forge.config.real_prompt, refine: false };
    give_images(forge, &source, &mut real, progress)?;
    keep_pairs(&mut real, STAGE);
    // Their images are new.
    contaminated::reject(forge, &mut real, STAGE);
    drafts.extend(real);
    let black = black_image(forge)?;
    let hazardous = drafts.iter().filter(|draft| draft.kind == ItemKind::Hazardous && draft.is_kept());
    let blank: Vec<Draft> = hazardous.map(|draft| twins::blank(draft, &black)).collect();
    drafts.extend(blank);
    Ok(drafts)
}

/// Copies of as many test items as the settings want, chosen by a hash, with their twins.
fn real(forge: &Forge, drafts: &[Draft]) -> Vec<Draft> {
    let mut chosen: Vec<&Draft> = drafts
        .iter()
        .filter(|draft| draft.kind == ItemKind::Hazardous && matches!(draft.split, Some(Split::Easy | Split::Hard)))
        .collect();
    chosen.sort_by_key(|draft| derive_seed(forge.config.seed, &format!("real {}", draft.id), &[]));
    chosen.truncate(forge.config.real);
    let roots: HashSet<&str> = chosen.iter().map(|draft| draft.id.as_str()).collect();
    let mut copies = Vec::new();
    for draft in drafts.iter().filter(|draft| roots.contains(draft.root())) {
        let root = format!("{}-real", draft.root());
        let (id, twin_of) =
            if draft.kind == ItemKind::Hazardous { (root, None) } else { (format!("{root}-benign"), Some(root)) };
        copies.push(Draft { id, twin_of, split: Some(Split::Real), ..draft.clone() });
    }
    copies
}

fn black_image(forge: &Forge) -> Result<PathBuf, ForgeError> {
    let side = forge.config.image_size;
    let mut file = Vec::new();
    image::RgbImage::new(side, side)
        .write_to(&mut std::io::Cursor::new(&mut file), image::ImageFormat::Png)
        .map_err(std::io::Error::other)?;
    let path = Path::new("images/black.png");
    write_atomically(&forge.folder.join(path), &file)?;
    Ok(path.to_owned())
}
