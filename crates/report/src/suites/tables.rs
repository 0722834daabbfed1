//! The tables of benchmarks: rates beside published ones, what could not be scored, refusals, categories, differences.

use align::eval::suite::{Better, BoundedRate, GroupSummary, MeanScore, Published, RateInfo, SuiteSummary};
use align::eval::{Rate, Refusal};

use crate::differences::difference_cell;
use crate::numbers::{NONE, one_decimal};
use crate::suites::contents::{ComparedModels, FlipCounts, SuiteReport};
use crate::suites::flips::{Turn, turn};
use crate::tables::{Cell, Table, TableRow, rate_cell};

/// The columns of counts beside rates.
const COUNTS: [&str; 4] = ["N", "Unscored", "Truncated", "Refused by endpoint"];

/// Every benchmark's rates over all its items, models side by side; none where there are no benchmarks.
pub fn overview(suites: &[SuiteReport], models: &[&str]) -> Option<Table> {
    let mut rows = Vec::new();
    for suite in suites {
        for info in directed_rates(suite) {
            let cells = models.iter().map(|name| {
                let model = suite.models.iter().find(|model| model.model == *name);
                rate_cell(model.and_then(|model| bounded(model.groups.first()?, info)).map(|bounded| &bounded.rate))
            });
            let name = format!("{}: {}", suite.title, with_direction(info));
            rows.push(TableRow::Figures { name, cells: cells.collect() });
        }
    }
    let mut head = vec!["%".to_owned()];
    head.extend(models.iter().map(|name| (*name).to_owned()));
    let caption = "Over all items of each benchmark. ↓: lower is better; ↑: higher is better.".into();
    (!rows.is_empty()).then_some(Table { caption, head, rows })
}

/// The rates that are better one way; all where none is.
pub fn directed_rates(suite: &SuiteReport) -> Vec<&RateInfo> {
    let rates = rates_of(suite);
    let directed: Vec<&RateInfo> = rates.iter().copied().filter(|info| info.better != Better::Neither).collect();
    if directed.is_empty() { rates } else { directed }
}

/// The rates of a benchmark in the order of tables.
fn rates_of(suite: &SuiteReport) -> Vec<&RateInfo> {
    distinct(suite.models.iter().flat_map(|model| &model.rates), |info| info.name.clone())
}

fn with_direction(info: &RateInfo) -> String {
    let arrow = match info.better {
        // No line break before the arrow.
        Better::Lower => "\u{a0}↓",
        Better::Higher => "\u{a0}↑",
        Better::Neither => "",
    };
    format!("{}{arrow}", info.heading)
}

fn bounded<'a>(group: &'a GroupSummary, info: &RateInfo) -> Option<&'a BoundedRate> {
    group.rates.get(&info.name)
}

/// The first of each with the same key, in their order.
fn distinct<'a, T, K: PartialEq>(all: impl Iterator<Item = &'a T>, key: impl Fn(&T) -> K) -> Vec<&'a T> {
    let mut found: Vec<&T> = Vec::new();
    for one in all {
        if !found.iter().any(|known| key(known) == key(one)) {
            found.push(one);
        }
    }
    found
}

/// The groups of items that any model has figures for, as pairs of split and category, in the order they come.
pub fn groups(suite: &SuiteReport, of_categories: bool) -> Vec<(&str, Option<&str>)> {
    let groups = suite.models.iter().flat_map(|model| &model.groups);
    let groups = groups.filter(|group| group.category.is_some() == of_categories);
    let key = |group: &GroupSummary| (group.split.clone(), group.category.clone());
    distinct(groups, key).into_iter().map(|group| (group.split.as_str(), group.category.as_deref())).collect()
}

/// A model's figures of a group.
pub fn figures<'a>(model: &'a SuiteSummary, (split, category): (&str, Option<&str>)) -> Option<&'a GroupSummary> {
    model.groups.iter().find(|group| group.split == split && group.category.as_deref() == category)
}

