//! Training curves as small charts (SVG), one a metric.

use maud::{Markup, html};

use super::numbers::significant;
use super::{Curve, curves};

/// The drawing's size and the plot's place in it, in its own units.
const WIDTH: f64 = 260.0;
const HEIGHT: f64 = 120.0;
const LEFT: f64 = 42.0;
const RIGHT: f64 = 254.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 100.0;

/// More points than this are not told apart at this size.
const MOST_POINTS: usize = 240;

/// Curves with at least this many points get a running mean over the raw values.
const SMOOTHED_FROM: usize = 24;

/// The range a chart covers.
struct Range {
    steps: (f64, f64),
    values: (f64, f64),
}

impl Range {
    fn of(points: &[(f64, f64)]) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for (_, value) in points {
            (low, high) = (low.min(*value), high.max(*value));
        }
        // A constant curve runs through the middle.
        let margin = if high > low { 0.0 } else { (0.1 * high.abs()).max(1e-9) };
        let steps = (points[0].0, points[points.len() - 1].0.max(points[0].0 + 1.0));
        Self {
            steps,
            values: (low - margin, high + margin),
        }
    }

    fn place(&self, (step, value): (f64, f64)) -> (f64, f64) {
        let along = (step - self.steps.0) / (self.steps.1 - self.steps.0);
        let up = (value - self.values.0) / (self.values.1 - self.values.0);
        (LEFT + along * (RIGHT - LEFT), BOTTOM - up * (BOTTOM - TOP))
    }

    fn line(&self, points: &[(f64, f64)]) -> String {
        let place = |point: &(f64, f64)| {
            let (x, y) = self.place(*point);
            format!("{x:.1},{y:.1}")
        };
        points.iter().map(place).collect::<Vec<_>>().join(" ")
    }
}

/// One metric over the steps of a run. A curve has at least two points.
pub(super) fn figure(curve: &Curve) -> Markup {
    let points = curves::thinned(&curve.points, MOST_POINTS);
    let range = Range::of(&points);
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
                    @let (x, y) = range.place(last);
                    circle.end cx=(format!("{x:.1}")) cy=(format!("{y:.1}")) r="2.4" {}
                }
            }
        }
    }
}

/// Lines at the lowest and highest value, with their labels, and the first and last step.
fn frame(range: &Range) -> Markup {
    html! {
        @for (y, value) in [(TOP, range.values.1), (BOTTOM, range.values.0)] {
            line.rule x1=(LEFT) x2=(RIGHT) y1=(y) y2=(y) {}
            text.tick.side x=(LEFT - 5.0) y=(y + 3.5) { (significant(value)) }
        }
        text.tick x=(LEFT) y=(HEIGHT - 6.0) { (range.steps.0.round()) }
        text.tick.side x=(RIGHT) y=(HEIGHT - 6.0) { "step " (range.steps.1.round()) }
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
