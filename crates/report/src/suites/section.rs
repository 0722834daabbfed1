//! Benchmarks on the page.

use std::path::Path;

use align::types::{Part, image_paths};
use maud::{Markup, html};

use crate::html_table::table;
use crate::quotes::{quote, response};
use crate::suites::contents::{ShownFlip, ShownResponse, SuiteReport};
use crate::suites::{chart, tables, words};
use crate::{images, rollout_text};

/// The section of benchmarks; nothing where there are none. `models` are the models of the whole report.
pub fn section(suites: &[SuiteReport], models: &[&str], folder: &Path) -> Markup {
    html! {
        @if !suites.is_empty() {
            section {
                h2 { "Benchmarks" }
                @for line in words::ABOUT { p.note { (line) } }
                @if let Some(overview) = tables::overview(suites, models) { (table(&overview)) }
                @for suite in suites { (of_suite(suite, models, folder)) }
            }
        }
    }
}

fn of_suite(suite: &SuiteReport, models: &[&str], folder: &Path) -> Markup {
    html! {
        section.suite id=(format!("suite-{}", suite.suite)) {
            h3.run { (suite.title) " " span.facts { code { (suite.suite) } } }
            @for line in words::scored_by(suite) { p.note { (line) } }
            @if let Some(figure) = chart::figure(suite, models) { (figure) }
            (table(&tables::rates(suite)))
            @if let Some(bounds) = tables::bounds(suite) { (table(&bounds)) }
            @for differences in tables::differences(suite) { (table(&differences)) }
            @if let Some(categories) = tables::categories(suite) {
                details { summary { "By category" } (table(&categories)) }
            }
            details { summary { "Refusals by their words" } (table(&tables::refusals(suite))) }
            details {
                summary { "How it was made" }
                @if let Some(deviations) = tables::deviations(suite) { (table(&deviations)) }
                ul.note { @for line in words::made_with(suite) { li { (line) } } }
            }
            @if !suite.flips.is_empty() {
                details {
                    summary { "Items whose verdict flips, the worst first" }
                    @for (index, flip) in suite.flips.iter().enumerate() {
                        (card(suite, flip, folder, &format!("{}-{index}", suite.suite)))
                    }
                }
            }
        }
    }
}

/// The card of an item. Text and images are hidden at first. `control` tells its controls apart from those of others.
fn card(suite: &SuiteReport, flip: &ShownFlip, folder: &Path, control: &str) -> Markup {
    html! {
        article.rollout {
            header {
                h4 { (words::flips(suite, flip)) }
                p.facts { code { (flip.id) } " · " (words::facts(flip)) }
            }
            (image_row(flip, folder, control))
            details.veil {
                summary { "Show the texts, which may describe a hazard" }
                @for message in &flip.messages {
                    @if message.content.iter().any(|part| matches!(part, Part::Text { .. })) {
                        (quote(rollout_text::speaker(message.role), "prompt", &message.plain_text()))
                    }
                }
                (answer(&flip.baseline, "response", &flip.before))
                (answer(&flip.model, "correction", &flip.after))
            }
        }
    }
}

fn image_row(flip: &ShownFlip, folder: &Path, control: &str) -> Markup {
    let paths: Vec<&Path> = image_paths(&flip.messages).collect();
    html! {
        @if !paths.is_empty() {
            div.images {
                input.unblur type="checkbox" id=(format!("unblur-{control}"));
                " " label for=(format!("unblur-{control}")) { "Show the images unblurred" }
                div.row.blurred {
                    @for (index, path) in paths.iter().enumerate() {
                        @match images::thumbnail(&folder.join(path)) {
                            Some(uri) => img src=(uri) alt=(format!("Image {} of item {}", index + 1, flip.id));
                            None => p.absent { "Image " (index + 1) " is missing: " code { (path.display()) } }
                        }
                    }
                }
            }
        }
    }
}

fn answer(model: &str, kind: &str, shown: &ShownResponse) -> Markup {
    html! {
        (response(&format!("{model}: "), kind, &shown.response))
        ul.remarks { li { (words::judgement(shown)) } }
    }
}
