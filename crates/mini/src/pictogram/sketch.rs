//! The sketch painter: the plain painter's shapes with wavering double outlines and hatching in muted colors.

use tiny_skia::{FillRule, FilterQuality, Paint, Path, Pattern, Pixmap, Point, SpreadMode, Transform};

use super::brush::{fill_rgb, is_outlined, stroke_rgb, tone_rgb};
use super::color::{Rgb, mix};
use super::shape::{Drawing, Outline, Shape, Tone};

/// Sepia, for lines.
const PENCIL: Rgb = [70, 54, 44];
/// What colors are muted towards.
const WASH: Rgb = [206, 190, 166];
/// How far an outline wavers and how closely its points stand, in grid units.
const WAVER: f32 = 1.1;
const LONGEST_PIECE: f32 = 7.0;

/// Paints shapes from back to front; `to_pixels` leads from their grid to pixels.
pub(super) fn paint(pixmap: &mut Pixmap, drawing: &Drawing, to_pixels: Transform, body: Rgb) {
    let Some(hatching) = hatching_tile(pixmap.width()) else {
        return;
    };
    let muted_body = mix(body, WASH, 0.3);
    for (index, shape) in drawing.shapes.iter().enumerate() {
        let color = match shape.tone {
            Tone::Body | Tone::Shade | Tone::Tint => tone_rgb(shape.tone, muted_body),
            Tone::Dark => PENCIL,
            tone => mix(tone_rgb(tone, body), WASH, 0.25),
        };
        paint_shape(pixmap, shape, color, to_pixels, index as f32, &hatching);
    }
}

fn paint_shape(pixmap: &mut Pixmap, shape: &Shape, color: Rgb, to_pixels: Transform, phase: f32, hatching: &Pixmap) {
    let traces = [phase, phase + 2.5].map(|phase| wavering(&shape.outline, phase).transformed(to_pixels).path());
    let [Some(first), Some(second)] = traces else {
        return;
    };
    let grid_unit = to_pixels.get_scale().0;
    if let Some(width) = shape.stroke {
        if is_outlined(shape) {
            stroke_rgb(pixmap, &second, PENCIL, (width + 1.5) * grid_unit);
        }
        let inset = if is_outlined(shape) { 2.0 } else { 0.0 };
        return stroke_rgb(pixmap, &first, color, (width - inset) * grid_unit);
    }
    fill_rgb(pixmap, &first, color);
    if matches!(shape.tone, Tone::Body | Tone::Shade | Tone::Flame) {
        hatch(pixmap, &first, hatching);
    }
    if is_outlined(shape) {
        stroke_rgb(pixmap, &first, PENCIL, 1.3 * grid_unit);
        stroke_rgb(pixmap, &second, PENCIL, 0.8 * grid_unit);
    }
}

/// The outline as an unsteady hand draws it; another `phase` is another try.
fn wavering(outline: &Outline, phase: f32) -> Outline {
    outline.bent(LONGEST_PIECE, |point| {
        let across = (point.y * 0.17 + phase * 1.9).sin() + (point.x * 0.31 + phase).sin();
        let down = (point.x * 0.19 + phase * 2.3).sin() + (point.y * 0.29 + phase * 1.3).sin();
        Point::from_xy(point.x + across * WAVER / 2.0, point.y + down * WAVER / 2.0)
    })
}

fn hatch(pixmap: &mut Pixmap, path: &Path, tile: &Pixmap) {
    let shader = Pattern::new(tile.as_ref(), SpreadMode::Repeat, FilterQuality::Nearest, 1.0, Transform::identity());
    let paint = Paint { shader, ..Paint::default() };
    pixmap.fill_path(path, &paint, FillRule::EvenOdd, Transform::identity(), None);
}

/// A square that, repeated, makes slanted pencil lines about twenty-four to the image; nothing for an empty image.
fn hatching_tile(image_side: u32) -> Option<Pixmap> {
    let side = (image_side / 24).max(3);
    let mut tile = Pixmap::new(side, side)?;
    let [red, green, blue] = PENCIL;
    let line = tiny_skia::Color::from_rgba8(red, green, blue, 110).premultiply().to_color_u8();
    for (index, pixel) in (0..).zip(tile.pixels_mut()) {
        if (index % side + index / side) % side < side.div_ceil(4) {
            *pixel = line;
        }
    }
    Some(tile)
}
