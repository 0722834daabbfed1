//! Items that are in an evaluation set: what is to be trained on or tested must be new.

use super::draft::{Draft, keep_pairs};
use super::job::Forge;
use crate::decontamination::Cause;

/// Rejects drafts whose text or an image of theirs is in an evaluation set, with their twins.
pub(super) fn reject(forge: &Forge, drafts: &mut [Draft], stage: &str) {
    let Some(decontaminator) = forge.decontaminator else {
        return;
    };
    for draft in drafts.iter_mut().filter(|draft| draft.is_kept()) {
        match decontaminator.cause(&draft.messages(forge.folder)) {
            None => (),
            Some(Cause::Text { set, item, similarity }) => {
                draft.reject(stage, "its text is in an evaluation set", format!("{set}: {item}: {similarity:.2}"));
            }
            Some(Cause::Image { set, item, similarity, .. }) => {
                draft.reject(stage, "an image is in an evaluation set", format!("{set}: {item}: {similarity:.2}"));
            }
            Some(Cause::Unreadable { problem, .. }) => draft.reject(stage, UNREADABLE, problem),
        }
    }
    keep_pairs(drafts, stage);
}

/// The reason of drafts whose images cannot be compared.
pub(super) const UNREADABLE: &str = "an image cannot be read";
