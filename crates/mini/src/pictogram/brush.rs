//! What both painters put on pixels with: the colors of tones, filled and stroked paths.

use tiny_skia::{FillRule, LineCap, LineJoin, Paint, Path, Pixmap, Shader, Stroke, Transform};

use super::color::{Rgb, mix};
use super::shape::{Shape, Tone};

/// The color of outlines and dark details.
pub(super) const INK: Rgb = [44, 38, 46];

/// Whether a shape gets a dark edge: dark shapes need none, thin lines would be nothing else.
pub(super) fn is_outlined(shape: &Shape) -> bool {
    shape.tone != Tone::Dark && shape.stroke.is_none_or(|width| width >= 6.0)
}

/// The color of a tone on an object whose main color is `body`.
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

/// Fills a path (in pixels) with one color; a contour inside another is a hole.
pub(super) fn fill_rgb(pixmap: &mut Pixmap, path: &Path, color: Rgb) {
    pixmap.fill_path(path, &solid(color), FillRule::EvenOdd, Transform::identity(), None);
}

/// Draws a round line of `width` pixels along a path (in pixels).
pub(super) fn stroke_rgb(pixmap: &mut Pixmap, path: &Path, color: Rgb, width: f32) {
    let stroke = Stroke { width, line_cap: LineCap::Round, line_join: LineJoin::Miter, ..Stroke::default() };
    pixmap.stroke_path(path, &solid(color), &stroke, Transform::identity(), None);
}

fn solid(color: Rgb) -> Paint<'static> {
    let [red, green, blue] = color;
    Paint { shader: Shader::SolidColor(tiny_skia::Color::from_rgba8(red, green, blue, u8::MAX)), ..Paint::default() }
}
