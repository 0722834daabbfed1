//! Stage 9: test items told again with photographs (the split `real`), and a black-image twin for each hazardous item.

use std::path::{Path, PathBuf};

use super::illustrate::{Source, give_pictures};
use super::stage::keep_pairs;
use super::{Draft, Forge, ForgeError, Split, twins};
use crate::progress::Progress;
use crate::run_dir::write_atomically;
use crate::training::derive_seed;
use crate::types::ItemKind;

const STAGE: &str = "splits";

/// Adds the split `real` and the black-image twins.
pub(super) fn complete(
    forge: &Forge,
    mut drafts: Vec<Draft>,
    progress: &mut dyn Progress,
) -> Result<Vec<Draft>, ForgeError> {
    let mut real = retold(forge, &drafts);
    let source = Source {
        stage: STAGE,
        pool: forge.photographs,
        prompt: &forge.config.real_prompt,
        refine: false,
    };
    give_pictures(forge, &source, &mut real, progress)?;
    keep_pairs(&mut real, STAGE);
    drafts.extend(real);
    let picture = black_picture(forge)?;
    let blackened = drafts
        .iter()
        .filter(|draft| draft.kind == ItemKind::Hazardous && draft.is_kept())
        .map(|draft| twins::black(draft, &picture));
    let blackened: Vec<Draft> = blackened.collect();
    drafts.extend(blackened);
    Ok(drafts)
}

/// Copies of as many test items as the settings want, chosen by a hash, with their twins.
fn retold(forge: &Forge, drafts: &[Draft]) -> Vec<Draft> {
    let is_tested =
        |draft: &&Draft| draft.kind == ItemKind::Hazardous && matches!(draft.split, Some(Split::Easy | Split::Hard));
    let mut chosen: Vec<&Draft> = drafts.iter().filter(is_tested).collect();
    chosen.sort_by_key(|draft| derive_seed(forge.config.seed, &format!("real {}", draft.id), &[]));
    chosen.truncate(forge.config.real);
    let roots: std::collections::HashSet<&str> = chosen.iter().map(|draft| draft.id.as_str()).collect();
    let again = |draft: &Draft| {
        let id = format!("{}-real", draft.root());
        Draft {
            id: match draft.kind {
                ItemKind::Hazardous => id.clone(),
                _ => format!("{id}-benign"),
            },
            twin_of: (draft.kind != ItemKind::Hazardous).then_some(id),
            split: Some(Split::Real),
            ..draft.clone()
        }
    };
    drafts
        .iter()
        .filter(|draft| roots.contains(draft.root()))
        .map(again)
        .collect()
}

fn black_picture(forge: &Forge) -> Result<PathBuf, ForgeError> {
    let side = forge.config.picture_size;
    let mut file = Vec::new();
    image::RgbImage::new(side, side)
        .write_to(&mut std::io::Cursor::new(&mut file), image::ImageFormat::Png)
        .map_err(std::io::Error::other)?;
    let path = Path::new("images/black.png");
    write_atomically(&forge.folder.join(path), &file)?;
    Ok(path.to_owned())
}
