//! The vocabulary in which every object is drawn: outlines on a 100 x 100 grid (x to the right, y down), each filled
//! or stroked in a tone.
//!
//! Curves are broken into short straight pieces as they are made: a painter can then bend, measure and color any
//! outline without knowing what it was.

use tiny_skia::{Path, PathBuilder, Point, Transform};

/// What a shape is painted as; the painter turns it into a color.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// The object's main color.
    Body,
    /// The main color, darker.
    Shade,
    /// The main color, lighter.
    Tint,
    /// Nearly black.
    Dark,
    /// Nearly white.
    Light,
    /// Bare metal.
    Metal,
    /// Wood and crust.
    Wood,
    /// Fire, outside.
    Flame,
    /// Fire, inside; light.
    Glow,
    /// Clear water and glass.
    Water,
    /// Leaves and stalks.
    Leaf,
    /// A face, a hand.
    Skin,
}

/// Left, top, right and bottom.
pub(super) type Region = [f32; 4];

/// A point of an integer table, in grid units.
pub(super) type GridPoint = (i16, i16);

/// Pieces a full oval or a spline segment is broken into.
const OVAL_PIECES: usize = 40;
const SPLINE_PIECES: usize = 6;

/// How far dark edges and the waver of a sketch reach beyond an outline, in grid units.
const SPILL: f32 = 2.0;

/// One or more contours that are filled or stroked together; a contour inside another is a hole.
#[derive(Clone, Debug)]
pub(super) struct Outline {
    contours: Vec<Vec<Point>>,
    closed: bool,
}

impl Outline {
    fn new(contour: Vec<Point>, closed: bool) -> Self {
        Self { contours: vec![contour], closed }
    }

    /// The outline with `hole` cut out of it.
    pub(super) fn less(mut self, hole: Outline) -> Self {
        self.contours.extend(hole.contours);
        self
    }

    /// The outline turned clockwise about a point.
    pub(super) fn turned(self, degrees: i16, x: i16, y: i16) -> Self {
        self.transformed(Transform::from_rotate_at(f32::from(degrees), f32::from(x), f32::from(y)))
    }

    /// The outline's mirror image across the grid's vertical middle.
    pub(super) fn mirrored(self) -> Self {
        self.transformed(Transform::from_row(-1.0, 0.0, 0.0, 1.0, 100.0, 0.0))
    }

    /// The outline under an affine map.
    pub(super) fn transformed(mut self, transform: Transform) -> Self {
        self.contours.iter_mut().for_each(|contour| transform.map_points(contour));
        self
    }

    /// The outline with every point moved by `bend`, after pieces longer than `longest` were broken up.
    pub(super) fn bent(&self, longest: f32, bend: impl Fn(Point) -> Point) -> Self {
        let mut contours = Vec::with_capacity(self.contours.len());
        for contour in &self.contours {
            let mut points = Vec::with_capacity(contour.len() * 2);
            let closing = self.closed.then(|| contour[0]);
            for (from, to) in contour.iter().zip(contour.iter().skip(1).chain(&closing)) {
                let pieces = (from.distance(*to) / longest).ceil().max(1.0);
                points.extend((0..pieces as usize).map(|piece| bend(between(*from, *to, piece as f32 / pieces))));
            }
            if !self.closed {
                points.extend(contour.last().map(|last| bend(*last)));
            }
            contours.push(points);
        }
        Self { contours, closed: self.closed }
    }

    /// Every point of the outline.
    pub(super) fn points(&self) -> impl Iterator<Item = &Point> {
        self.contours.iter().flatten()
    }

    /// The outline as tiny-skia fills and strokes it; nothing if it has no extent.
    pub(super) fn path(&self) -> Option<Path> {
        let mut builder = PathBuilder::new();
        for contour in &self.contours {
            for (index, point) in contour.iter().enumerate() {
                if index == 0 {
                    builder.move_to(point.x, point.y);
                } else {
                    builder.line_to(point.x, point.y);
                }
            }
            if self.closed {
                builder.close();
            }
        }
        builder.finish()
    }
}

