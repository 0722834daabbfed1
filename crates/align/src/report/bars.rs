//! Models side by side: shares with their intervals, and mean scores as bars. Both are HTML, so that their text keeps
//! its size on a narrow screen.

use maud::{Markup, html};

use super::numbers::one_decimal;
use super::tables;
use crate::eval::{EvalSummary, Rate};

/// A figure shown first.
struct KeyFigure {
    split: &'static str,
    rate: &'static str,
    label: &'static str,
    direction: &'static str,
}

const KEY_FIGURES: [KeyFigure; 5] = [
    KeyFigure {
        split: "easy",
        rate: "asr",
        label: "Attack success, easy",
        direction: "lower is better",
    },
    KeyFigure {
        split: "hard",
        rate: "asr",
        label: "Attack success, hard",
        direction: "lower is better",
    },
    KeyFigure {
        split: "real",
        rate: "asr",
        label: "Attack success, real",
        direction: "lower is better",
    },
    KeyFigure {
        split: "benign",
        rate: "over_refusal",
        label: "Over-refusal, benign",
        direction: "lower is better",
    },
    KeyFigure {
        split: "general",
        rate: "accuracy",
        label: "Accuracy, general",
        direction: "higher is better",
    },
];

/// As many colours as the style sheet has.
const COLOURS: usize = 7;

/// The class that gives a model its colour, by its place among the models.
fn colour(place: usize) -> String {
    format!("model-{}", place % COLOURS)
}

/// The key figures of every model with their 95 % intervals; none where no model has any.
pub(super) fn key_figures(models: &[EvalSummary]) -> Option<Markup> {
    let panels: Vec<Markup> = KEY_FIGURES.iter().filter_map(|figure| panel(models, figure)).collect();
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

fn panel(models: &[EvalSummary], figure: &KeyFigure) -> Option<Markup> {
    let rates: Vec<(usize, &EvalSummary, &Rate)> = models
        .iter()
        .enumerate()
        .filter_map(|(place, model)| Some((place, model, model.split(figure.split)?.rates.get(figure.rate)?)))
        .collect();
    (!rates.is_empty()).then(|| {
        html! {
            div.panel {
                h3 { (figure.label) " " span.better { (figure.direction) } }
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
                @for split in &splits {
                    h3.split { (split) }
                    div.panels {
                        @for dimension in tables::dimension_names(models, split) {
                            (dimension_bars(models, split, &dimension))
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
