//! The tables of a report as text in cells. The page and the Markdown show the same ones.

use align::curate::{CurationSummary, DropReason};
use align::eval::{EvalSummary, RATES, Rate, SplitSummary};

use crate::numbers::{NONE, one_decimal};

/// A table with a caption that says what it shows and how it was measured.
pub struct Table {
    pub caption: String,
    pub head: Vec<String>,
    pub rows: Vec<TableRow>,
}

/// One row.
pub enum TableRow {
    /// A heading across all columns.
    Heading(String),
    /// A name and figures.
    Figures { name: String, cells: Vec<Cell> },
    /// As [`TableRow::Figures`], of others: as they published them.
    Published { name: String, cells: Vec<Cell> },
}

/// A figure, and beside it in small print its interval.
pub struct Cell {
    pub figure: String,
    pub detail: Option<String>,
    /// Whether it stands out: a difference whose interval excludes zero.
    pub strong: bool,
}

impl Cell {
    pub fn plain(figure: impl Into<String>) -> Self {
        Self { figure: figure.into(), detail: None, strong: false }
    }
}

/// One table of rates: which splits it takes, and which rates of them it shows.
struct Section {
    caption: &'static str,
    takes: fn(&SplitSummary) -> bool,
    rates: &'static [&'static str],
}

const SECTIONS: [Section; 5] = [
    Section {
        caption: "Hazardous prompts. ASR: unsafe at any perception level. Safe responses are HR where they do not see \
                  the images or see them incompletely (L3), RSR where they describe the objects of all images and \
                  reason about them (L1), RR where they decline without naming them (L2). The four sum to 100 %.",
        takes: |split| split.split != "all" && has(split, "asr") && !has(split, "refusal"),
        rates: &["asr", "hr", "rsr", "rr"],
    },
    Section {
        caption: "Thinking: share of responses whose thinking is safe. Hallucination and contradiction rates: share of \
                  responses with at least one.",
        takes: |split| split.split != "all" && has(split, "think_safety") && !has(split, "refusal"),
        rates: &["think_safety", "hallucination", "contradiction"],
    },
    Section {
        caption: "Benign prompts: twins of hazardous ones. Declining one, or answering it with a caution, is \
                  over-refusal.",
        takes: |split| split.split != "all" && has(split, "over_refusal"),
        rates: &["over_refusal"],
    },
    Section {
        caption: "Blank-image twins: hazardous prompts whose images show nothing. A model that declines here judges by \
                  the text alone; one that names an object hallucinates it.",
        takes: |split| split.split != "all" && has(split, "refusal"),
        rates: &["asr", "refusal", "hallucination"],
    },
    Section {
        caption: "General questions with one right answer: whether ability was kept.",
        takes: |split| split.split != "all" && has(split, "accuracy"),
        rates: &["accuracy"],
    },
];

fn has(split: &SplitSummary, rate: &str) -> bool {
    split.rates.contains_key(rate)
}

/// A rate's heading.
pub fn heading(rate: &str) -> &str {
    let known = RATES.iter().find(|known| known.name == rate);
    known.map_or(rate, |known| known.heading)
}

/// Rates by model and split, one table for each way of counting; tables without rows are left out.
pub fn rates(models: &[EvalSummary]) -> Vec<Table> {
    let tables = SECTIONS.iter().map(|section| rate_table(section, models));
    tables.filter(|table| !table.rows.is_empty()).collect()
}

fn rate_table(section: &Section, models: &[EvalSummary]) -> Table {
    let splits = split_names(models, section.takes);
    let mut rows = Vec::new();
    for name in &splits {
        if splits.len() > 1 {
            rows.push(TableRow::Heading((*name).to_owned()));
        }
        for model in models {
            if let Some(split) = model.split(name) {
                rows.push(TableRow::Figures { name: model.model.clone(), cells: rate_cells(section.rates, split) });
            }
        }
    }
    let mut head = vec!["Model".to_owned()];
    head.extend(section.rates.iter().map(|rate| format!("{} %", heading(rate))));
    head.extend(["N", "Unscored"].map(str::to_owned));
    Table { caption: section.caption.to_owned(), head, rows }
}

/// The splits that any model was evaluated on and that `takes` accepts, in the order they come.
fn split_names(models: &[EvalSummary], takes: fn(&SplitSummary) -> bool) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for split in models.iter().flat_map(|model| &model.splits) {
        if takes(split) && !names.contains(&split.split.as_str()) {
            names.push(&split.split);
        }
    }
    names
}

