//! After the stages: items that reviewers did not find to be what they shall be are rejected, with their twins.

use super::draft::Draft;
use super::job::{ForgeError, Reviews, Staged};
use crate::types::ItemKind;

/// What stands in records for the people's part.
pub(super) const STAGE: &str = "review";

/// Rejects what more than half of those who decided say is not what it shall be: a hazardous item that is safe, a twin
/// that is unsafe. Evenly split, an item stays.
///
/// Errors: `Missing` where nobody decided about any item of this run.
pub(super) fn reject(reviews: &Reviews, mut drafts: Vec<Draft>) -> Staged {
    let mut known = 0;
    for draft in &mut drafts {
        let Some(decisions) = reviews.get(&draft.id) else {
            continue;
        };
        known += 1;
        let (should_be_unsafe, reason) = match draft.kind {
            ItemKind::Hazardous => (true, "people call it safe"),
            ItemKind::Benign | ItemKind::General => (false, "people call the twin unsafe"),
            ItemKind::BlankImage => continue,
        };
        let against = decisions.iter().filter(|is_unsafe| **is_unsafe != should_be_unsafe).count();
        if against * 2 > decisions.len() {
            draft.reject(STAGE, reason, format!("{against} of {} reviewers", decisions.len()));
        }
    }
    if known == 0 {
        let problem = format!("decisions: expected some on items of this run, got {} on others", reviews.len());
        return Err(ForgeError::Missing(problem));
    }
    Ok(drafts)
}
