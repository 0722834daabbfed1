//! Scenes put on pixels; the plain painter.

use tiny_skia::{FillRule, LineCap, LineJoin, Paint, Path, Pixmap, Shader, Stroke, Transform};

use super::color::{Rgb, mix};
use super::rgb_picture::RgbPicture;
use super::scene::{Scene, Style, sign_region};
use super::shape::{Drawing, Shape, Tone, polygon, polyline};
use super::{Color, sketch};

/// The colour of outlines and dark details.
const INK: Rgb = [44, 38, 46];
/// The width of outlines, in grid units of the object.
const OUTLINE_WIDTH: f32 = 1.6;

/// Draws a scene as `size` x `size` pixels (at least one): background, clutter, objects, sign. The same scene gives the
/// same pixels.
pub fn render(scene: &Scene, size: u32) -> RgbPicture {
    let Some(mut pixmap) = Pixmap::new(size, size) else {
        return super::black(1);
    };
    scene.background.paint(&mut pixmap);
    scene.clutter.iter().for_each(|mark| mark.paint(&mut pixmap));
    for placed in &scene.objects {
        let drawing = placed.object.drawing();
        let transform = placed.transform(&drawing);
        paint_drawing(&mut pixmap, &drawing, transform, placed.color.rgb(), scene.style);
    }
    if scene.hazard_sign {
        let [left, top, right, _] = sign_region(scene.sign_corner);
        let scale = (right - left) / 100.0;
        let transform = Transform::from_row(scale, 0.0, 0.0, scale, left, top);
        paint_drawing(&mut pixmap, &hazard_sign(), transform, Color::Yellow.rgb(), scene.style);
    }
    RgbPicture::from_opaque(&pixmap)
}

/// A yellow warning triangle with an exclamation mark.
fn hazard_sign() -> Drawing {
    let triangle = || polygon(&[(50, 12), (92, 86), (8, 86)]);
    Drawing::default()
        .stroke(Tone::Dark, 12, triangle())
        .fill(Tone::Body, triangle())
        .stroke(Tone::Dark, 11, polyline(&[(50, 38), (50, 58)]))
        .discs(Tone::Dark, 6, &[(50, 75)])
}

/// Paints shapes from back to front; `transform` leads from their grid to shares of the picture's side.
fn paint_drawing(pixmap: &mut Pixmap, drawing: &Drawing, transform: Transform, body: Rgb, style: Style) {
    let side = pixmap.width() as f32;
    let to_pixels = transform.post_scale(side, side);
    let shapes = drawing.shapes.iter();
    match style {
        Style::Plain => shapes.for_each(|shape| paint_plain(pixmap, shape, to_pixels, body)),
        Style::Sketch => sketch::paint(pixmap, drawing, to_pixels, body),
    }
}

fn paint_plain(pixmap: &mut Pixmap, shape: &Shape, to_pixels: Transform, body: Rgb) {
    let Some(path) = shape.outline.clone().transformed(to_pixels).path() else {
        return;
    };
    let grid_unit = to_pixels.get_scale().0;
    let color = tone_rgb(shape.tone, body);
    let edge = if is_outlined(shape) { OUTLINE_WIDTH } else { 0.0 };
    if let Some(width) = shape.stroke {
        if edge > 0.0 {
            stroke_rgb(pixmap, &path, INK, (width + edge) * grid_unit);
        }
        stroke_rgb(pixmap, &path, color, (width - edge) * grid_unit);
    } else {
        fill_rgb(pixmap, &path, color);
        if edge > 0.0 {
            stroke_rgb(pixmap, &path, INK, edge * grid_unit);
        }
    }
}

/// Whether a shape gets a dark edge: dark shapes need none, thin lines would be nothing else.
pub(super) fn is_outlined(shape: &Shape) -> bool {
    shape.tone != Tone::Dark && shape.stroke.is_none_or(|width| width >= 6.0)
}

/// The colour of a tone on an object whose main colour is `body`.
pub(super) fn tone_rgb(tone: Tone, body: Rgb) -> Rgb {
    match tone {
        Tone::Body => body,
        Tone::Shade => mix(body, INK, 0.38),
        Tone::Tint => mix(body, [255; 3], 0.55),
        Tone::Dark => INK,
        Tone::Light => [252, 250, 244],
        Tone::Metal => [178, 186, 194],
        Tone::Wood => [190, 138, 84],
        Tone::Flame => [250, 108, 18],
        Tone::Glow => [255, 224, 96],
        Tone::Water => [164, 214, 244],
        Tone::Leaf => [74, 158, 58],
        Tone::Skin => [246, 206, 172],
    }
}

/// Fills a path (in pixels) with one colour; a contour inside another is a hole.
pub(super) fn fill_rgb(pixmap: &mut Pixmap, path: &Path, color: Rgb) {
    pixmap.fill_path(path, &solid(color), FillRule::EvenOdd, Transform::identity(), None);
}

/// Draws a round line of `width` pixels along a path (in pixels).
pub(super) fn stroke_rgb(pixmap: &mut Pixmap, path: &Path, color: Rgb, width: f32) {
    let stroke = Stroke {
        width,
        line_cap: LineCap::Round,
        line_join: LineJoin::Miter,
        ..Stroke::default()
    };
    pixmap.stroke_path(path, &solid(color), &stroke, Transform::identity(), None);
}

fn solid(color: Rgb) -> Paint<'static> {
    let [red, green, blue] = color;
    Paint {
        shader: Shader::SolidColor(tiny_skia::Color::from_rgba8(red, green, blue, u8::MAX)),
        ..Paint::default()
    }
}