/// An outline, and how it is painted.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) outline: Outline,
    pub(super) tone: Tone,
    /// The line's width in grid units; none if the outline is filled.
    pub(super) stroke: Option<f32>,
}

/// An object: shapes from back to front.
#[derive(Clone, Debug, Default)]
pub(super) struct Drawing {
    pub(super) shapes: Vec<Shape>,
}

impl Drawing {
    /// Adds a filled outline in front.
    pub(super) fn fill(mut self, tone: Tone, outline: Outline) -> Self {
        self.shapes.push(Shape { outline, tone, stroke: None });
        self
    }

    /// Adds a line along an outline in front, `width` grid units wide.
    pub(super) fn stroke(mut self, tone: Tone, width: i16, outline: Outline) -> Self {
        self.shapes.push(Shape { outline, tone, stroke: Some(f32::from(width)) });
        self
    }

    /// Adds a filled outline and its mirror image.
    pub(super) fn fill_pair(self, tone: Tone, outline: Outline) -> Self {
        self.fill(tone, outline.clone()).fill(tone, outline.mirrored())
    }

    /// Adds a line and its mirror image.
    pub(super) fn stroke_pair(self, tone: Tone, width: i16, outline: Outline) -> Self {
        self.stroke(tone, width, outline.clone()).stroke(tone, width, outline.mirrored())
    }

    /// Adds filled discs of one radius.
    pub(super) fn discs(self, tone: Tone, radius: i16, centers: &[GridPoint]) -> Self {
        centers.iter().fold(self, |drawing, &(x, y)| drawing.fill(tone, disc(x, y, radius)))
    }

    /// Adds a two-colored flame standing on `bottom`.
    pub(super) fn flame(self, x: i16, top: i16, bottom: i16, half_width: i16) -> Self {
        let inner_top = top + (bottom - top) * 2 / 5;
        self.fill(Tone::Flame, teardrop(x, top, bottom, half_width))
            .fill(Tone::Glow, teardrop(x, inner_top, bottom - 1, half_width * 11 / 20))
    }

    /// Left, top, right and bottom of everything painted once `transform` is applied, in its units: line widths, dark
    /// edges and the waver of a sketch included.
    pub(super) fn bounds(&self, transform: Transform) -> Region {
        let mut bounds = [f32::INFINITY, f32::INFINITY, f32::NEG_INFINITY, f32::NEG_INFINITY];
        let scale = transform.get_scale().0;
        for shape in &self.shapes {
            let margin = (shape.stroke.unwrap_or_default() / 2.0 + SPILL) * scale;
            for point in shape.outline.points() {
                let mut point = *point;
                transform.map_point(&mut point);
                bounds[0] = bounds[0].min(point.x - margin);
                bounds[1] = bounds[1].min(point.y - margin);
                bounds[2] = bounds[2].max(point.x + margin);
                bounds[3] = bounds[3].max(point.y + margin);
            }
        }
        bounds
    }
}

/// A closed outline with straight sides.
pub(super) fn polygon(corners: &[GridPoint]) -> Outline {
    Outline::new(corners.iter().map(|&corner| grid(corner)).collect(), true)
}

/// An open line with straight pieces.
pub(super) fn polyline(corners: &[GridPoint]) -> Outline {
    Outline::new(corners.iter().map(|&corner| grid(corner)).collect(), false)
}

/// A closed smooth outline through points (a Catmull-Rom spline).
pub(super) fn blob(points: &[GridPoint]) -> Outline {
    let count = points.len();
    let mut contour = Vec::with_capacity(count * SPLINE_PIECES);
    for start in 0..count {
        let corners = [start + count - 1, start, start + 1, start + 2];
        contour.extend(spline_piece(corners.map(|index| grid(points[index % count]))));
    }
    Outline::new(contour, true)
}

/// An open smooth line through points.
pub(super) fn curve(points: &[GridPoint]) -> Outline {
    let last = points.len() - 1;
    let mut contour = Vec::with_capacity(points.len() * SPLINE_PIECES);
    for start in 0..last {
        let corners = [start.saturating_sub(1), start, start + 1, start + 2];
        contour.extend(spline_piece(corners.map(|index| grid(points[index.min(last)]))));
    }
    contour.push(grid(points[last]));
    Outline::new(contour, false)
}

