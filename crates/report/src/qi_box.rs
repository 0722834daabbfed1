//! The QI-Box as a plot (SVG): every prompt of a curation by quality and instability, kept or dropped.

use std::collections::HashSet;
use std::path::Path;

use align::curate::{CurationRecord, CurationSummary, QiBox, RECORDS};
use align::files::write_atomically;
use align::json_lines::JsonLinesReader;
use align::types::DataError;
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::error::ReportError;

/// The plot's file, in the curation's folder.
const FILE: &str = "qi_box.svg";

const SIZE: (u32, u32) = (760, 520);
const LEGEND_HEIGHT: u32 = 58;
const FONT: &str = "system-ui, sans-serif";
const INK: RGBColor = RGBColor(38, 42, 48);
const FAINT: RGBColor = RGBColor(222, 225, 229);
const KEPT: RGBColor = RGBColor(0, 114, 178);
const DROPPED: RGBColor = RGBColor(150, 156, 164);
const EDGE: RGBColor = RGBColor(213, 94, 0);

/// Colors for dark surroundings; the plot follows the reader's preference wherever it is shown.
const DARK: &str = "<style>@media (prefers-color-scheme: dark){text[fill=\"#262A30\"]{fill:#d7dae0}\
    [stroke=\"#262A30\"]{stroke:#8a919b}[stroke=\"#DEE1E5\"]{stroke:#34383f}\
    [fill=\"#0072B2\"]{fill:#56b4e9}[fill=\"#969CA4\"]{fill:#7b828c}\
    [stroke=\"#D55E00\"]{stroke:#f0883e}[fill=\"#D55E00\"]{fill:#f0883e}}</style>";

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Plane<'a> = DrawingArea<SVGBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;
type DrawError = DrawingAreaErrorKind<std::io::Error>;

/// The groups distinguished by color (kept or not) and shape (benign or not). Kept ones come last and lie on top. A
/// group's index is two for kept plus one for benign, as [`Census::count`] has it.
const GROUPS: [(bool, bool, &str); 4] = [
    (false, false, "hazardous, dropped"),
    (false, true, "benign, dropped"),
    (true, false, "hazardous, kept"),
    (true, true, "benign, kept"),
];

/// Up to this many prompts each has its mark.
const MOST_MARKS: usize = 4000;
/// Beyond that, a group has one mark in each cell of a grid: columns (0 to 10) and rows.
const GRID: (f64, f64) = (80.0, 48.0);

/// A prompt in the plane.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Mark {
    /// Quality, 0..10.
    q: f64,
    /// Instability, 0..5.
    i: f64,
    kept: bool,
    benign: bool,
}

impl Mark {
    /// A prompt's mark; none where nothing was scored.
    fn of(record: &CurationRecord) -> Option<Self> {
        Some(Self { q: record.q?, i: record.i?, kept: record.kept, benign: record.is_benign() })
    }
}

/// What must be known of all marks before one is drawn.
#[derive(Clone, Copy, Debug, Default)]
struct Census {
    /// How many there are in each of the [`GROUPS`].
    counts: [usize; GROUPS.len()],
    highest: f64,
}

impl Census {
    fn count(&mut self, mark: &Mark) {
        self.counts[2 * usize::from(mark.kept) + usize::from(mark.benign)] += 1;
        self.highest = self.highest.max(mark.i);
    }

    /// The instability at the top of the plot.
    fn top(&self) -> f64 {
        self.highest.max(0.5)
    }
}

/// Plots the curation in a folder, from its `curation.jsonl`, as `qi_box.svg`. Of many thousands of prompts those that
/// would lie on each other share a mark, so that the plot and its memory stay small; the legend counts all of them.
///
/// Errors: `Data`, `Io` and `Plot` naming the file.
pub fn write(folder: &Path, summary: &CurationSummary) -> Result<(), ReportError> {
    let (records, file) = (folder.join(RECORDS), folder.join(FILE));
    let mut census = Census::default();
    for mark in marks(&records)? {
        census.count(&mark?);
    }
    let marks = thinned(marks(&records)?, &census)?;
    let svg = draw(&marks, &census, summary.qi_box)
        .map_err(|error| ReportError::Plot { file: file.clone(), problem: error.to_string() })?;
    Ok(write_atomically(&file, svg.as_bytes())?)
}

/// The marks of the prompts in a file of records, read one at a time.
fn marks(records: &Path) -> Result<impl Iterator<Item = Result<Mark, DataError>>, DataError> {
    let records = JsonLinesReader::<CurationRecord>::open(records)?;
    Ok(records.filter_map(|record| record.map(|record| Mark::of(&record)).transpose()))
}

