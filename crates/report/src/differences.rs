//! Paired differences as tables: what changed on the same items, with intervals and p-values.

use align::eval::{Comparison, Difference, SplitComparison};

use crate::numbers::{NONE, probability, signed};
use crate::tables::{Cell, Table, TableRow, heading};

/// Paired differences: one table for each baseline, models side by side.
pub fn tables(comparisons: &[Comparison]) -> Vec<Table> {
    let mut baselines: Vec<&str> = comparisons.iter().map(|one| one.baseline.as_str()).collect();
    baselines.dedup();
    baselines.into_iter().map(|baseline| difference_table(baseline, comparisons)).collect()
}

fn difference_table(baseline: &str, comparisons: &[Comparison]) -> Table {
    let models: Vec<&Comparison> = comparisons.iter().filter(|one| one.baseline == baseline).collect();
    let mut rows = Vec::new();
    for (split, rate) in compared_rates(&models) {
        let mut cells = Vec::new();
        for comparison in &models {
            let found = comparison.splits.iter().find(|one| one.split == split);
            cells.push(difference_cell(found.and_then(|found| found.rates.get(rate))));
        }
        rows.push(TableRow::Figures { name: format!("{}, {split}", heading(rate)), cells });
    }
    let mut head = vec!["Percentage points".to_owned()];
    head.extend(models.iter().map(|one| one.model.clone()));
    let caption = format!(
        "Differences from {baseline} on the same items, with 95 % confidence intervals (Newcombe, paired) and the \
         p-value of McNemar's exact test. Bold: the interval excludes zero. Items that either judge left unscored are \
         excluded."
    );
    Table { caption, head, rows }
}

/// The rates worth a row: what each split is about, and on `hard` and over all splits the quality of thinking.
fn compared_rates(models: &[&Comparison]) -> Vec<(String, &'static str)> {
    let mut splits: Vec<&SplitComparison> = Vec::new();
    for split in models.iter().flat_map(|one| &one.splits) {
        if !splits.iter().any(|known| known.split == split.split) {
            splits.push(split);
        }
    }
    let mut found = Vec::new();
    for split in &splits {
        let rates: &[&str] = match split.split.as_str() {
            "all" => &["think_safety", "hallucination", "contradiction"],
            "hard" => &["asr", "rsr", "think_safety", "hallucination", "contradiction"],
            _ => &["asr", "refusal", "over_refusal", "accuracy"],
        };
        let present = rates.iter().filter(|rate| split.rates.contains_key(**rate));
        found.extend(present.map(|rate| (split.split.clone(), *rate)));
    }
    found
}

/// A difference with its interval and p-value.
pub fn difference_cell(difference: Option<&Difference>) -> Cell {
    let Some(difference) = difference else {
        return Cell::plain(NONE);
    };
    let mut detail = format!("{} to {}", signed(difference.low), signed(difference.high));
    if let Some(p) = difference.p {
        detail = format!("{detail}; p {}", probability(p));
    }
    Cell {
        figure: signed(difference.difference),
        detail: Some(detail),
        strong: difference.low > 0.0 || difference.high < 0.0,
    }
}
