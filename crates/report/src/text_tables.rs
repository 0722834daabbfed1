//! Tables as text, for the terminal.

use align::eval::suite::{BoundedRate, GroupSummary, SuiteSummary};
use align::eval::{EvalSummary, RATES, Rate};
use align::judge::JudgeSummary;
use comfy_table::{CellAlignment, ContentLineStyle, LineStyle, Table, TableStyle};

use crate::numbers::{NONE, one_decimal};

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

/// With more splits than this, a benchmark's items are shown together alone.
const MOST_SPLITS: usize = 6;

/// Benchmarks by split, a row for each rate and score: in % with its 95 % interval, what it would be if no unscored item
/// counted and if all did, and what the authors' own code makes of it where that is another number. A benchmark and a split
/// are named where they begin. Below are the authors' rules, and what was cut off or refused by an endpoint.
pub fn suites(summaries: &[SuiteSummary]) -> String {
    let header = ["Suite", "Split", "Rate", "%", "Unscored", "Bounds", "As original"].map(str::to_owned);
    let (mut rows, mut notes) = (Vec::new(), Vec::new());
    for summary in summaries {
        let splits: Vec<&GroupSummary> = summary.groups.iter().filter(|group| group.category.is_none()).collect();
        let shown = if splits.len() > MOST_SPLITS + 1 { &splits[..1] } else { &splits[..] };
        let mut suite = summary.suite.as_str();
        for group in shown {
            let mut split = group.split.as_str();
            for figures in figure_rows(summary, group) {
                let names = [std::mem::take(&mut suite), std::mem::take(&mut split)].map(str::to_owned);
                rows.push(names.into_iter().chain(figures).collect::<Vec<_>>());
            }
        }
        notes.extend(splits.first().and_then(|all| counts_note(&summary.suite, all)));
        notes.extend(rule_notes(summary));
    }
    let table = table(header.to_vec(), rows, 3);
    if notes.is_empty() { table } else { format!("{table}\n\n{}", notes.join("\n")) }
}

fn figure_rows(summary: &SuiteSummary, group: &GroupSummary) -> Vec<[String; 5]> {
    let mut rows = Vec::new();
    for info in &summary.rates {
        let Some(rate) = group.rates.get(&info.name) else { continue };
        rows.push([
            info.heading.clone(),
            with_interval(&rate.rate, rate.rate.n),
            format!("{} of {}", rate.items - rate.rate.n, rate.items),
            bounds(rate),
            rate.as_original.as_ref().and_then(|original| original.percent).map_or_else(String::new, one_decimal),
        ]);
    }
    for info in &summary.scores {
        let Some(score) = group.scores.get(&info.name) else { continue };
        let mean = score.mean.map_or_else(|| NONE.to_owned(), |mean| format!("{mean:.2}"));
        let unscored = format!("{} of {}", group.n - score.n, group.n);
        rows.push([info.heading.clone(), mean, unscored, String::new(), String::new()]);
    }
    rows
}

/// How many responses were cut off, and how many requests an endpoint refused; none where none were.
fn counts_note(suite: &str, all: &GroupSummary) -> Option<String> {
    let counts = [(all.truncated, "cut off by the token limit"), (all.refused_by_endpoint, "refused by the endpoint")];
    let counts = counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
    let counts: Vec<String> = counts.collect();
    (!counts.is_empty()).then(|| format!("{suite}: of {} responses, {}", all.n, counts.join(", ")))
}

/// By which rules the authors count what could not be scored.
fn rule_notes(summary: &SuiteSummary) -> Vec<String> {
    let mut notes = Vec::new();
    for info in &summary.rates {
        let originals = summary.groups.iter().filter_map(|group| group.rates.get(&info.name)?.as_original.as_ref());
        for original in originals {
            let note = format!("{}, {} as original: {}", summary.suite, info.heading, original.rule);
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
    }
    notes
}

fn bounds(rate: &BoundedRate) -> String {
    match (rate.lowest, rate.highest) {
        (Some(low), Some(high)) if rate.items > rate.rate.n => format!("{low:.1} to {high:.1}"),
        _ => String::new(),
    }
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
    use align::eval::suite::{AsOriginal, Better, RateInfo};

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

    fn bounded(yes: usize, n: usize, items: usize, original: Option<f64>) -> BoundedRate {
        let percent = |count: usize| Some(100.0 * count as f64 / items as f64);
        let rule = "an empty response is safe".to_owned();
        BoundedRate {
            rate: Rate::of(yes, n),
            items,
            lowest: percent(yes),
            highest: percent(yes + items - n),
            as_original: original.map(|percent| AsOriginal { rule, percent: Some(percent), n: items }),
        }
    }

    fn group(split: &str, rates: [BoundedRate; 2]) -> GroupSummary {
        let [asr, rsr] = rates;
        GroupSummary {
            split: split.into(),
            category: None,
            n: asr.items,
            unscored: asr.items - asr.rate.n,
            truncated: usize::from(split == "all"),
            refused_by_endpoint: 0,
            refusals: [].into(),
            judged_refusals: [].into(),
            rates: [("asr".to_owned(), asr), ("rsr".to_owned(), rsr)].into(),
            scores: [].into(),
        }
    }

    #[test]
    fn benchmarks_by_split() {
        let info = |name: &str, better| RateInfo { name: name.into(), heading: name.to_uppercase(), better };
        let easy = [bounded(3, 4, 6, Some(50.0)), bounded(1, 4, 6, None)];
        let hard = [bounded(0, 4, 4, None), bounded(4, 4, 4, None)];
        let all = [bounded(3, 8, 10, Some(30.0)), bounded(5, 8, 10, None)];
        let summary = SuiteSummary {
            suite: "mis".into(),
            title: "MIS".into(),
            model: "base".into(),
            scored_by: "judge".into(),
            prompts: Vec::new(),
            mean_of: Vec::new(),
            rates: vec![info("asr", Better::Lower), info("rsr", Better::Higher)],
            scores: Vec::new(),
            groups: vec![group("all", all), group("easy", easy), group("hard", hard)],
            missing_items: 0,
            deviations: Vec::new(),
            published: Vec::new(),
            made_with: serde_json::Value::Null,
        };
        let other = SuiteSummary { suite: "figstep".into(), groups: summary.groups[..1].to_vec(), ..summary.clone() };
        insta::assert_snapshot!(suites(&[summary, other]), @"
        Suite    Split  Rate                    %  Unscored        Bounds  As original
        ─────── ────── ───── ──────────────────── ───────── ───────────── ────────────
        mis      all    ASR     37.5 [13.7, 69.4]   2 of 10  30.0 to 50.0         30.0
                        RSR     62.5 [30.6, 86.3]   2 of 10  50.0 to 70.0
                 easy   ASR     75.0 [30.1, 95.4]    2 of 6  50.0 to 83.3         50.0
                        RSR      25.0 [4.6, 69.9]    2 of 6  16.7 to 50.0
                 hard   ASR       0.0 [0.0, 49.0]    0 of 4
                        RSR   100.0 [51.0, 100.0]    0 of 4
        figstep  all    ASR     37.5 [13.7, 69.4]   2 of 10  30.0 to 50.0         30.0
                        RSR     62.5 [30.6, 86.3]   2 of 10  50.0 to 70.0

        mis: of 10 responses, 1 cut off by the token limit
        mis, ASR as original: an empty response is safe
        figstep: of 10 responses, 1 cut off by the token limit
        figstep, ASR as original: an empty response is safe
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
