//! Stage 8: no subcategory holds more hazardous items than its target.

use std::collections::HashMap;

use super::draft::Draft;
use super::job::{Forge, Staged};
use crate::progress::Progress;
use crate::seeds::derive_seed;
use crate::types::ItemKind;

const STAGE: &str = "balanced";

/// Rejects what is over a target, chosen by a hash of the item's id.
#[expect(clippy::unnecessary_wraps, reason = "every stage has this form")]
pub(super) fn balance(forge: &Forge, mut drafts: Vec<Draft>, _progress: &mut dyn Progress) -> Staged {
    let mut by_subcategory: HashMap<String, Vec<(u64, usize)>> = HashMap::new();
    for (index, draft) in drafts.iter().enumerate() {
        if draft.kind == ItemKind::Hazardous {
            let order = derive_seed(forge.config.seed, &format!("balance {}", draft.id), &[]);
            let items = by_subcategory.entry(draft.subcategory.clone()).or_default();
            items.push((order, index));
        }
    }
    for (_, subcategory) in forge.taxonomy.subcategories().filter(|(_, one)| one.target > 0) {
        let Some(items) = by_subcategory.get_mut(&subcategory.name) else {
            continue;
        };
        items.sort_unstable();
        for (_, index) in items.iter().skip(subcategory.target) {
            let target = format!("{}: {}", subcategory.name, subcategory.target);
            drafts[*index].reject(STAGE, "over its subcategory's target", target);
        }
    }
    Ok(drafts)
}
