//! Paired differences as tables: what changed on the same items, and how sure it is.

use super::numbers::{NONE, probability, signed};
use super::tables::{Cell, Grid, Row, heading};
use crate::eval::{Comparison, Difference, SplitComparison};

/// Paired differences: one table for each baseline, models side by side.
pub(super) fn grids(comparisons: &[Comparison]) -> Vec<Grid> {
    let mut baselines: Vec<&str> = comparisons
        .iter()
        .map(|comparison| comparison.baseline.as_str())
        .collect();
    baselines.dedup();
    baselines
        .into_iter()
        .map(|baseline| difference_grid(baseline, comparisons))
        .collect()
}

fn difference_grid(baseline: &str, comparisons: &[Comparison]) -> Grid {
    let models: Vec<&Comparison> = comparisons.iter().filter(|one| one.baseline == baseline).collect();
    let mut rows = Vec::new();
    for (split, rate) in compared_figures(&models) {
        let difference = |one: &&Comparison| find(one, &split).and_then(|found| found.rates.get(rate)).copied();
        let cells = models.iter().map(|one| difference_cell(difference(one))).collect();
        rows.push(Row::Figures {
            name: format!("{}, {split}", heading(rate)),
            cells,
        });
    }
    let mut head = vec!["Percentage points".to_owned()];
    head.extend(models.iter().map(|one| one.model.clone()));
    let caption = format!(
        "Differences from {baseline} on the same items, with 95 % intervals (Newcombe's, paired) and McNemar's exact p. \
         Bold: the interval leaves out zero. Items that either model's judge left unscored are out."
    );
    Grid { caption, head, rows }
}

fn find<'a>(comparison: &'a Comparison, split: &str) -> Option<&'a SplitComparison> {
    comparison.splits.iter().find(|one| one.split == split)
}

/// The figures worth a row: what each split is about, and on `hard` and over all splits the quality of thinking.
fn compared_figures(models: &[&Comparison]) -> Vec<(String, &'static str)> {
    let mut splits: Vec<&SplitComparison> = Vec::new();
    for split in models.iter().flat_map(|one| &one.splits) {
        if !splits.iter().any(|known| known.split == split.split) {
            splits.push(split);
        }
    }
    let mut figures = Vec::new();
    for split in &splits {
        let wanted: &[&str] = match split.split.as_str() {
            "all" => &["think_safety", "hallucination", "contradiction"],
            "hard" => &["asr", "rsr", "think_safety", "hallucination", "contradiction"],
            _ => &["asr", "refusal", "over_refusal", "accuracy"],
        };
        let present = wanted.iter().filter(|rate| split.rates.contains_key(**rate));
        figures.extend(present.map(|rate| (split.split.clone(), *rate)));
    }
    figures
}

fn difference_cell(difference: Option<Difference>) -> Cell {
    let Some(difference) = difference else {
        return Cell::plain(NONE);
    };
    let p = difference
        .p
        .map_or_else(String::new, |p| format!("; p {}", probability(p)));
    Cell {
        figure: signed(difference.difference),
        detail: Some(format!("{} to {}{p}", signed(difference.low), signed(difference.high))),
        strong: difference.low > 0.0 || difference.high < 0.0,
    }
}