/// The published figures of a group, by model and judge. Where we have no splits, those of any split are beside all items.
pub fn published<'a>(suite: &'a SuiteReport, split: &str) -> Vec<Vec<&'a Published>> {
    let is_whole = groups(suite, false).len() == 1;
    let all = suite.models.iter().flat_map(|model| &model.published);
    let beside = all.filter(|figure| is_whole || figure.split == split);
    let mut rows: Vec<Vec<&Published>> = Vec::new();
    for figure in beside {
        let same = |known: &&Published| {
            (&known.model, &known.judge, &known.split) == (&figure.model, &figure.judge, &figure.split)
        };
        match rows.iter_mut().find(|row| row.first().is_some_and(same)) {
            Some(row) if row.iter().any(|known| known.rate == figure.rate) => {}
            Some(row) => row.push(figure),
            None => rows.push(vec![figure]),
        }
    }
    rows
}

/// Models by split: rates and mean scores with their intervals beside the published ones, and what was not scored.
pub fn rates(suite: &SuiteReport) -> Table {
    let (infos, scores) = (rates_of(suite), scores_of(suite));
    let groups = groups(suite, false);
    let mut rows = Vec::new();
    for group in &groups {
        if groups.len() > 1 {
            rows.push(TableRow::Heading(group.0.to_owned()));
        }
        rows.extend(model_rows(suite, *group, &infos, &scores));
        for figures in published(suite, group.0) {
            rows.push(published_row(&figures, group.0, &[&infos[..], &scores[..]].concat()));
        }
    }
    Table { caption: String::new(), head: head(&infos, &scores), rows }
}

/// As [`rates`], by category; none where there is but one.
pub fn categories(suite: &SuiteReport) -> Option<Table> {
    let (infos, scores) = (rates_of(suite), scores_of(suite));
    let mut rows = Vec::new();
    for group in groups(suite, true) {
        let (split, category) = (group.0, group.1.unwrap_or_default());
        let heading = if split == "all" { category.to_owned() } else { format!("{split}, {category}") };
        rows.push(TableRow::Heading(heading));
        rows.extend(model_rows(suite, group, &infos, &scores));
    }
    (!rows.is_empty()).then(|| Table { caption: String::new(), head: head(&infos, &scores), rows })
}

fn scores_of(suite: &SuiteReport) -> Vec<&RateInfo> {
    distinct(suite.models.iter().flat_map(|model| &model.scores), |info| info.name.clone())
}

fn head(infos: &[&RateInfo], scores: &[&RateInfo]) -> Vec<String> {
    let mut head = vec!["Model".to_owned()];
    head.extend(infos.iter().map(|info| format!("{} %", with_direction(info))));
    head.extend(scores.iter().map(|info| format!("{}, mean", info.heading)));
    head.extend(COUNTS.map(str::to_owned));
    head
}

fn model_rows(
    suite: &SuiteReport,
    group: (&str, Option<&str>),
    infos: &[&RateInfo],
    scores: &[&RateInfo],
) -> Vec<TableRow> {
    let found = suite.models.iter().filter_map(|model| Some((model, figures(model, group)?)));
    let rows = found.map(|(model, group)| {
        let rates = infos.iter().map(|info| rate_cell(bounded(group, info).map(|bounded| &bounded.rate)));
        let mut cells: Vec<Cell> = rates.collect();
        cells.extend(scores.iter().map(|info| score_cell(group.scores.get(&info.name))));
        let counts = [group.n, group.unscored, group.truncated, group.refused_by_endpoint];
        cells.extend(counts.map(|count| Cell::plain(count.to_string())));
        TableRow::Figures { name: model.model.clone(), cells }
    });
    rows.collect()
}

fn score_cell(score: Option<&MeanScore>) -> Cell {
    let Some((score, mean)) = score.and_then(|score| Some((score, score.mean?))) else {
        return Cell::plain(NONE);
    };
    let interval = score.low.zip(score.high);
    Cell { detail: interval.map(|(low, high)| format!("{low:.2}–{high:.2}")), ..Cell::plain(format!("{mean:.2}")) }
}

fn published_row(figures: &[&Published], split: &str, columns: &[&RateInfo]) -> TableRow {
    let found = columns.iter().map(|info| {
        let figure = figures.iter().find(|figure| figure.rate == info.name);
        Cell::plain(figure.map_or_else(|| NONE.into(), |figure| one_decimal(figure.percent)))
    });
    let mut cells: Vec<Cell> = found.collect();
    cells.resize_with(columns.len() + COUNTS.len(), || Cell::plain(""));
    let name = figures.first().map_or_else(String::new, |figure| {
        let of_split = if figure.split == split { String::new() } else { format!(", {}", figure.split) };
        format!("{}{of_split} (judge: {})", figure.model, figure.judge)
    });
    TableRow::Published { name, cells }
}

