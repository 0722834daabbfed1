//! What became of drafts: counts by stage, by subcategory and split.

use std::collections::BTreeMap;

use serde::Serialize;

use super::draft::{Draft, Split};
use super::taxonomy::{Category, Subcategory, Taxonomy};
use crate::types::ItemKind;

/// What became of the drafts that entered a stage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StageCounts {
    /// The stage.
    pub stage: String,
    /// Drafts that it was given or made, twins included.
    pub entered: usize,
    /// Those that were kept.
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

/// Items of a subcategory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SubcategoryCounts {
    /// The category.
    pub category: String,
    /// The subcategory.
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

impl SubcategoryCounts {
    fn new(category: &Category, subcategory: &Subcategory, drafts: &[Draft]) -> Self {
        let (mut splits, mut own) = (BTreeMap::new(), 0);
        for draft in of_kind(drafts, ItemKind::Hazardous).filter(|draft| draft.subcategory == subcategory.name) {
            if let Some(split) = draft.split {
                *splits.entry(split).or_default() += 1;
                own += usize::from(split != Split::Real);
            }
        }
        let target = (subcategory.target > 0).then_some(subcategory.target);
        Self {
            category: category.name.clone(),
            subcategory: subcategory.name.clone(),
            splits,
            target,
            missing: target.map(|target| target.saturating_sub(own)),
        }
    }
}

fn of_kind(drafts: &[Draft], kind: ItemKind) -> impl Iterator<Item = &Draft> {
    drafts.iter().filter(move |draft| draft.kind == kind)
}

/// The run's summary: `summary.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ForgeSummary {
    /// Stage by stage.
    pub stages: Vec<StageCounts>,
    /// Hazardous items.
    pub hazardous: usize,
    /// Benign-image twins.
    pub benign: usize,
    /// Blank-image twins.
    pub blank: usize,
    /// Labeled items.
    pub labeled: usize,
    /// By subcategory.
    pub subcategories: Vec<SubcategoryCounts>,
}

impl ForgeSummary {
    pub(super) fn new(taxonomy: &Taxonomy, stages: Vec<StageCounts>, drafts: &[Draft]) -> Self {
        Self {
            stages,
            hazardous: of_kind(drafts, ItemKind::Hazardous).count(),
            benign: of_kind(drafts, ItemKind::Benign).count(),
            blank: of_kind(drafts, ItemKind::BlankImage).count(),
            labeled: drafts.iter().filter(|draft| draft.label.is_some()).count(),
            subcategories: taxonomy
                .subcategories()
                .map(|(category, subcategory)| SubcategoryCounts::new(category, subcategory, drafts))
                .collect(),
        }
    }

    /// The summary as text: stages, then subcategories by split.
    pub fn text(&self) -> String {
        let mut text = format!("{:<14}{:>8}{:>8}{:>10}\n", "stage", "entered", "kept", "rejected");
        for counts in &self.stages {
            let rejected = counts.entered - counts.kept;
            text.push_str(&format!("{:<14}{:>8}{:>8}{rejected:>10}\n", counts.stage, counts.entered, counts.kept));
            for (reason, count) in &counts.rejected {
                text.push_str(&format!("    {count:>5}  {reason}\n"));
            }
        }
        text.push_str(&format!("\n{:<36}", "hazardous items"));
        Split::ALL.iter().for_each(|split| text.push_str(&format!("{:>7}", split.name())));
        text.push_str("  missing\n");
        for counts in &self.subcategories {
            text.push_str(&format!("{:<36}", counts.subcategory));
            for split in Split::ALL {
                text.push_str(&format!("{:>7}", counts.splits.get(&split).unwrap_or(&0)));
            }
            let missing = counts.missing.map_or_else(|| "-".to_owned(), |missing| missing.to_string());
            text.push_str(&format!("{missing:>9}\n"));
        }
        text.push_str(&format!(
            "\n{} hazardous items, {} benign-image twins, {} blank-image twins, {} labeled",
            self.hazardous, self.benign, self.blank, self.labeled
        ));
        text
    }
}