/// An axis-aligned rectangle.
pub(super) fn rectangle(left: i16, top: i16, width: i16, height: i16) -> Outline {
    polygon(&[(left, top), (left + width, top), (left + width, top + height), (left, top + height)])
}

/// A rectangle with round corners.
pub(super) fn rounded(left: i16, top: i16, width: i16, height: i16, radius: i16) -> Outline {
    let (right, bottom) = (left + width - radius, top + height - radius);
    let corners = [(right, bottom, 0), (left + radius, bottom, 90), (left + radius, top + radius, 180)];
    let corners = corners.into_iter().chain([(right, top + radius, 270)]);
    Outline::new(corners.flat_map(|(x, y, from)| arc_points((x, y), (radius, radius), from, from + 90)).collect(), true)
}

/// An ellipse by its center and half axes.
pub(super) fn oval(x: i16, y: i16, half_width: i16, half_height: i16) -> Outline {
    Outline::new(arc_points((x, y), (half_width, half_height), 0, 360), true)
}

/// A circle.
pub(super) fn disc(x: i16, y: i16, radius: i16) -> Outline {
    oval(x, y, radius, radius)
}

/// An open piece of an ellipse between two angles in degrees: 0 is right, 90 down, 180 left, 270 up.
pub(super) fn arc(center: GridPoint, half_axes: GridPoint, from: i16, to: i16) -> Outline {
    Outline::new(arc_points(center, half_axes, from, to), false)
}

/// A piece of an ellipse closed by its chord.
pub(super) fn segment(center: GridPoint, half_axes: GridPoint, from: i16, to: i16) -> Outline {
    Outline::new(arc_points(center, half_axes, from, to), true)
}

/// A drop: pointed at the top, round below.
pub(super) fn teardrop(x: i16, top: i16, bottom: i16, half_width: i16) -> Outline {
    let belly = bottom - half_width;
    let mut points = arc_points((x, belly), (half_width, half_width), 0, 180);
    let shoulder = Point::from_xy(f32::from(x), f32::from(top + (belly - top) / 3));
    let side = f32::from(half_width) * 0.5;
    points.push(Point::from_xy(shoulder.x - side, shoulder.y));
    points.push(grid((x, top)));
    points.push(Point::from_xy(shoulder.x + side, shoulder.y));
    Outline::new(points, true)
}

fn grid((x, y): GridPoint) -> Point {
    Point::from_xy(f32::from(x), f32::from(y))
}

fn between(from: Point, to: Point, share: f32) -> Point {
    Point::from_xy(from.x + (to.x - from.x) * share, from.y + (to.y - from.y) * share)
}

fn arc_points(center: GridPoint, half_axes: GridPoint, from: i16, to: i16) -> Vec<Point> {
    let (center, half_axes) = (grid(center), grid(half_axes));
    let pieces = (usize::from((to - from).unsigned_abs()) * OVAL_PIECES).div_ceil(360);
    (0..=pieces)
        .map(|piece| {
            let degrees = f32::from(from) + f32::from(to - from) * piece as f32 / pieces as f32;
            let (sine, cosine) = degrees.to_radians().sin_cos();
            Point::from_xy(center.x + half_axes.x * cosine, center.y + half_axes.y * sine)
        })
        .collect()
}

/// Points on the way from the second corner to the third.
fn spline_piece(corners: [Point; 4]) -> impl Iterator<Item = Point> {
    (0..SPLINE_PIECES).map(move |piece| {
        let share = piece as f32 / SPLINE_PIECES as f32;
        Point::from_xy(
            catmull_rom(corners.map(|corner| corner.x), share),
            catmull_rom(corners.map(|corner| corner.y), share),
        )
    })
}

/// The coordinate at `share` of the way from the second corner to the third.
fn catmull_rom([before, from, to, after]: [f32; 4], share: f32) -> f32 {
    let linear = to - before;
    let square = 2.0 * before - 5.0 * from + 4.0 * to - after;
    let cube = 3.0 * (from - to) + after - before;
    0.5 * (2.0 * from + share * (linear + share * (square + share * cube)))
}
