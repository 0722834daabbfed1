//! The report as one page of HTML: style, script, charts and images inside, so that it opens anywhere.

use std::path::Path;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::tables::{self, Cell, Grid, Row};
use super::{CurationReport, Report, TrainingRun, bars, differences, images, line_chart, rollout_card};

const STYLE: &str = include_str!("style.css");

/// Opens all folds and unblurs all images at once; without it each still opens by itself.
const REVEAL: &str = "document.getElementById('reveal')?.addEventListener('change',e=>{\
    document.querySelectorAll('details.veil').forEach(d=>{d.open=e.target.checked});\
    document.querySelectorAll('input.unblur').forEach(i=>{i.checked=e.target.checked})})";

/// Writes the whole page. Images are read from the report's folder.
pub(super) fn render(report: &Report, folder: &Path) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (report.title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    (heading(report))
                    (results(report))
                    (curations(&report.curations, folder))
                    (training(&report.runs))
                    (rollouts(report, folder))
                    (notes(report))
                }
                script { (PreEscaped(REVEAL)) }
            }
        }
    };
    page.into_string()
}

fn heading(report: &Report) -> Markup {
    let facts = tables::about(report);
    let (stages, facts): (Vec<_>, Vec<_>) = facts.into_iter().partition(|(name, _)| name.starts_with("Stage: "));
    html! {
        header.page {
            h1 { (report.title) }
            @if !facts.is_empty() {
                dl { @for (name, value) in &facts { div { dt { (name) } dd { (value) } } } }
            }
            @if !stages.is_empty() {
                details {
                    summary { "Where the time went" }
                    dl { @for (name, value) in &stages {
                        div { dt { (name.trim_start_matches("Stage: ")) } dd { (value) } }
                    } }
                }
            }
        }
    }
}

fn results(report: &Report) -> Markup {
    let comparisons = differences::grids(&report.comparisons);
    html! {
        @if !report.models.is_empty() {
            section {
                h2 { "What changed" }
                @if let Some(figure) = bars::key_figures(&report.models) { (figure) }
                h2 { "Figures by split" }
                p.note {
                    "Shares of scored responses in per cent, beside them the 95 % interval (Wilson). "
                    "A response that the judge could not score is in no share; N counts all."
                }
                div.tables { @for table in tables::rates(&report.models) { (grid(&table)) } }
                @if !comparisons.is_empty() {
                    h2 { "Paired differences" }
                    @for table in &comparisons { (grid(table)) }
                }
                @if let Some(figure) = bars::dimensions(&report.models) {
                    h2 { "Reward dimensions before and after" }
                    (figure)
                }
            }
        }
    }
}

/// A table with its caption. Figures stand right; what is in small print stands left in a column of its own, so that
/// both can be read downwards.
pub(super) fn grid(grid: &Grid) -> Markup {
    let widths: Vec<usize> = (0..grid.head.len()).map(|column| column_width(grid, column)).collect();
    html! {
        div.scroll {
            table {
                @if !grid.caption.is_empty() { caption { (grid.caption) } }
                thead { tr { @for (head, width) in grid.head.iter().zip(&widths) { (table_head(head, *width)) } } }
                tbody { @for row in &grid.rows { (table_row(row, &widths)) } }
            }
        }
    }
}

/// Two where any figure of a column has small print beside it, otherwise one. The first column holds the names.
fn column_width(grid: &Grid, column: usize) -> usize {
    let has_detail = |row: &Row| match row {
        Row::Heading(_) => false,
        Row::Figures { cells, .. } => column > 0 && cells.get(column - 1).is_some_and(|cell| cell.detail.is_some()),
    };
    1 + usize::from(grid.rows.iter().any(has_detail))
}

fn table_head(head: &str, width: usize) -> Markup {
    html! {
        @if width == 1 { th scope="col" { (head) } } @else { th.pair scope="colgroup" colspan=(width) { (head) } }
    }
}

fn table_row(row: &Row, widths: &[usize]) -> Markup {
    match row {
        Row::Heading(heading) => html! {
            tr.group { th colspan=(widths.iter().sum::<usize>()) scope="rowgroup" { (heading) } }
        },
        Row::Figures { name, cells } => html! {
            tr {
                th scope="row" { (name) }
                @for (cell, width) in cells.iter().zip(&widths[1..]) { (table_cell(cell, *width)) }
            }
        },
    }
}

fn table_cell(cell: &Cell, width: usize) -> Markup {
    html! {
        td class=[cell.strong.then_some("strong")] { (cell.figure) }
        @if width == 2 { td.detail { @if let Some(detail) = &cell.detail { (detail) } } }
    }
}

fn curations(curations: &[CurationReport], folder: &Path) -> Markup {
    let picture = |curation: &CurationReport| images::data_uri(&folder.join(curation.picture.as_ref()?));
    html! {
        @if !curations.is_empty() {
            section {
                h2 { "Which prompts were trained on" }
                @for curation in curations {
                    @if !curation.name.is_empty() { h3 { (curation.name) } }
                    @if let Some(uri) = picture(curation) {
                        figure.picture {
                            img src=(uri) alt="Every prompt by mean quality and instability of its samples; a box \
                                               marks those of middling quality, and the least stable in it are kept.";
                            figcaption {
                                "The QI-Box: each mark is a prompt. The lowest and highest share of quality are "
                                "dropped; within the box the least stable of each stratum are kept."
                            }
                        }
                    }
                    (grid(&tables::curation(&curation.summary)))
                }
            }
        }
    }
}

fn training(runs: &[TrainingRun]) -> Markup {
    html! {
        @if !runs.is_empty() {
            section {
                h2 { "Training" }
                @for run in runs {
                    h3.run { (run.name) " " span.facts { (tables::run_facts(run)) } }
                    @if run.curves.is_empty() {
                        p.note { "No metrics to draw." }
                    } @else {
                        div.curves { @for curve in &run.curves { (line_chart::figure(curve)) } }
                    }
                    @if !run.config.is_null() {
                        details { summary { "Settings" } pre { (settings(run)) } }
                    }
                }
                p.note {
                    "Each chart runs from its lowest to its highest value; the figure beside its name is the last. "
                    "Faint: as logged; firm: running mean."
                }
            }
        }
    }
}

fn settings(run: &TrainingRun) -> String {
    serde_json::to_string_pretty(&run.config).unwrap_or_default()
}

fn rollouts(report: &Report, folder: &Path) -> Markup {
    html! {
        @if !report.rollouts.is_empty() {
            section {
                h2 { "Rollouts" }
                p.note {
                    "A few of everything that training met, by kind of event. Text that may describe a hazard is folded "
                    "away and its images are blurred until asked for."
                }
                p { input type="checkbox" id="reveal"; " " label for="reveal" { "Show all texts and images" } }
                @for (place, shown) in report.rollouts.iter().enumerate() {
                    (rollout_card::card(shown, folder, place))
                }
            }
        }
    }
}

fn notes(report: &Report) -> Markup {
    html! {
        @if !report.missing.is_empty() {
            section.missing {
                h2 { "Not in this report" }
                ul { @for what in &report.missing { li { (what) } } }
            }
        }
    }
}
