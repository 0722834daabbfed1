//! What stands behind and between objects: grounds and small marks.

use rand::{Rng, RngExt};
use tiny_skia::{PathBuilder, Pixmap};

use super::brush::{fill_rgb, stroke_rgb};
use super::color::{Rgb, mix};
use super::shape::Region;
use super::style::Style;

/// The pattern of a background.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// One color.
    Flat,
    /// One color passing into another, from top to bottom.
    Gradient,
    /// A wall above a table.
    Table,
    /// Upright stripes.
    Stripes,
    /// A checkered cloth.
    Checks,
    /// Bare paper with its grain, darker towards the bottom.
    Paper,
    /// Paper with ruled lines.
    Ruled,
    /// Paper with a square grid.
    Squared,
}

/// What objects stand before.
#[derive(Clone, Debug, PartialEq)]
pub struct Background {
    /// How the two colors are laid out.
    pub pattern: Pattern,
    /// The first color: wall, top, ground.
    pub near: Rgb,
    /// The second color: table, bottom, lines.
    pub far: Rgb,
    /// Which grain paper has.
    pub grain: u32,
}

impl Background {
    /// A background that suits a style: pale colors of any hue for the plain one, papers for the sketch.
    pub(super) fn random(rng: &mut impl Rng, style: Style) -> Self {
        let plain = [Pattern::Flat, Pattern::Gradient, Pattern::Table, Pattern::Stripes, Pattern::Checks];
        let papers = [Pattern::Paper, Pattern::Ruled, Pattern::Squared];
        let (pattern, near, far) = match style {
            Style::Plain => (plain[rng.random_range(0..plain.len())], pale(rng), pale(rng)),
            Style::Sketch => {
                let sheets = [[240, 230, 206], [222, 200, 164], [214, 220, 216], [236, 224, 224]];
                let sheet = sheets[rng.random_range(0..sheets.len())];
                (papers[rng.random_range(0..papers.len())], sheet, mix(sheet, [104, 96, 92], 0.25))
            }
        };
        Self { pattern, near, far, grain: rng.random() }
    }

    /// Covers the whole pixmap.
    pub(super) fn paint(&self, pixmap: &mut Pixmap) {
        let size = pixmap.width();
        // Two hundred and fifty-six steps are as fine as 8-bit channels can show, and mixing once a step is quick.
        let steps: [Rgb; 256] = std::array::from_fn(|step| mix(self.near, self.far, step as f32 / 255.0));
        for (index, pixel) in (0_u32..).zip(pixmap.data_mut().chunks_exact_mut(4)) {
            let (column, row) = (index % size, index / size);
            let across = column as f32 / size as f32;
            let down = row as f32 / size as f32;
            let share = self.share(across, down, index);
            pixel[..3].copy_from_slice(&steps[(share * 255.0) as usize]);
            pixel[3] = u8::MAX;
        }
    }

    /// How much of the second color a point has, 0 to 1; paper has its grain by the pixel's index.
    fn share(&self, across: f32, down: f32, index: u32) -> f32 {
        match self.pattern {
            Pattern::Flat => 0.0,
            Pattern::Gradient => down,
            Pattern::Table => on(down > 0.68),
            Pattern::Stripes => on((across * 8.0).fract() < 0.5),
            Pattern::Checks => on(((across * 7.0).floor() + (down * 7.0).floor()) % 2.0 == 0.0) * 0.7,
            Pattern::Paper => self.paper(down, index),
            Pattern::Ruled => self.paper(down, index).max(0.8 * line(down, 11.0)),
            Pattern::Squared => {
                let lines = (0.6 * line(down, 13.0)).max(0.6 * line(across, 13.0));
                self.paper(down, index).max(lines)
            }
        }
    }

    fn paper(&self, down: f32, index: u32) -> f32 {
        0.3 * down + 0.35 * noise(self.grain, index)
    }
}

/// 1 where the condition holds, 0 elsewhere.
fn on(condition: bool) -> f32 {
    f32::from(u8::from(condition))
}

/// 1 on one of so many even lines, 0 between them.
fn line(position: f32, lines: f32) -> f32 {
    on((position * lines).fract() < 0.1)
}

