//! Scenes put on pixels; the plain painter.

use tiny_skia::{Pixmap, Transform};

use super::brush::{INK, fill_rgb, is_outlined, stroke_rgb, tone_rgb};
use super::color::{Color, Rgb};
use super::rgb_image::{RgbImage, black};
use super::scene::{Scene, sign_region};
use super::shape::{Drawing, Shape, Tone, polygon, polyline};
use super::sketch;
use super::style::Style;

/// The width of outlines, in grid units of the object.
const OUTLINE_WIDTH: f32 = 1.6;

/// Draws a scene as `size` x `size` pixels (at least one): background, clutter, objects, sign. The same scene gives the
/// same pixels.
pub fn render(scene: &Scene, size: u32) -> RgbImage {
    let Some(mut pixmap) = Pixmap::new(size, size) else {
        return black(1);
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
    RgbImage::from_opaque(&pixmap)
}

/// A yellow warning triangle with an exclamation mark.
fn hazard_sign() -> Drawing {
    let triangle = polygon(&[(50, 12), (92, 86), (8, 86)]);
    Drawing::default()
        .stroke(Tone::Dark, 12, triangle.clone())
        .fill(Tone::Body, triangle)
        .stroke(Tone::Dark, 11, polyline(&[(50, 38), (50, 58)]))
        .discs(Tone::Dark, 6, &[(50, 75)])
}

/// Paints shapes from back to front; `transform` leads from their grid to shares of the image's side.
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
