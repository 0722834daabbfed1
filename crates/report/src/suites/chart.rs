//! A benchmark's rates as dots on lines: models with their intervals, and published figures as diamonds below.

use align::eval::suite::{Better, GroupSummary, Published, RateInfo};
use maud::{Markup, html};

use crate::bars::{color, track};
use crate::numbers::{NONE, one_decimal};
use crate::suites::contents::SuiteReport;
use crate::suites::tables::{directed_rates, figures, groups, published};

/// With more splits than this, all items together are shown alone.
const MOST_SPLITS: usize = 6;

/// The chart; none where there is no figure. `models` are the models of the whole report, whose order gives the colors.
pub fn figure(suite: &SuiteReport, models: &[&str]) -> Option<Markup> {
    let shown = shown_splits(suite);
    let rates = directed_rates(suite);
    let panels = shown.iter().flat_map(|split| rates.iter().filter_map(|info| panel(suite, models, split, info)));
    let panels: Vec<Markup> = panels.collect();
    (!panels.is_empty()).then(|| html! { figure { div.panels { @for panel in &panels { (panel) } } } })
}

/// The splits; all items together where there are none or many, or where figures are published of them.
fn shown_splits(suite: &SuiteReport) -> Vec<&str> {
    let groups = groups(suite, false);
    let is_by_split = (2..=MOST_SPLITS + 1).contains(&groups.len());
    let splits = groups.into_iter().enumerate().filter(|(index, (split, _))| match index {
        0 => !is_by_split || !published(suite, split).is_empty(),
        _ => is_by_split,
    });
    splits.map(|(_, (split, _))| split).collect()
}

fn panel(suite: &SuiteReport, models: &[&str], split: &str, info: &RateInfo) -> Option<Markup> {
    let of_model = suite.models.iter().filter_map(|model| {
        let rate = figures(model, (split, None)).and_then(|group: &GroupSummary| group.rates.get(&info.name))?;
        let index = models.iter().position(|name| *name == model.model).unwrap_or_default();
        Some((index, &model.model, &rate.rate))
    });
    let of_model: Vec<_> = of_model.collect();
    let marks = published(suite, split).into_iter().flatten().filter(|figure| figure.rate == info.name);
    let marks: Vec<&Published> = marks.collect();
    let direction = match info.better {
        Better::Lower => "lower is better",
        Better::Higher => "higher is better",
        Better::Neither => "",
    };
    (!of_model.is_empty()).then(|| {
        html! {
            div.panel {
                h4 { (info.heading) @if split != "all" { ", " (split) } " " span.better { (direction) } }
                @for (index, name, rate) in of_model {
                    div.measure.(color(index)) {
                        span.name title=(name) { (name) }
                        (track(rate))
                        span.value { (rate.percent.map_or_else(|| NONE.into(), one_decimal)) }
                    }
                }
                @if !marks.is_empty() {
                    div.measure.published {
                        span.name { "published" }
                        span.track aria-hidden="true" {
                            @for figure in marks {
                                span.mark style=(format!("left:{:.1}%", figure.percent))
                                    title=(format!("{}: {} (judge: {})", figure.model, one_decimal(figure.percent), figure.judge)) {}
                            }
                        }
                        span.value {}
                    }
                }
            }
        }
    })
}
