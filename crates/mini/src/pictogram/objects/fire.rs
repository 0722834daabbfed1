//! Things that burn or get hot: candle, campfire, stove, iron, toaster, lighter, heater, kettle.

use crate::pictogram::shape::Tone::{Body, Dark, Flame, Light, Metal, Shade, Tint, Wood};
use crate::pictogram::shape::{
    Drawing, Outline, arc, blob, curve, disc, oval, polygon, polyline, rectangle, rounded, teardrop,
};

/// A thick candle on a dish with a ring to carry it by.
pub(in crate::pictogram) fn candle() -> Drawing {
    Drawing::default()
        .stroke(Shade, 5, disc(88, 80, 8))
        .fill(Shade, oval(48, 87, 42, 11))
        .fill(Body, rounded(32, 42, 32, 46, 3))
        .fill(Tint, rounded(32, 42, 10, 26, 5))
        .stroke(Dark, 3, polyline(&[(48, 42), (48, 32)]))
        .flame(48, 2, 36, 11)
}

/// Two crossed logs under a three-tongued fire.
pub(in crate::pictogram) fn campfire() -> Drawing {
    let log = rounded(4, 72, 92, 17, 8);
    let log_end = oval(11, 80, 5, 8);
    Drawing::default()
        .fill(Flame, teardrop(28, 30, 80, 17))
        .fill(Flame, teardrop(72, 30, 80, 17))
        .flame(50, 2, 84, 24)
        .fill(Body, log.clone().turned(-15, 50, 80))
        .fill(Body, log.turned(15, 50, 80))
        .fill(Tint, log_end.clone().turned(-15, 50, 80))
        .fill(Tint, log_end.turned(15, 50, 80))
}

/// A gas cooker: two burning rings, a row of knobs, an oven window.
pub(in crate::pictogram) fn stove() -> Drawing {
    let burners = [16, 25, 34, 58, 67, 76]
        .iter()
        .fold(Drawing::default(), |drawing, &x: &i16| drawing.fill(Flame, teardrop(x + 4, 4, 24, 5)));
    burners
        .fill(Dark, rectangle(14, 22, 30, 6))
        .fill(Dark, rectangle(56, 22, 30, 6))
        .fill(Body, rounded(8, 28, 84, 70, 4))
        .discs(Light, 6, &[(22, 39), (41, 39), (59, 39), (78, 39)])
        .stroke(Light, 4, polyline(&[(22, 54), (78, 54)]))
        .fill(Dark, rounded(20, 62, 60, 28, 4))
        .fill(Flame, rectangle(26, 80, 48, 5))
}

/// A clothes iron from the side, pointing left, with its cord.
pub(in crate::pictogram) fn iron() -> Drawing {
    Drawing::default()
        .stroke(Dark, 4, curve(&[(86, 28), (97, 20), (90, 8), (98, 2)]))
        .stroke(Shade, 11, polyline(&[(40, 52), (46, 28), (84, 28), (88, 52)]))
        .fill(Body, polygon(&[(4, 78), (18, 60), (40, 48), (92, 48), (96, 78)]))
        .fill(Metal, polygon(&[(1, 78), (98, 78), (98, 90), (6, 90)]))
        .fill(Light, disc(66, 63, 8))
        .stroke(Dark, 3, polyline(&[(66, 63), (70, 58)]))
}

/// A toaster with two slices standing out of it.
pub(in crate::pictogram) fn toaster() -> Drawing {
    Drawing::default()
        .fill_pair(Wood, rounded(20, 8, 27, 44, 9))
        .fill_pair(Light, rounded(25, 14, 17, 34, 5))
        .fill(Dark, rectangle(14, 86, 14, 10))
        .fill(Dark, rectangle(72, 86, 14, 10))
        .fill(Dark, rounded(88, 54, 12, 9, 3))
        .fill(Body, rounded(5, 38, 86, 52, 16))
        .fill(Dark, rounded(14, 41, 68, 6, 3))
        .stroke(Shade, 4, polyline(&[(14, 76), (56, 76)]))
        .fill(Light, disc(74, 72, 8))
        .stroke(Dark, 3, polyline(&[(74, 72), (74, 66)]))
}

/// A lighter with its lid thrown open and a small flame.
pub(in crate::pictogram) fn lighter() -> Drawing {
    Drawing::default()
        .flame(32, 0, 32, 10)
        .fill(Body, rounded(10, 22, 44, 28, 5).turned(105, 54, 50))
        .fill(Metal, rectangle(16, 30, 32, 20))
        .discs(Dark, 3, &[(23, 37), (32, 37), (41, 37), (23, 45), (32, 45), (41, 45)])
        .fill(Body, rounded(10, 50, 44, 48, 5))
        .stroke(Shade, 3, polyline(&[(11, 58), (53, 58)]))
        .fill(Tint, rounded(17, 66, 7, 24, 3))
}

/// A ribbed radiator with heat rising from it.
pub(in crate::pictogram) fn heater() -> Drawing {
    fn warm_air(x: i16) -> Outline {
        curve(&[(x, 28), (x - 5, 20), (x + 5, 11), (x, 2)])
    }
    let body = Drawing::default()
        .fill(Dark, rectangle(12, 86, 12, 12))
        .fill(Dark, rectangle(76, 86, 12, 12))
        .fill(Shade, rectangle(6, 46, 88, 8))
        .fill(Shade, rectangle(6, 76, 88, 8));
    [3, 23, 43, 63, 83]
        .iter()
        .fold(body, |drawing, &left: &i16| drawing.fill(Body, rounded(left, 36, 14, 56, 7)))
        .stroke(Flame, 5, warm_air(22))
        .stroke(Flame, 5, warm_air(50))
        .stroke(Flame, 5, warm_air(78))
}

/// A round kettle with a spout and a high handle.
pub(in crate::pictogram) fn kettle() -> Drawing {
    Drawing::default()
        .stroke(Dark, 8, arc((54, 44), (30, 36), 180, 360))
        .fill(Body, polygon(&[(30, 80), (2, 46), (12, 38), (40, 56)]))
        .fill(Body, blob(&[(34, 46), (54, 40), (74, 46), (92, 74), (86, 94), (54, 97), (22, 94), (16, 74)]))
        .fill(Shade, oval(54, 44, 20, 6))
        .fill(Dark, disc(54, 35, 6))
        .stroke(Tint, 5, curve(&[(78, 60), (83, 72), (81, 84)]))
}
