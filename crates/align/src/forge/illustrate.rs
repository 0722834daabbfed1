//! An image of each thing: painted in up to two rounds, or found in a folder. Images stand below `images/` under the
//! hash of their content.

mod finding;
mod painting;
mod wanted;

use std::collections::HashMap;
use std::path::PathBuf;

use super::draft::{Draft, keep_pairs};
use super::job::{Forge, ForgeError, Staged};
use crate::progress::Progress;
use crate::types::ItemKind;

use finding::find;
use painting::{paint, refine};
use wanted::Wanted;

pub(super) use wanted::ImageSource;

const STAGE: &str = "pictures";

/// Gives every draft its images; twins share those of the things that they share.
pub(super) fn illustrate(forge: &Forge, mut drafts: Vec<Draft>, progress: &mut dyn Progress) -> Staged {
    let source = ImageSource {
        stage: STAGE,
        pool: forge.image_pool,
        prompt: &forge.config.image_prompt,
        refine: forge.config.refine,
    };
    give_images(forge, &source, &mut drafts, progress)?;
    Ok(drafts)
}

/// Hazardous items first, then their twins, which take over what they share.
pub(super) fn give_images(
    forge: &Forge,
    source: &ImageSource,
    drafts: &mut [Draft],
    progress: &mut dyn Progress,
) -> Result<(), ForgeError> {
    let hazardous = wanted(source, drafts, |draft, _| draft.kind == ItemKind::Hazardous);
    drafts.iter_mut().for_each(|draft| draft.images = Vec::new());
    make(forge, source, drafts, &hazardous, progress)?;
    share(drafts, source.stage);
    let missing = wanted(source, drafts, |draft, place| {
        draft.kind == ItemKind::Benign && draft.is_kept() && draft.images[place].as_os_str().is_empty()
    });
    make(forge, source, drafts, &missing, progress)
}

fn wanted(source: &ImageSource, drafts: &[Draft], is_wanted: impl Fn(&Draft, usize) -> bool) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    for (index, draft) in drafts.iter().enumerate() {
        for (place, object) in draft.objects.iter().enumerate() {
            if is_wanted(draft, place) {
                wanted.push(Wanted { draft: index, place, prompt: source.prompt.replace("{object}", object) });
            }
        }
    }
    wanted
}

/// Gives twins the images of what they share with their hazardous items; the other places stay empty.
fn share(drafts: &mut [Draft], stage: &str) {
    let mut originals: HashMap<String, (Vec<String>, Vec<PathBuf>)> = HashMap::new();
    for draft in drafts.iter() {
        if draft.kind == ItemKind::Hazardous && draft.is_kept() {
            originals.insert(draft.id.clone(), (draft.objects.clone(), draft.images.clone()));
        }
    }
    for draft in drafts.iter_mut().filter(|draft| draft.kind == ItemKind::Benign) {
        let Some((objects, images)) = originals.get(draft.root()) else {
            continue;
        };
        draft.images = draft
            .objects
            .iter()
            .zip(objects)
            .zip(images)
            .map(|((own, others), image)| if own == others { image.clone() } else { PathBuf::new() })
            .collect();
    }
    // A twin whose hazardous item has no images is rejected with it.
    keep_pairs(drafts, stage);
}

fn make(
    forge: &Forge,
    source: &ImageSource,
    drafts: &mut [Draft],
    wanted: &[Wanted],
    progress: &mut dyn Progress,
) -> Result<(), ForgeError> {
    if !source.pool.is_empty() {
        return find(forge, source, drafts, wanted, progress);
    }
    paint(forge, source, drafts, wanted, 1, progress)?;
    if source.refine {
        let again = refine(forge, source, drafts, wanted, progress)?;
        paint(forge, source, drafts, &again, 2, progress)?;
    }
    Ok(())
}
