//! What became of drafts: counts by stage, by sub-category and split.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Draft, Split, Taxonomy};
use crate::types::ItemKind;

/// What became of the drafts that entered a stage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StageCounts {
    /// The stage.
    pub stage: String,
    /// Drafts that it was given or made, twins included.
    pub entered: usize,
    /// Those that go on.
    pub kept: usize,
    /// The others by reason.
    pub rejected: BTreeMap<String, usize>,
}

impl StageCounts {
    pub(super) fn of(stage: &str, drafts: &[Draft]) -> Self {
        let mut rejected = BTreeMap::new();
        for rejection in drafts.iter().filter_map(|draft| draft.rejected.as_ref()) {
            *rejected.entry(rejection.reason.clone()).or_default() += 1;
        }
        Self {
            stage: stage.to_owned(),
            entered: drafts.len(),
            kept: drafts.iter().filter(|draft| draft.is_kept()).count(),
            rejected,
        }
    }

    /// The reason of most rejections.
    pub(super) fn most_frequent_reason(&self) -> String {
        let most = self.rejected.iter().max_by_key(|(_, count)| **count);
        most.map_or_else(|| "nothing entered".to_owned(), |(reason, _)| reason.clone())
    }
}

/// Items of a sub-category.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SubcategoryCounts {
    /// The category.
    pub category: String,
    /// The sub-category.
    pub subcategory: String,
    /// Hazardous items by split.
    pub splits: BTreeMap<Split, usize>,
    /// Most hazardous items that were wanted beside the split `real`; none for any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<usize>,
    /// How many of them are missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<usize>,
}

/// The run's summary: `summary.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ForgeSummary {
    /// Stage by stage.
    pub stages: Vec<StageCounts>,
    /// Hazardous items.
    pub hazardous: usize,
    /// Benign twins.
    pub benign: usize,
    /// Black-image twins.
    pub black: usize,
    /// Labelled items.
    pub labelled: usize,
    /// By sub-category.
    pub subcategories: Vec<SubcategoryCounts>,
}

impl ForgeSummary {
    pub(super) fn new(taxonomy: &Taxonomy, stages: Vec<StageCounts>, drafts: &[Draft]) -> Self {
        let count = |kind| drafts.iter().filter(|draft| draft.kind == kind).count();
        let subcategories = taxonomy.subcategories().map(|(category, subcategory)| {
            let mut splits = BTreeMap::new();
            let of_it = drafts
                .iter()
                .filter(|draft| draft.kind == ItemKind::Hazardous && draft.subcategory == subcategory.name);
            for split in of_it.filter_map(|draft| draft.split) {
                *splits.entry(split).or_default() += 1;
            }
            let own: usize = splits
                .iter()
                .filter(|(split, _)| **split != Split::Real)
                .map(|(_, count)| count)
                .sum();
            let target = (subcategory.target > 0).then_some(subcategory.target);
            SubcategoryCounts {
                category: category.name.clone(),
                subcategory: subcategory.name.clone(),
                splits,
                target,
                missing: target.map(|target| target.saturating_sub(own)),
            }
        });
        Self {
            stages,
            hazardous: count(ItemKind::Hazardous),
            benign: count(ItemKind::Benign),
            black: count(ItemKind::BlankImage),
            labelled: drafts.iter().filter(|draft| draft.label.is_some()).count(),
            subcategories: subcategories.collect(),
        }
    }

    /// The summary as text: stages, then sub-categories by split.
    pub fn text(&self) -> String {
        let mut text = format!("{:<14}{:>8}{:>8}{:>10}\n", "stage", "entered", "kept", "rejected");
        for counts in &self.stages {
            let rejected = counts.entered - counts.kept;
            text.push_str(&format!(
                "{:<14}{:>8}{:>8}{rejected:>10}\n",
                counts.stage, counts.entered, counts.kept
            ));
            for (reason, count) in &counts.rejected {
                text.push_str(&format!("    {count:>5}  {reason}\n"));
            }
        }
        text.push_str(&format!("\n{:<36}", "hazardous items"));
        Split::ALL
            .iter()
            .for_each(|split| text.push_str(&format!("{:>7}", split.name())));
        text.push_str("  missing\n");
        for counts in &self.subcategories {
            text.push_str(&format!("{:<36}", counts.subcategory));
            for split in Split::ALL {
                text.push_str(&format!("{:>7}", counts.splits.get(&split).unwrap_or(&0)));
            }
            let missing = counts
                .missing
                .map_or_else(|| "-".to_owned(), |missing| missing.to_string());
            text.push_str(&format!("{missing:>9}\n"));
        }
        text.push_str(&format!(
            "\n{} hazardous items, {} benign twins, {} black-image twins, {} labelled",
            self.hazardous, self.benign, self.black, self.labelled
        ));
        text
    }
}