/// The form of a small mark; none looks like an object of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClutterKind {
    /// A spot.
    Dot,
    /// Two crossed strokes.
    Cross,
    /// An empty square.
    Square,
    /// A short line.
    Dash,
}

/// A small mark without meaning. Lengths are shares of the image's side.
#[derive(Clone, Debug, PartialEq)]
pub struct Clutter {
    /// Its form.
    pub kind: ClutterKind,
    /// Its middle: across, down.
    pub center: [f32; 2],
    /// Half its extent.
    pub radius: f32,
    /// Its color: between pale and gray, so that no object's color is meant.
    pub color: Rgb,
}

/// Places tried for marks: those that are free are used.
const CLUTTER_TRIES: usize = 12;

impl Clutter {
    /// Marks of random form where nothing `taken` is near.
    pub(super) fn scattered(rng: &mut impl Rng, taken: &[Region]) -> Vec<Self> {
        let tries = rng.random_range(0..=CLUTTER_TRIES);
        (0..tries)
            .map(|_| Self::random(rng))
            .filter(|mark| taken.iter().all(|region| mark.is_outside(region)))
            .collect()
    }

    fn random(rng: &mut impl Rng) -> Self {
        let kinds = [ClutterKind::Dot, ClutterKind::Cross, ClutterKind::Square, ClutterKind::Dash];
        Self {
            kind: kinds[rng.random_range(0..kinds.len())],
            center: [rng.random_range(0.03_f32..0.97), rng.random_range(0.03_f32..0.97)],
            radius: rng.random_range(0.012_f32..0.028),
            color: mix(pale(rng), [120; 3], rng.random_range(0.3_f32..0.8)),
        }
    }

    /// Whether the mark, line width included, lies wholly outside a region.
    fn is_outside(&self, [left, top, right, bottom]: &Region) -> bool {
        let reach = self.radius * 1.5;
        let [across, down] = self.center;
        across + reach < *left || across - reach > *right || down + reach < *top || down - reach > *bottom
    }

    /// Paints the mark.
    pub(super) fn paint(&self, pixmap: &mut Pixmap) {
        let size = pixmap.width() as f32;
        let [x, y] = self.center.map(|share| share * size);
        let reach = self.radius * size;
        let lines: &[[[f32; 2]; 2]] = match self.kind {
            ClutterKind::Dot => &[],
            ClutterKind::Cross => &[[[-0.7, -0.7], [0.7, 0.7]], [[-0.7, 0.7], [0.7, -0.7]]],
            ClutterKind::Square => &[
                [[-0.7, -0.7], [0.7, -0.7]],
                [[0.7, -0.7], [0.7, 0.7]],
                [[0.7, 0.7], [-0.7, 0.7]],
                [[-0.7, 0.7], [-0.7, -0.7]],
            ],
            ClutterKind::Dash => &[[[-1.0, 0.3], [1.0, -0.3]]],
        };
        let mut builder = PathBuilder::new();
        if self.kind == ClutterKind::Dot {
            builder.push_circle(x, y, reach * 0.7);
        }
        for [from, to] in lines {
            builder.move_to(x + from[0] * reach, y + from[1] * reach);
            builder.line_to(x + to[0] * reach, y + to[1] * reach);
        }
        let Some(path) = builder.finish() else { return };
        match self.kind {
            ClutterKind::Dot => fill_rgb(pixmap, &path, self.color),
            _ => stroke_rgb(pixmap, &path, self.color, reach * 0.5),
        }
    }
}

/// A light color of any hue.
fn pale(rng: &mut impl Rng) -> Rgb {
    std::array::from_fn(|_| rng.random_range(206..=248))
}

/// A number in 0 to 1 that looks random over `index` (a hash, so that an image needs no generator to be painted).
fn noise(grain: u32, index: u32) -> f32 {
    let mut hash = (index ^ grain).wrapping_mul(0x9E37_79B1);
    hash = (hash ^ (hash >> 15)).wrapping_mul(0x85EB_CA77);
    hash ^= hash >> 13;
    (hash >> 8) as f32 / (1 << 24) as f32
}
