//! Models side by side: shares with their intervals, and mean scores as bars. Both are HTML, so that their text keeps
//! its size on a narrow screen.

use maud::{Markup, html};

use super::numbers::one_decimal;
use super::tables;
use crate::eval::{EvalSummary, Rate};

/// The figures shown first: split, rate, whether lower is better.
const KEY_FIGURES: [(&str, &str, bool); 5] = [
    ("easy", "asr", true),
    ("hard", "asr", true),
    ("real", "asr", true),
    ("benign", "over_refusal", true),
    ("general", "accuracy", false),
];

/// As many colours as the style sheet has.
const COLOURS: usize = 7;

/// The class that gives a model its colour, by its place among the models.
fn colour(place: usize) -> String {
    format!("model-{}", place % COLOURS)
}

/// The key figures of every model with their 95 % intervals; none where no model has any.
pub(super) fn key_figures(models: &[EvalSummary]) -> Option<Markup> {
    let panels: Vec<Markup> = KEY_FIGURES
        .iter()
        .filter_map(|(split, rate, low)| panel(models, split, rate, *low))
        .collect();
    (!panels.is_empty()).then(|| {
        html! {
            figure {
                div.panels { @for panel in &panels { (panel) } }
                figcaption {
                    "Share of scored responses in per cent. Dots: the share; lines: its 95 % interval (Wilson)."
                }
            }
        }
    })
}

fn panel(models: &[EvalSummary], split: &str, rate: &str, lower_is_better: bool) -> Option<Markup> {
    let rates: Vec<(usize, &EvalSummary, &Rate)> = models
        .iter()
        .enumerate()
        .filter_map(|(place, model)| Some((place, model, model.split(split)?.rates.get(rate)?)))
        .collect();
    (!rates.is_empty()).then(|| {
        html! {
            div.panel {
                h3 {
                    (tables::heading(rate)) ", " (split) " "
                    span.better { (if lower_is_better { "lower is better" } else { "higher is better" }) }
                }
                @for (place, model, rate) in rates {
                    div.measure.(colour(place)) {
                        span.name { (model.model) }
                        (track(rate))
                        span.value { (rate.percent.map_or_else(|| "–".into(), one_decimal)) }
                    }
                }
            }
        }
    })
}

fn track(rate: &Rate) -> Markup {
    html! {
        span.track aria-hidden="true" {
            @if let (Some(percent), Some(low), Some(high)) = (rate.percent, rate.low, rate.high) {
                span.interval style=(format!("left:{low:.1}%;width:{:.1}%", high - low)) {}
                span.dot style=(format!("left:{percent:.1}%")) {}
            }
        }
    }
}

/// Mean scores by reward dimension, a bar for each model; none where nothing was scored by dimension.
pub(super) fn dimensions(models: &[EvalSummary]) -> Option<Markup> {
    let splits = tables::dimension_splits(models);
    (!splits.is_empty()).then(|| {
        html! {
            figure {
                div.panels.wide {
                    @for split in &splits {
                        div.panel {
                            h3 { (split) }
                            @for dimension in tables::dimension_names(models, split) {
                                (dimension_bars(models, split, &dimension))
                            }
                        }
                    }
                }
                figcaption { "Mean score of the judge by reward dimension, 0 to 10, by model and split." }
            }
        }
    })
}

fn dimension_bars(models: &[EvalSummary], split: &str, dimension: &str) -> Markup {
    let score = |model: &EvalSummary| model.split(split)?.dimensions.get(dimension).copied();
    html! {
        div.dimension {
            h4 { (tables::dimension_label(dimension)) }
            @for (place, model) in models.iter().enumerate() {
                @if let Some(score) = score(model) {
                    div.measure.(colour(place)) {
                        span.name { (model.model) }
                        span.track aria-hidden="true" {
                            span.bar style=(format!("width:{:.1}%", (10.0 * score).clamp(0.0, 100.0))) {}
                        }
                        span.value { (one_decimal(score)) }
                    }
                }
            }
        }
    }
}