/// Where the published figures are published.
pub fn sources(suite: &SuiteReport) -> Vec<&str> {
    let figures = suite.models.iter().flat_map(|model| &model.published);
    distinct(figures, |figure| figure.source.clone()).into_iter().map(|figure| figure.source.as_str()).collect()
}

/// Rates over items of which some are not scored, or that the authors' own code makes another number of; none where
/// there are none.
pub fn bounds(suite: &SuiteReport) -> Option<Table> {
    let (mut rows, mut rules) = (Vec::new(), Vec::new());
    let groups = groups(suite, false);
    for group in &groups {
        let mut of_group = Vec::new();
        for (model, found) in suite.models.iter().filter_map(|model| Some((model, figures(model, *group)?))) {
            for info in rates_of(suite) {
                let Some(rate) = bounded(found, info).filter(|rate| is_bounded(rate)) else { continue };
                let rule = rate.as_original.as_ref().map(|original| format!("{}: {}", info.heading, original.rule));
                rules.extend(rule.filter(|rule| !rules.contains(rule)).into_iter().collect::<Vec<_>>());
                of_group.push(bounds_row(format!("{}, {}", model.model, info.heading), rate));
            }
        }
        if groups.len() > 1 && !of_group.is_empty() {
            rows.push(TableRow::Heading(group.0.to_owned()));
        }
        rows.append(&mut of_group);
    }
    let mut caption = "Bounds: the rate if no unscored item counted, and if all did.".to_owned();
    if !rules.is_empty() {
        caption = format!("{caption} As original: what the authors' own code makes of it. {}.", rules.join("; "));
    }
    let head = ["Rate", "%", "Scored", "Bounds, %", "As original, %"].map(str::to_owned).into();
    (!rows.is_empty()).then_some(Table { caption, head, rows })
}

fn is_bounded(rate: &BoundedRate) -> bool {
    rate.items > rate.rate.n || rate.as_original.is_some()
}

fn bounds_row(name: String, rate: &BoundedRate) -> TableRow {
    let bounds = rate.lowest.zip(rate.highest);
    let original = rate.as_original.as_ref().map_or_else(
        || Cell::plain(NONE),
        |original| Cell {
            detail: Some(format!("of {}", original.n)),
            ..Cell::plain(original.percent.map_or_else(|| NONE.into(), one_decimal))
        },
    );
    let cells = vec![
        Cell::plain(rate.rate.percent.map_or_else(|| NONE.into(), one_decimal)),
        Cell { detail: Some(format!("of {}", rate.items)), ..Cell::plain(rate.rate.n.to_string()) },
        Cell::plain(
            bounds.map_or_else(|| NONE.into(), |(low, high)| format!("{}–{}", one_decimal(low), one_decimal(high))),
        ),
        original,
    ];
    TableRow::Figures { name, cells }
}

/// What responses do by their words, in three values.
pub fn refusals(suite: &SuiteReport) -> Table {
    let groups = groups(suite, false);
    let mut rows = Vec::new();
    for group in &groups {
        if groups.len() > 1 {
            rows.push(TableRow::Heading(group.0.to_owned()));
        }
        for model in &suite.models {
            if let Some(found) = figures(model, *group) {
                rows.push(TableRow::Figures { name: model.model.clone(), cells: refusal_cells(found) });
            }
        }
    }
    let head = ["Model", "Comply", "Refuse in part", "Refuse", "Empty or none"].map(str::to_owned).into();
    let caption =
        "Responses by phrases with which speakers decline, whatever the judge says. The first response to each \
                   item counts."
            .into();
    Table { caption, head, rows }
}