/// The marks to draw: all, or the first in each cell of the grid.
fn thinned(marks: impl Iterator<Item = Result<Mark, DataError>>, census: &Census) -> Result<Vec<Mark>, DataError> {
    let draws_all = census.counts.iter().sum::<usize>() <= MOST_MARKS;
    let mut taken = HashSet::new();
    let mut drawn = Vec::new();
    for mark in marks {
        let mark = mark?;
        let (column, row) = (mark.q / 10.0 * GRID.0, mark.i / census.top() * GRID.1);
        if draws_all || taken.insert((mark.kept, mark.benign, column as u32, row as u32)) {
            drawn.push(mark);
        }
    }
    Ok(drawn)
}

/// The plot as SVG text, on a transparent ground.
fn draw(marks: &[Mark], census: &Census, qi_box: Option<QiBox>) -> Result<String, DrawError> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let (legend, below) = root.split_vertically(LEGEND_HEIGHT);
        draw_legend(&legend, census)?;
        draw_chart(&below, marks, census.top(), qi_box)?;
        root.present()?;
    }
    Ok(svg.replacen(">\n", &format!(">\n<title>Quality and instability of each prompt</title>\n{DARK}\n"), 1))
}

fn draw_chart(area: &Area, marks: &[Mark], highest: f64, qi_box: Option<QiBox>) -> Result<(), DrawError> {
    let mut chart = ChartBuilder::on(area)
        .margin(6)
        .margin_right(22)
        .x_label_area_size(50)
        .y_label_area_size(58)
        .build_cartesian_2d(-0.2..10.2, -0.04 * highest..highest * 1.08)?;
    let small = (FONT, 14).into_font().color(&INK);
    chart
        .configure_mesh()
        .axis_style(INK)
        .bold_line_style(FAINT)
        .light_line_style(TRANSPARENT)
        .x_desc("quality Q: mean score of the samples (0 to 10)")
        .y_desc("instability I: their standard deviation")
        .x_labels(11)
        .y_labels(6)
        .x_label_formatter(&|quality| format!("{quality:.0}"))
        .y_label_formatter(&|instability| format!("{instability:.1}"))
        .label_style(small.clone())
        .axis_desc_style((FONT, 15).into_font().color(&INK))
        .draw()?;
    let plane = chart.plotting_area();
    if let Some(bounds) = qi_box {
        let corners = [(bounds.q_low - 0.08, highest * 1.04), (bounds.q_high + 0.08, bounds.i_low - 0.02 * highest)];
        plane.draw(&Rectangle::new(corners, EDGE.mix(0.06).filled()))?;
        plane.draw(&Rectangle::new(corners, EDGE.stroke_width(2)))?;
    }
    GROUPS.iter().try_for_each(|(kept, benign, _)| draw_group(plane, marks, *kept, *benign))
}

fn draw_group(plane: &Plane, marks: &[Mark], kept: bool, benign: bool) -> Result<(), DrawError> {
    for mark in marks.iter().filter(|mark| mark.kept == kept && mark.benign == benign) {
        let (position, style) = ((mark.q, mark.i), marker_style(kept));
        if benign {
            plane.draw(&TriangleMarker::new(position, 6, style))?;
        } else {
            plane.draw(&Circle::new(position, 4, style))?;
        }
    }
    Ok(())
}

fn marker_style(kept: bool) -> ShapeStyle {
    if kept { KEPT.mix(0.8).filled() } else { DROPPED.mix(0.55).filled() }
}

/// The legend, in two columns and two rows: each group with its count, and the box.
fn draw_legend(area: &Area, census: &Census) -> Result<(), DrawError> {
    let text = (FONT, 14).into_font().color(&INK).pos(Pos::new(HPos::Left, VPos::Center));
    for (index, ((kept, benign, label), count)) in GROUPS.iter().zip(census.counts).enumerate() {
        let (x, y) = (74 + 225 * (index as i32 / 2), 18 + 24 * (index as i32 % 2));
        if *benign {
            area.draw(&TriangleMarker::new((x, y), 6, marker_style(*kept)))?;
        } else {
            area.draw(&Circle::new((x, y), 4, marker_style(*kept)))?;
        }
        area.draw(&Text::new(format!("{label} ({count})"), (x + 14, y), text.clone()))?;
    }
    area.draw(&Rectangle::new([(514, 12), (530, 24)], EDGE.stroke_width(2)))?;
    area.draw(&Text::new("the box", (540, 18), text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_of_many_prompts_stays_small() {
        let marks: Vec<Mark> = (0..159_000_usize)
            .map(|number| Mark {
                q: (number % 1009) as f64 / 1009.0 * 10.0,
                i: (number % 997) as f64 / 997.0 * 5.0,
                kept: number.is_multiple_of(16),
                benign: number.is_multiple_of(7),
            })
            .collect();
        let mut census = Census::default();
        marks.iter().for_each(|mark| census.count(mark));
        let drawn = thinned(marks.into_iter().map(Ok), &census).unwrap();
        let svg = draw(&drawn, &census, None).unwrap();
        assert!(svg.len() < 1_500_000, "{} bytes", svg.len());
        assert!(svg.contains("hazardous, kept (8518)"), "all are counted");
    }
}
