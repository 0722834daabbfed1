//! What an image shows and where: randomness decides here, and nowhere else.

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};
use tiny_skia::Transform;

use super::backdrop::{Background, Clutter, Pattern};
use super::color::Color;
use super::kind::ObjectKind;
use super::shape::{Drawing, Region};
use super::style::Style;

/// A corner of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Corner {
    TopLeft,
    TopRight,
    BottomLeft,
    BottomRight,
}

/// An object in its place. Lengths are shares of the image's side.
#[derive(Clone, Debug, PartialEq)]
pub struct Placed {
    /// What it is.
    pub object: ObjectKind,
    /// Its main color.
    pub color: Color,
    /// The middle of its bounding box: across, down.
    pub center: [f32; 2],
    /// The longer side of its bounding box.
    pub size: f32,
    /// How far it is turned clockwise, in degrees.
    pub rotation: f32,
    /// How far its top leans to the left for each unit of height.
    pub shear: f32,
}

impl Placed {
    /// Left, top, right and bottom of everything painted for the object, in shares of the image's side.
    pub fn bounds(&self) -> [f32; 4] {
        let drawing = self.object.drawing();
        drawing.bounds(self.transform(&drawing))
    }

    /// From the object's grid to shares of the image's side.
    pub(super) fn transform(&self, drawing: &Drawing) -> Transform {
        let pose = pose(self.rotation, self.shear);
        let [left, top, right, bottom] = drawing.bounds(pose);
        let scale = self.size / (right - left).max(bottom - top);
        pose.post_translate(-(left + right) / 2.0, -(top + bottom) / 2.0)
            .post_scale(scale, scale)
            .post_translate(self.center[0], self.center[1])
    }
}

/// Everything an image shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// The objects; no two of their bounding boxes overlap.
    pub objects: Vec<Placed>,
    /// What they stand before.
    pub background: Background,
    /// Small marks between them.
    pub clutter: Vec<Clutter>,
    /// How all of it is drawn.
    pub style: Style,
    /// Whether a warning triangle is shown.
    pub hazard_sign: bool,
    /// Where the warning triangle stands, if one is shown.
    pub sign_corner: Corner,
}

/// The side of the square in which the warning triangle stands, in shares of the image's side.
const SIGN_SIDE: f32 = 0.28;
/// The strip left free of objects beside the warning triangle.
const SIGN_STRIP: f32 = SIGN_SIDE + 0.01;
/// The free border of the image.
const MARGIN: f32 = 0.02;
const LARGEST_ROTATION: f32 = 10.0;
const LARGEST_SHEAR: f32 = 0.06;

/// A scene of `count` (1 to 4; other numbers are brought into that range) objects of one kind and color, each turned
/// by up to 10 degrees, slightly sheared, somewhere, in some size, before a random background with random clutter.
///
/// No object, mark or sign covers another. Uses randomness only through `rng`: the same state gives the same scene.
pub fn scene(
    rng: &mut impl Rng,
    object: ObjectKind,
    count: usize,
    color: Color,
    style: Style,
    hazard_sign: bool,
) -> Scene {
    let corners = [Corner::TopLeft, Corner::TopRight, Corner::BottomLeft, Corner::BottomRight];
    let sign_corner = corners[rng.random_range(0..corners.len())];
    let background = Background::random(rng, style);
    let whole = [MARGIN, MARGIN, 1.0 - MARGIN, 1.0 - MARGIN];
    let free = if hazard_sign { beside_sign(rng, whole, sign_corner) } else { whole };
    // Large objects: the miniature model sees images of 84 pixels.
    let smallest = if count <= 1 { 0.78 } else { 0.85 };
    let objects: Vec<Placed> =
        split(rng, free, count.clamp(1, 4)).into_iter().map(|cell| place(rng, object, color, cell, smallest)).collect();
    let taken = objects.iter().map(Placed::bounds).chain(hazard_sign.then(|| sign_region(sign_corner)));
    let clutter = Clutter::scattered(rng, &taken.collect::<Vec<Region>>());
    Scene { objects, background, clutter, style, hazard_sign, sign_corner }
}