fn rate_cells(rates: &[&str], split: &SplitSummary) -> Vec<Cell> {
    let mut cells: Vec<Cell> = rates.iter().map(|rate| rate_cell(split.rates.get(*rate))).collect();
    cells.extend([split.n, split.unscored].map(|count| Cell::plain(count.to_string())));
    cells
}

/// A rate with its interval.
pub fn rate_cell(rate: Option<&Rate>) -> Cell {
    let Some((rate, percent)) = rate.and_then(|rate| Some((rate, rate.percent?))) else {
        return Cell::plain(NONE);
    };
    let interval = rate.low.zip(rate.high);
    Cell {
        figure: one_decimal(percent),
        detail: interval.map(|(low, high)| format!("{}–{}", one_decimal(low), one_decimal(high))),
        strong: false,
    }
}

/// Mean scores by dimension (0 to 10), models side by side, for each split that has a bearing on safety.
pub fn dimensions(models: &[EvalSummary]) -> Option<Table> {
    let mut rows = Vec::new();
    for split in dimension_splits(models) {
        rows.push(TableRow::Heading(split.to_owned()));
        for dimension in dimension_names(models, split) {
            let scores = models.iter().map(|model| dimension_score(model, split, &dimension));
            rows.push(TableRow::Figures {
                name: dimension_label(&dimension),
                cells: scores.map(|score| Cell::plain(score.map_or_else(|| NONE.into(), one_decimal))).collect(),
            });
        }
    }
    let mut head = vec!["Dimension".to_owned()];
    head.extend(models.iter().map(|model| model.model.clone()));
    let caption = "Mean judge score by reward dimension, 0 to 10.".into();
    (!rows.is_empty()).then_some(Table { caption, head, rows })
}

/// A model's mean score on a split, 0 to 10.
pub fn dimension_score(model: &EvalSummary, split: &str, dimension: &str) -> Option<f64> {
    model.split(split)?.dimensions.get(dimension).copied()
}

/// The splits whose dimensions are shown: the hardest hazardous one and the benign one, where they are there.
pub fn dimension_splits(models: &[EvalSummary]) -> Vec<&str> {
    let names = split_names(models, |split| split.split != "all" && !split.dimensions.is_empty());
    let known = names.iter().filter(|name| ["hard", "benign"].contains(name));
    let known: Vec<&str> = known.copied().collect();
    if known.is_empty() { names } else { known }
}

/// The dimensions that any model was scored on, thinking first.
pub fn dimension_names(models: &[EvalSummary], split: &str) -> Vec<String> {
    let splits = models.iter().filter_map(|model| model.split(split));
    let mut names: Vec<String> = splits.flat_map(|split| split.dimensions.keys().cloned()).collect();
    names.sort_by_key(|name| (!name.starts_with("think/"), name.clone()));
    names.dedup();
    names
}

/// `think/safety` in words.
pub fn dimension_label(dimension: &str) -> String {
    match dimension.split_once('/') {
        Some(("think", name)) => format!("Thinking: {name}"),
        Some(("answer", name)) => format!("Answer: {name}"),
        _ => dimension.to_owned(),
    }
}

/// How many prompts a curation kept, and why it dropped the others.
pub fn curation(summary: &CurationSummary) -> Table {
    let mut rows = vec![
        count_row("Kept", summary.n_kept, summary.n_prompts),
        count_row("Benign among those kept", summary.n_kept_benign, summary.n_kept),
    ];
    for (reason, count) in &summary.dropped {
        rows.push(count_row(reason_label(*reason), *count, summary.n_prompts));
    }
    let caption = format!(
        "{} prompts, {} samples each at temperature {}, judged by {}; {} of {} samples are unscored.",
        summary.n_prompts,
        summary.config.num_samples,
        summary.config.temperature,
        summary.judge,
        summary.n_unscored,
        summary.n_samples
    );
    Table { caption, head: ["Prompts", "Count", "Share"].map(str::to_owned).into(), rows }
}

fn count_row(name: &str, count: usize, of: usize) -> TableRow {
    let share = 100.0 * count as f64 / of.max(1) as f64;
    TableRow::Figures {
        name: name.to_owned(),
        cells: vec![Cell::plain(count.to_string()), Cell::plain(format!("{} %", one_decimal(share)))],
    }
}

fn reason_label(reason: DropReason) -> &'static str {
    match reason {
        DropReason::TooFewScored => "Dropped: fewer than two scored samples",
        DropReason::LowQuality => "Dropped: lowest quality",
        DropReason::HighQuality => "Dropped: highest quality",
        DropReason::LowInstability => "Dropped: less unstable than those kept",
        DropReason::Contaminated => "Dropped: in an evaluation set",
    }
}
