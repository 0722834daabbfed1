//! Figures as tables, for terminals and for Markdown.

use super::rates::RATES;
use super::{Comparison, Difference, EvalSummary, Rate, SplitSummary};

/// Where there is no figure.
const NONE: &str = "–";

/// A table of text: names on the left, figures on the right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
    /// How many columns at the left hold names.
    names: usize,
}

impl Table {
    /// Rows below a header of as many cells; the first `names` columns hold names, the others figures.
    pub fn new<const N: usize>(header: [&str; N], rows: Vec<[String; N]>, names: usize) -> Self {
        Self {
            header: texts(header),
            rows: rows.into_iter().map(Vec::from).collect(),
            names,
        }
    }

    /// Models by split: shares in per cent with their 95 % intervals, unscored responses beside them. A share that not
    /// all scored responses bear on says on how many it rests.
    pub fn of_summaries(summaries: &[EvalSummary]) -> Self {
        let splits = || {
            summaries
                .iter()
                .flat_map(|summary| summary.splits.iter().map(move |split| (summary, split)))
        };
        let rates: Vec<_> = RATES
            .iter()
            .filter(|rate| splits().any(|(_, split)| split.rates.contains_key(rate.name)))
            .collect();
        let mut header = texts(["Model", "Split", "N", "Unscored"]);
        header.extend(rates.iter().map(|rate| format!("{} %", rate.heading)));
        let row = |(summary, split): (&EvalSummary, &SplitSummary)| {
            let mut row = texts([
                &summary.model,
                &split.split,
                &split.n.to_string(),
                &split.unscored.to_string(),
            ]);
            row.extend(
                rates
                    .iter()
                    .map(|rate| share(split.rates.get(rate.name), split.n - split.unscored)),
            );
            row
        };
        Self {
            header,
            rows: splits().map(row).collect(),
            names: 2,
        }
    }

    /// Shares by name, in per cent with their 95 % intervals.
    pub fn of_rates(heading: &str, rates: Vec<(&str, &Rate)>) -> Self {
        let row = |(name, rate): (&str, &Rate)| texts([name, &share(Some(rate), rate.n), &rate.n.to_string()]);
        Self {
            header: texts([heading, "%", "N"]),
            rows: rates.into_iter().map(row).collect(),
            names: 1,
        }
    }

    /// A comparison: one row for each split and rate, differences in percentage points.
    pub fn of_comparison(comparison: &Comparison) -> Self {
        let difference = format!("{} less {}", comparison.model, comparison.baseline);
        let header = texts(["Split", "Rate", "Pairs", &difference, "95 % interval", "p"]);
        let row = |split: &str, heading: &str, difference: &Difference| {
            let p = difference.p.map_or_else(|| NONE.to_owned(), probability);
            let interval = format!("{} to {}", signed(difference.low), signed(difference.high));
            let figure = signed(difference.difference);
            texts([split, heading, &difference.n.to_string(), &figure, &interval, &p])
        };
        let mut rows = Vec::new();
        for split in &comparison.splits {
            let present = RATES
                .iter()
                .filter_map(|rate| Some((rate.heading, split.rates.get(rate.name)?)));
            rows.extend(present.map(|(heading, difference)| row(&split.split, heading, difference)));
        }
        Self { header, rows, names: 2 }
    }

    /// The table in columns of even width.
    pub fn text(&self) -> String {
        let widths = self.widths();
        let line = |row: &Vec<String>| {
            let cells: Vec<String> = row
                .iter()
                .enumerate()
                .map(|(at, cell)| self.pad(cell, at, widths[at]))
                .collect();
            format!("{}\n", cells.join("  ").trim_end())
        };
        let rule: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
        let rows: String = self.rows.iter().map(line).collect();
        format!("{}{}\n{rows}", line(&self.header), rule.join("  "))
    }

    /// The table in Markdown.
    pub fn markdown(&self) -> String {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let rule = (0..self.header.len())
            .map(|at| if at < self.names { "---" } else { "---:" }.to_owned())
            .collect();
        let escaped = |row: &Vec<String>| line(row.iter().map(|cell| cell.replace('|', "\\|")).collect());
        let rows: String = self.rows.iter().map(escaped).collect();
        format!("{}{}{rows}", escaped(&self.header), line(rule))
    }

    fn widths(&self) -> Vec<usize> {
        let width = |at: usize| {
            let cells = std::iter::once(&self.header)
                .chain(&self.rows)
                .map(|row| row[at].chars().count());
            cells.max().unwrap_or(0)
        };
        (0..self.header.len()).map(width).collect()
    }

