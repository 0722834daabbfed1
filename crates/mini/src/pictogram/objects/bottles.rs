//! Containers told apart by silhouette and by the sign on them: petrol can, paint thinner, spray can, gas bottle,
//! bleach, vinegar, drain cleaner, ammonia.

use crate::pictogram::shape::Tone::{Body, Dark, Flame, Leaf, Light, Metal, Shade, Tint};
use crate::pictogram::shape::{Drawing, blob, curve, disc, oval, polygon, polyline, rectangle, rounded, teardrop};

/// A jerrycan: slanted spout, bar handle, a cross pressed into its side.
pub(in crate::pictogram) fn petrol_can() -> Drawing {
    Drawing::default()
        .stroke(Shade, 8, polyline(&[(46, 28), (46, 10), (84, 10), (84, 28)]))
        .fill(Dark, polygon(&[(4, 24), (20, 8), (32, 20), (16, 36)]))
        .fill(Body, polygon(&[(12, 44), (34, 24), (86, 24), (90, 30), (90, 94), (86, 98), (16, 98), (12, 94)]))
        .stroke(Light, 7, polyline(&[(26, 46), (76, 88)]))
        .stroke(Light, 7, polyline(&[(76, 46), (26, 88)]))
}

/// A square tin with a screw cap and a brush on its label.
pub(in crate::pictogram) fn paint_thinner() -> Drawing {
    Drawing::default()
        .fill(Dark, rectangle(56, 4, 20, 16))
        .fill(Metal, rectangle(14, 20, 72, 8))
        .fill(Body, rectangle(16, 28, 68, 66))
        .fill(Metal, rectangle(14, 92, 72, 6))
        .fill(Light, rectangle(16, 40, 68, 44))
        .stroke(Shade, 7, polyline(&[(74, 46), (56, 60)]))
        .fill(Dark, polygon(&[(50, 54), (62, 68), (54, 74), (24, 80), (42, 60)]))
}

/// A slim can with a nozzle, spraying dots to the left.
pub(in crate::pictogram) fn spray_can() -> Drawing {
    Drawing::default()
        .discs(Dark, 3, &[(42, 14), (32, 6), (32, 22), (22, 14), (22, 30), (12, 4), (12, 22), (11, 38)])
        .fill(Dark, rounded(56, 6, 18, 18, 3))
        .fill(Metal, polygon(&[(44, 40), (52, 24), (78, 24), (86, 40)]))
        .fill(Body, rounded(44, 38, 42, 60, 4))
        .discs(Light, 5, &[(56, 54), (74, 54), (65, 67), (56, 80), (74, 80)])
}

/// A fat steel bottle with a collar round its valve and a flame on its side.
pub(in crate::pictogram) fn gas_bottle() -> Drawing {
    Drawing::default()
        .stroke(Shade, 7, polyline(&[(32, 34), (32, 8), (68, 8), (68, 34)]))
        .fill(Metal, rectangle(44, 14, 12, 18))
        .fill(Shade, rectangle(24, 86, 52, 12))
        .fill(Body, rounded(12, 26, 76, 66, 26))
        .fill(Light, disc(50, 60, 22))
        .fill(Flame, teardrop(50, 40, 77, 12))
}

/// A jug with a handle through it and a drop on its label.
pub(in crate::pictogram) fn bleach() -> Drawing {
    let jug =
        [(14, 92), (14, 56), (28, 38), (30, 24), (54, 24), (58, 32), (84, 38), (88, 48), (88, 92), (82, 98), (20, 98)];
    Drawing::default()
        .fill(Dark, rounded(28, 4, 28, 20, 3))
        .fill(Body, polygon(&jug).less(rounded(66, 48, 12, 32, 6)))
        .fill(Light, teardrop(39, 42, 92, 19))
}

/// A tall thin bottle with a leaf on its label.
pub(in crate::pictogram) fn vinegar() -> Drawing {
    Drawing::default()
        .fill(Dark, rectangle(43, 1, 14, 11))
        .fill(Body, polygon(&[(34, 98), (34, 48), (43, 36), (43, 10), (57, 10), (57, 36), (66, 48), (66, 98)]))
        .fill(Light, rectangle(34, 56, 32, 34))
        .fill(Leaf, blob(&[(40, 84), (40, 68), (60, 60), (58, 78)]))
}

/// A squat broad bottle with a bent pipe on its label.
pub(in crate::pictogram) fn drain_cleaner() -> Drawing {
    let bottle = [(4, 92), (4, 54), (26, 36), (36, 34), (64, 34), (74, 36), (96, 54), (96, 92)];
    Drawing::default()
        .fill(Dark, rounded(34, 12, 32, 22, 4))
        .fill(Body, polygon(&bottle))
        .fill(Light, rounded(12, 50, 76, 38, 4))
        .stroke(Dark, 8, curve(&[(26, 54), (26, 70), (34, 81), (46, 78), (50, 66), (58, 60), (78, 60)]))
}

/// A round flask with two bands across it.
pub(in crate::pictogram) fn ammonia() -> Drawing {
    Drawing::default()
        .fill(Body, rectangle(40, 10, 20, 34))
        .fill(Body, oval(50, 65, 36, 33))
        .fill(Shade, rounded(33, 3, 34, 10, 3))
        .fill(Light, rectangle(17, 54, 66, 8))
        .fill(Light, rectangle(17, 70, 66, 8))
        .stroke(Tint, 4, polyline(&[(45, 18), (45, 34)]))
}
