//! Models side by side: rates with their intervals, and mean scores as bars. Both are HTML, so that their text keeps
//! its size on a narrow screen.

use align::eval::{EvalSummary, Rate};
use maud::{Markup, html};

use crate::numbers::{NONE, one_decimal};
use crate::tables;

/// A rate shown first.
struct KeyRate {
    split: &'static str,
    rate: &'static str,
    label: &'static str,
    direction: &'static str,
}

const KEY_RATES: [KeyRate; 5] = [
    KeyRate { split: "easy", rate: "asr", label: "Attack success, easy", direction: "lower is better" },
    KeyRate { split: "hard", rate: "asr", label: "Attack success, hard", direction: "lower is better" },
    KeyRate { split: "real", rate: "asr", label: "Attack success, real", direction: "lower is better" },
    KeyRate { split: "benign", rate: "over_refusal", label: "Over-refusal, benign", direction: "lower is better" },
    KeyRate { split: "general", rate: "accuracy", label: "Accuracy, general", direction: "higher is better" },
];

/// The number of colors in the style sheet.
const COLORS: usize = 7;

/// The class that gives a model its color, by its index among the models.
pub fn color(index: usize) -> String {
    format!("model-{}", index % COLORS)
}

/// The key rates of every model with their 95 % intervals; none where no model has any.
pub fn key_rates(models: &[EvalSummary]) -> Option<Markup> {
    let panels: Vec<Markup> = KEY_RATES.iter().filter_map(|rate| panel(models, rate)).collect();
    (!panels.is_empty()).then(|| {
        html! {
            figure {
                div.panels { @for panel in &panels { (panel) } }
                figcaption { "% of scored responses. Dots: the rate. Lines: its 95 % confidence interval (Wilson)." }
            }
        }
    })
}

fn panel(models: &[EvalSummary], key: &KeyRate) -> Option<Markup> {
    let mut rates: Vec<(usize, &EvalSummary, &Rate)> = Vec::new();
    for (index, model) in models.iter().enumerate() {
        if let Some(rate) = model.split(key.split).and_then(|split| split.rates.get(key.rate)) {
            rates.push((index, model, rate));
        }
    }
    (!rates.is_empty()).then(|| {
        html! {
            div.panel {
                h3 { (key.label) " " span.better { (key.direction) } }
                @for (index, model, rate) in rates {
                    div.measure.(color(index)) {
                        span.name { (model.model) }
                        (track(rate))
                        span.value { (rate.percent.map_or_else(|| NONE.into(), one_decimal)) }
                    }
                }
            }
        }
    })
}

/// A rate as a dot on a line, with its interval.
pub fn track(rate: &Rate) -> Markup {
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
pub fn dimensions(models: &[EvalSummary]) -> Option<Markup> {
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
                figcaption { "Mean judge score by reward dimension, 0 to 10, by model and split." }
            }
        }
    })
}

fn dimension_bars(models: &[EvalSummary], split: &str, dimension: &str) -> Markup {
    html! {
        div.dimension {
            h4 { (tables::dimension_label(dimension)) }
            @for (index, model) in models.iter().enumerate() {
                @if let Some(score) = tables::dimension_score(model, split, dimension) {
                    div.measure.(color(index)) {
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