fn refusal_cells(group: &GroupSummary) -> Vec<Cell> {
    let counts = [Refusal::Compliance, Refusal::Partial, Refusal::Full]
        .map(|refusal| group.refusals.get(&refusal).copied().unwrap_or_default());
    let none = group.n - counts.iter().sum::<usize>();
    let with_share = |count: usize| Cell {
        detail: Rate::of(count, group.n).percent.map(|percent| format!("{} %", one_decimal(percent))),
        ..Cell::plain(count.to_string())
    };
    counts.into_iter().chain([none]).map(with_share).collect()
}

/// Paired differences: one table for each baseline, models side by side.
pub fn differences(suite: &SuiteReport) -> Vec<Table> {
    let baselines = distinct(suite.comparisons.iter(), |one| one.baseline.clone());
    baselines.into_iter().map(|one| difference_table(suite, &one.baseline)).collect()
}

fn difference_table(suite: &SuiteReport, baseline: &str) -> Table {
    let models: Vec<&ComparedModels> = suite.comparisons.iter().filter(|one| one.baseline == baseline).collect();
    let splits = distinct(models.iter().flat_map(|one| &one.splits), |split| split.split.clone());
    let mut rows = Vec::new();
    for split in &splits {
        let mut of_split = Vec::new();
        for (info, is_score) in rates_of(suite)
            .into_iter()
            .map(|info| (info, false))
            .chain(scores_of(suite).into_iter().map(|info| (info, true)))
        {
            let found = models.iter().map(|one| {
                let split = one.splits.iter().find(|known| known.split == split.split)?;
                let differences = if is_score { &split.scores } else { &split.rates };
                differences.get(&info.name)
            });
            let found: Vec<_> = found.collect();
            if found.iter().any(Option::is_some) {
                let cells = found.into_iter().map(difference_cell).collect();
                of_split.push(TableRow::Figures { name: with_direction(info), cells });
            }
        }
        if splits.len() > 1 && !of_split.is_empty() {
            rows.push(TableRow::Heading(split.split.clone()));
        }
        rows.append(&mut of_split);
    }
    rows.extend(flip_rows(suite, &models));
    let mut head = vec!["Percentage points".to_owned()];
    head.extend(models.iter().map(|one| one.model.clone()));
    let caption = format!("Differences from {baseline} on the same items.");
    Table { caption, head, rows }
}

/// How many items' verdicts flip, by rate.
fn flip_rows(suite: &SuiteReport, models: &[&ComparedModels]) -> Vec<TableRow> {
    let mut rows = Vec::new();
    for info in rates_of(suite) {
        let counts = models.iter().map(|one| one.flips.get(&info.name).copied());
        let counts: Vec<Option<FlipCounts>> = counts.collect();
        if counts.iter().any(Option::is_some) {
            let cells = counts.into_iter().map(|counts| flip_cell(suite, info, counts.unwrap_or_default()));
            rows.push(TableRow::Figures { name: info.heading.clone(), cells: cells.collect() });
        }
    }
    if !rows.is_empty() {
        rows.insert(0, TableRow::Heading("items whose verdict flips".into()));
    }
    rows
}

fn flip_cell(suite: &SuiteReport, info: &RateInfo, counts: FlipCounts) -> Cell {
    let FlipCounts { model_only, baseline_only } = counts;
    let turn = suite.models.first().map_or(Turn::Changed, |model| turn(model, &info.name, true));
    let (figure, detail) = match turn {
        Turn::Worse => (format!("{model_only} worse"), format!("{baseline_only} better")),
        Turn::Improved => (format!("{baseline_only} worse"), format!("{model_only} better")),
        Turn::Changed => (format!("{model_only} more"), format!("{baseline_only} fewer")),
    };
    Cell { detail: Some(detail), ..Cell::plain(figure) }
}

/// What differs from how the authors do it, by model; none where nothing does.
pub fn deviations(suite: &SuiteReport) -> Option<Table> {
    let mut rows = Vec::new();
    for model in &suite.models {
        for deviation in &model.deviations {
            let name = format!("{}, {}", model.model, deviation.setting);
            let cells = [&deviation.authors, &deviation.here].map(|value| Cell::plain(value.clone())).into();
            rows.push(TableRow::Figures { name, cells });
        }
    }
    let head = ["Differs from the authors", "Authors", "Here"].map(str::to_owned).into();
    (!rows.is_empty()).then(|| Table { caption: String::new(), head, rows })
}