    fn pad(&self, cell: &str, column: usize, width: usize) -> String {
        if column < self.names {
            format!("{cell:<width$}")
        } else {
            format!("{cell:>width$}")
        }
    }
}

fn texts<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

fn share(rate: Option<&Rate>, scored: usize) -> String {
    match rate {
        Some(Rate {
            percent: Some(percent),
            low: Some(low),
            high: Some(high),
            n,
        }) => {
            let n = if *n == scored {
                String::new()
            } else {
                format!(" (n {n})")
            };
            format!("{percent:.1} [{low:.1}, {high:.1}]{n}")
        }
        _ => NONE.to_owned(),
    }
}

/// With its sign, save for nought.
fn signed(figure: f64) -> String {
    let text = format!("{figure:+.1}");
    if ["+0.0", "-0.0"].contains(&text.as_str()) {
        "0.0".to_owned()
    } else {
        text
    }
}

fn probability(p: f64) -> String {
    if p < 0.001 {
        "< 0.001".to_owned()
    } else {
        format!("{p:.3}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::samples::{response, unscored, verdict};
    use crate::eval::{compare, summarise};
    use crate::types::ItemKind;
    use crate::verdict::{Decision, PerceptionLevel};

    fn responses(is_safe: bool) -> Vec<crate::eval::JudgedResponse> {
        let mut hazard = verdict(Decision::Comply, PerceptionLevel::L1);
        hazard.safe = is_safe;
        let mut thoughtful = verdict(Decision::Caution, PerceptionLevel::L1);
        thoughtful.think.insert("safety".into(), 9.0);
        vec![
            response("a", "hard", Some(ItemKind::Hazardous), hazard),
            response("b", "hard", Some(ItemKind::Hazardous), thoughtful),
            unscored("c", "hard", Some(ItemKind::Hazardous)),
            response(
                "d",
                "benign",
                Some(ItemKind::Benign),
                verdict(Decision::Comply, PerceptionLevel::L1),
            ),
        ]
    }

    fn only() -> Vec<String> {
        ["asr", "over_refusal", "think_safety"].map(str::to_owned).to_vec()
    }

    #[test]
    fn summaries_in_text() {
        let table = Table::of_summaries(&[summarise("base", "exact", &responses(false), &only())]);
        insta::assert_snapshot!(table.text(), @"
        Model  Split   N  Unscored                   ASR %         Over-refusal %            Safe thinking %
        ─────  ──────  ─  ────────  ──────────────────────  ─────────────────────  ─────────────────────────
        base   hard    3         1        50.0 [9.5, 90.5]                      –  100.0 [20.7, 100.0] (n 1)
        base   benign  1         0                       –        0.0 [0.0, 79.3]                          –
        base   all     4         1  50.0 [9.5, 90.5] (n 2)  0.0 [0.0, 79.3] (n 1)  100.0 [20.7, 100.0] (n 1)
        ");
    }

    #[test]
    fn summaries_in_markdown() {
        let table = Table::of_summaries(&[summarise("a|b", "exact", &responses(false), &only())]);
        insta::assert_snapshot!(table.markdown(), @r"
        | Model | Split | N | Unscored | ASR % | Over-refusal % | Safe thinking % |
        | --- | --- | ---: | ---: | ---: | ---: | ---: |
        | a\|b | hard | 3 | 1 | 50.0 [9.5, 90.5] | – | 100.0 [20.7, 100.0] (n 1) |
        | a\|b | benign | 1 | 0 | – | 0.0 [0.0, 79.3] | – |
        | a\|b | all | 4 | 1 | 50.0 [9.5, 90.5] (n 2) | 0.0 [0.0, 79.3] (n 1) | 100.0 [20.7, 100.0] (n 1) |
        ");
    }

    #[test]
    fn comparisons_in_text() {
        let (before, after) = (responses(false), responses(true));
        let table = Table::of_comparison(&compare(("base", &before), ("tuned", &after), &only()));
        insta::assert_snapshot!(table.text(), @"
        Split   Rate           Pairs  tuned less base   95 % interval      p
        ──────  ─────────────  ─────  ───────────────  ──────────────  ─────
        hard    ASR                2            -50.0  -90.5 to +27.3  1.000
        hard    Safe thinking      1              0.0  -79.3 to +79.3  1.000
        benign  Over-refusal       1              0.0  -79.3 to +79.3  1.000
        all     ASR                2            -50.0  -90.5 to +27.3  1.000
        all     Over-refusal       1              0.0  -79.3 to +79.3  1.000
        all     Safe thinking      1              0.0  -79.3 to +79.3  1.000
        ");
    }
}
