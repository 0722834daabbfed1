//! The report as one page of HTML: style, script, charts and images are inside, so that it opens anywhere.

use std::path::Path;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::contents::{CurationReport, Report, TrainingRun};
use crate::html_table::table;
use crate::suites::section::section;
use crate::{bars, differences, facts, images, line_chart, rollout_card, tables};

const STYLE: &str = include_str!("style.css");

/// Opens all folds and unblurs all images at once; without it each still opens by itself.
const REVEAL: &str = "document.getElementById('reveal')?.addEventListener('change',e=>{\
    document.querySelectorAll('details.veil').forEach(d=>{d.open=e.target.checked});\
    document.querySelectorAll('input.unblur').forEach(i=>{i.checked=e.target.checked})})";

/// Writes the whole page. Images are read from the report's folder.
pub fn render(report: &Report, folder: &Path) -> String {
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
                    (section(&report.suites, &report.model_names(), folder))
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
    let (facts, stages) = (facts::about(report), facts::stages(&report.about));
    html! {
        header.page {
            h1 { (report.title) }
            @if !facts.is_empty() {
                dl { @for (name, value) in &facts { div { dt { (name) } dd { (value) } } } }
            }
            @if !stages.is_empty() {
                details {
                    summary { "Wall time by stage" }
                    dl { @for (name, value) in &stages { div { dt { (name) } dd { (value) } } } }
                }
            }
        }
    }
}

fn results(report: &Report) -> Markup {
    let comparisons = differences::tables(&report.comparisons);
    html! {
        @if !report.models.is_empty() {
            section {
                h2 { "Results" }
                @if let Some(figure) = bars::key_rates(&report.models) { (figure) }
                h2 { "Rates by split" }
                p.note {
                    "% of scored responses, with 95 % confidence intervals (Wilson). "
                    "Responses that the judge could not score are in no rate; N counts all responses."
                }
                div.tables { @for rates in tables::rates(&report.models) { (table(&rates)) } }
                @if !comparisons.is_empty() {
                    h2 { "Paired differences" }
                    @for comparison in &comparisons { (table(comparison)) }
                }
                @if let Some(figure) = bars::dimensions(&report.models) {
                    h2 { "Reward dimensions" }
                    (figure)
                }
            }
        }
    }
}

fn curations(curations: &[CurationReport], folder: &Path) -> Markup {
    html! {
        @if !curations.is_empty() {
            section {
                h2 { "Curation of training prompts" }
                @for curation in curations {
                    @if !curation.name.is_empty() { h3 { (curation.name) } }
                    @if let Some(uri) = curation.plot.as_ref().and_then(|plot| images::data_uri(&folder.join(plot))) {
                        figure.plot {
                            img src=(uri) alt="Every prompt by quality and instability. A box marks those of moderate \
                                               quality and high instability, which are kept.";
                            figcaption {
                                "The QI-Box. Each mark is a prompt. Prompts of the lowest and highest quality are "
                                "dropped; of the others the most unstable of each stratum are kept."
                            }
                        }
                    }
                    (table(&tables::curation(&curation.summary)))
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
                    h3.run { (run.name) " " span.facts { (facts::run(run)) } }
                    @if run.curves.is_empty() {
                        p.note { "No metrics to plot." }
                    } @else {
                        div.curves { @for curve in &run.curves { (line_chart::figure(curve)) } }
                    }
                    @if !run.config.is_null() {
                        details { summary { "Settings" } pre { (serde_json::to_string_pretty(&run.config).unwrap_or_default()) } }
                    }
                }
                p.note {
                    "Each chart spans the metric's lowest to highest value; the number beside its name is the last value. "
                    "Thin line: as logged. Bold line: running mean."
                }
            }
        }
    }
}

fn rollouts(report: &Report, folder: &Path) -> Markup {
    html! {
        @if !report.rollouts.is_empty() {
            section {
                h2 { "Rollouts" }
                p.note {
                    "A few rollouts of every kind of event. Text that may describe a hazard is folded away and its "
                    "images are blurred until you open them."
                }
                p { input type="checkbox" id="reveal"; " " label for="reveal" { "Show all texts and images" } }
                @for (index, shown) in report.rollouts.iter().enumerate() {
                    (rollout_card::card(shown, folder, index))
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