/// One object upright in the middle of an even white ground, with nothing else: for tables and comparisons.
pub fn portrait(object: ObjectKind, color: Color, style: Style) -> Scene {
    let placed = Placed { object, color, center: [0.5, 0.5], size: 0.9, rotation: 0.0, shear: 0.0 };
    let white = [255; 3];
    Scene {
        objects: vec![placed],
        background: Background { pattern: Pattern::Flat, near: white, far: white, grain: 0 },
        clutter: Vec::new(),
        style,
        hazard_sign: false,
        sign_corner: Corner::TopLeft,
    }
}

/// The square in which the warning triangle stands.
pub(super) fn sign_region(corner: Corner) -> Region {
    let (right, bottom) = sides(corner);
    let left = if right { 1.0 - SIGN_SIDE } else { 0.0 };
    let top = if bottom { 1.0 - SIGN_SIDE } else { 0.0 };
    [left, top, left + SIGN_SIDE, top + SIGN_SIDE]
}

/// Whether a corner is on the right, and whether at the bottom.
fn sides(corner: Corner) -> (bool, bool) {
    let right = matches!(corner, Corner::TopRight | Corner::BottomRight);
    let bottom = matches!(corner, Corner::BottomLeft | Corner::BottomRight);
    (right, bottom)
}

/// The image less the row or the column in which the warning triangle stands.
fn beside_sign(rng: &mut impl Rng, [left, top, right, bottom]: Region, corner: Corner) -> Region {
    let (at_right, at_bottom) = sides(corner);
    match (rng.random::<bool>(), at_right, at_bottom) {
        (true, true, _) => [left, top, 1.0 - SIGN_STRIP, bottom],
        (true, false, _) => [SIGN_STRIP, top, right, bottom],
        (false, _, true) => [left, top, right, 1.0 - SIGN_STRIP],
        (false, _, false) => [left, SIGN_STRIP, right, bottom],
    }
}

/// Cuts a region into `count` cells: across its longer side, near the middle, and on in each half.
fn split(rng: &mut impl Rng, region: Region, count: usize) -> Vec<Region> {
    if count <= 1 {
        return vec![region];
    }
    let [left, top, right, bottom] = region;
    let (width, height) = (right - left, bottom - top);
    let slant = rng.random_range(0.9_f32..1.1);
    let share = rng.random_range(0.46_f32..0.54);
    let (first, second) = if width * slant > height {
        let cut = left + width * share;
        ([left, top, cut, bottom], [cut, top, right, bottom])
    } else {
        let cut = top + height * share;
        ([left, top, right, cut], [left, cut, right, bottom])
    };
    let mut cells = split(rng, first, count / 2);
    cells.extend(split(rng, second, count - count / 2));
    cells
}

/// Puts an object somewhere in a cell, filling at least `smallest` and at most 97 % of the space it has there.
fn place(rng: &mut impl Rng, object: ObjectKind, color: Color, cell: Region, smallest: f32) -> Placed {
    let rotation = rng.random_range(-LARGEST_ROTATION..LARGEST_ROTATION);
    let shear = rng.random_range(-LARGEST_SHEAR..LARGEST_SHEAR);
    let [left, top, right, bottom] = object.drawing().bounds(pose(rotation, shear));
    let longer = (right - left).max(bottom - top);
    let shape = [(right - left) / longer, (bottom - top) / longer];
    let space = [cell[2] - cell[0], cell[3] - cell[1]];
    let size = (space[0] / shape[0]).min(space[1] / shape[1]) * rng.random_range(smallest..0.97);
    let center = [0, 1].map(|axis| {
        let slack = space[axis] - size * shape[axis];
        cell[axis] + size * shape[axis] / 2.0 + slack * rng.random_range(0.0_f32..1.0)
    });
    Placed { object, color, center, size, rotation, shear }
}

fn pose(rotation: f32, shear: f32) -> Transform {
    Transform::from_row(1.0, 0.0, shear, 1.0, 0.0, 0.0).post_concat(Transform::from_rotate(rotation))
}
