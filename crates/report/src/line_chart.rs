//! Training curves as small charts (SVG), one a metric.

use maud::{Markup, html};

use crate::contents::Curve;
use crate::curves;
use crate::numbers::significant;

/// The chart's size and the plot's place in it, in SVG units.
const WIDTH: f64 = 260.0;
const HEIGHT: f64 = 120.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 254.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 100.0;

/// More points than this cannot be distinguished at this size.
const MOST_POINTS: usize = 240;

/// Curves with at least this many points get a running mean over the raw values.
const SMOOTHED_FROM: usize = 24;

/// The range that a chart covers.
struct Range {
    steps: (f64, f64),
    values: (f64, f64),
}

impl Range {
    /// The steps of a curve and the values of its thinned points.
    fn of(curve: &Curve, points: &[(f64, f64)]) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for (_, value) in points {
            (low, high) = (low.min(*value), high.max(*value));
        }
        let (first, last) = (curve.points[0].0 as f64, curve.points[curve.points.len() - 1].0 as f64);
        Self { steps: (first, last.max(first + 1.0)), values: (low, high) }
    }

    /// The heights with a line and a label: the lowest and highest value, or the only one there is.
    fn marks(&self) -> Vec<(f64, f64)> {
        let (low, high) = self.values;
        if low < high { vec![(TOP, high), (BOTTOM, low)] } else { vec![(f64::midpoint(TOP, BOTTOM), low)] }
    }

    fn position(&self, (step, value): (f64, f64)) -> (f64, f64) {
        let along = (step - self.steps.0) / (self.steps.1 - self.steps.0);
        // A constant curve runs through the middle.
        let (low, high) = self.values;
        let up = if low < high { (value - low) / (high - low) } else { 0.5 };
        (LEFT + along * (RIGHT - LEFT), BOTTOM - up * (BOTTOM - TOP))
    }

    fn line(&self, points: &[(f64, f64)]) -> String {
        let positions = points.iter().map(|point| self.position(*point));
        positions.map(|(x, y)| format!("{x:.1},{y:.1}")).collect::<Vec<_>>().join(" ")
    }
}

/// One metric over the steps of a run. A curve has at least two points.
pub fn figure(curve: &Curve) -> Markup {
    let points = curves::thinned(&curve.points, MOST_POINTS);
    let range = Range::of(curve, &points);
    let is_long = points.len() >= SMOOTHED_FROM;
    let last = points[points.len() - 1];
    html! {
        figure.curve {
            figcaption { (curves::label(&curve.metric)) " " span.last { (significant(curve.points[curve.points.len() - 1].1)) } }
            svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(description(curve)) {
                (frame(&range))
                polyline.raw.alone[!is_long] points=(range.line(&points)) {}
                @if is_long {
                    polyline.smooth points=(range.line(&curves::smoothed(&points, points.len() / 16))) {}
                } @else {
                    @let (x, y) = range.position(last);
                    circle.end cx=(format!("{x:.1}")) cy=(format!("{y:.1}")) r="2.4" {}
                }
            }
        }
    }
}

/// Lines and labels at the marked values, and the first and last step.
fn frame(range: &Range) -> Markup {
    html! {
        @for (y, value) in range.marks() {
            line.rule x1=(LEFT) x2=(RIGHT) y1=(y) y2=(y) {}
            text.tick.side x=(LEFT - 5.0) y=(y + 3.5) { (significant(value)) }
        }
        text.tick x=(LEFT) y=(HEIGHT - 6.0) { (range.steps.0) }
        text.tick.side x=(RIGHT) y=(HEIGHT - 6.0) { "step " (range.steps.1) }
    }
}

fn description(curve: &Curve) -> String {
    let (first, last) = (curve.points[0], curve.points[curve.points.len() - 1]);
    format!(
        "{} over steps {} to {}: from {} to {}",
        curves::label(&curve.metric),
        first.0,
        last.0,
        significant(first.1),
        significant(last.1)
    )
}
