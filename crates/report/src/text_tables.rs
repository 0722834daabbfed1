//! Tables as text, for the terminal.

use align::eval::suite::{BoundedRate, SuiteSummary};
use align::eval::{EvalSummary, RATES, Rate};
use align::judge::JudgeSummary;
use comfy_table::{CellAlignment, ContentLineStyle, LineStyle, Table, TableStyle};

use crate::numbers::NONE;

/// A rule below the header and no other lines.
const STYLE: TableStyle = TableStyle::new()
    .header_lines(ContentLineStyle::none().junction(' '))
    .header_separator(LineStyle::none().fill('─').junction(' '))
    .content_lines(ContentLineStyle::none().junction(' '));

/// Rows below a header. The first `n_names` columns hold names and are left-aligned; figures are right-aligned.
pub fn table<Row: IntoIterator<Item = String>>(
    header: Row,
    rows: impl IntoIterator<Item = Row>,
    n_names: usize,
) -> String {
    let mut table = Table::new();
    table.load_style(STYLE).set_header(header.into_iter().collect::<Vec<_>>());
    for row in rows {
        table.add_row(row.into_iter().collect::<Vec<_>>());
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((u16::from(index > 0), 0));
        if index >= n_names {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

/// Models by split: rates in % with their 95 % intervals, and how many responses are unscored. A rate that is not over
/// all scored responses says over how many it is.
pub fn summaries(summaries: &[EvalSummary]) -> String {
    let mut splits = Vec::new();
    for summary in summaries {
        splits.extend(summary.splits.iter().map(|split| (&summary.model, split)));
    }
    let mut header = ["Model", "Split", "N", "Unscored"].map(str::to_owned).to_vec();
    let mut rates = Vec::new();
    for rate in &RATES {
        if splits.iter().any(|(_, split)| split.rates.contains_key(rate.name)) {
            header.push(format!("{} %", rate.heading));
            rates.push(rate.name);
        }
    }
    let mut rows = Vec::new();
    for (model, split) in splits {
        let mut row = vec![model.clone(), split.split.clone(), split.n.to_string(), split.unscored.to_string()];
        for name in &rates {
            row.push(
                split
                    .rates
                    .get(*name)
                    .map_or_else(|| NONE.to_owned(), |rate| with_interval(rate, split.n - split.unscored)),
            );
        }
        rows.push(row);
    }
    table(header, rows, 2)
}

/// Benchmarks by split, a row for each rate and score: in % with its 95 % interval, what it would be if no unscored item
/// counted and if all did, and what the authors' own code makes of it where that is another number.
pub fn suites(summaries: &[SuiteSummary]) -> String {
    let header = ["Suite", "Split", "Rate", "%", "Unscored", "Bounds", "As original"].map(str::to_owned);
    let mut rows = Vec::new();
    for summary in summaries {
        for group in summary.groups.iter().filter(|group| group.category.is_none()) {
            let names = || [summary.suite.clone(), group.split.clone()].into_iter();
            for info in &summary.rates {
                let Some(rate) = group.rates.get(&info.name) else { continue };
                let cells = [
                    info.heading.clone(),
                    with_interval(&rate.rate, rate.rate.n),
                    format!("{} of {}", rate.items - rate.rate.n, rate.items),
                    bounds(rate),
                    rate.as_original.as_ref().and_then(|original| original.percent).map_or_else(String::new, percent),
                ];
                rows.push(names().chain(cells).collect::<Vec<_>>());
            }
            for info in &summary.scores {
                let Some(score) = group.scores.get(&info.name) else { continue };
                let mean = score.mean.map_or_else(|| NONE.to_owned(), |mean| format!("{mean:.2}"));
                let unscored = format!("{} of {}", group.n - score.n, group.n);
                let cells = [info.heading.clone(), mean, unscored, String::new(), String::new()];
                rows.push(names().chain(cells).collect());
            }
        }
    }
    table(header.to_vec(), rows, 3)
}

fn bounds(rate: &BoundedRate) -> String {
    match (rate.lowest, rate.highest) {
        (Some(low), Some(high)) if rate.items > rate.rate.n => format!("{low:.1} to {high:.1}"),
        _ => String::new(),
    }
}

fn percent(percent: f64) -> String {
    format!("{percent:.1}")
}

/// Rates by name, in % with their 95 % intervals.
pub fn rates<'a>(heading: &str, rates: impl IntoIterator<Item = (&'a str, &'a Rate)>) -> String {
    let rows = rates.into_iter().map(|(name, rate)| [name.to_owned(), with_interval(rate, rate.n), rate.n.to_string()]);
    table([heading, "%", "N"].map(str::to_owned), rows, 1)
}

/// The rates of judged responses, and below them the means of their scores by dimension where the rubric has any.
pub fn judged(summary: &JudgeSummary) -> String {
    let heading = format!("{} by {}", summary.rubric.name(), summary.judges.join(", "));
    let mut text = rates(&heading, summary.rates.iter().map(|(name, rate)| (*name, rate)));
    if !summary.means.is_empty() {
        let rows = summary.means.iter();
        let rows = rows.map(|(name, mean)| [name.clone(), mean.text(), mean.n.to_string()]);
        let means = table(["mean score, 0 to 10", "mean", "N"].map(str::to_owned), rows, 1);
        text = format!("{text}\n\n{means}");
    }
    text
}

/// A rate with its interval; how many responses it is over where these are not all that were scored.
fn with_interval(rate: &Rate, n_scored: usize) -> String {
    let (Some(percent), Some(low), Some(high)) = (rate.percent, rate.low, rate.high) else {
        return NONE.to_owned();
    };
    let mut text = format!("{percent:.1} [{low:.1}, {high:.1}]");
    if rate.n != n_scored {
        text = format!("{text} (n {})", rate.n);
    }
    text
}

#[cfg(test)]
mod tests {
    use align::eval::SplitSummary;

    use super::*;

    fn split(name: &str, n: usize, unscored: usize, rates: &[(&str, Rate)]) -> SplitSummary {
        SplitSummary {
            split: name.into(),
            n,
            unscored,
            rates: rates.iter().map(|(name, rate)| ((*name).to_owned(), *rate)).collect(),
            dimensions: [].into(),
        }
    }

    #[test]
    fn models_by_split() {
        let (asr, over_refusal, thinking) = (Rate::of(1, 2), Rate::of(0, 1), Rate::of(1, 1));
        let summary = EvalSummary {
            model: "base".into(),
            judge: "exact".into(),
            splits: vec![
                split("hard", 3, 1, &[("asr", asr), ("think_safety", thinking)]),
                split("benign", 1, 0, &[("over_refusal", over_refusal), ("think_safety", Rate::of(0, 0))]),
                split("all", 4, 1, &[("asr", asr), ("over_refusal", over_refusal), ("think_safety", thinking)]),
            ],
        };
        insta::assert_snapshot!(summaries(&[summary]), @"
        Model  Split   N  Unscored                   ASR %         Over-refusal %            Safe thinking %
        ───── ─────── ── ───────── ─────────────────────── ────────────────────── ──────────────────────────
        base   hard    3         1        50.0 [9.5, 90.5]                      –  100.0 [20.7, 100.0] (n 1)
        base   benign  1         0                       –        0.0 [0.0, 79.3]                          –
        base   all     4         1  50.0 [9.5, 90.5] (n 2)  0.0 [0.0, 79.3] (n 1)  100.0 [20.7, 100.0] (n 1)
        ");
    }

    #[test]
    fn rates_by_name() {
        let text = rates("judge against people", [("agreement", &Rate::of(9, 10)), ("recall", &Rate::of(0, 0))]);
        insta::assert_snapshot!(text, @"
        judge against people                  %   N
        ──────────────────── ────────────────── ───
        agreement             90.0 [59.6, 98.2]  10
        recall                                –   0
        ");
    }
}
