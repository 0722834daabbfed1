//! Places with water in them: bathtub, bucket, aquarium, puddle, sink.

use crate::pictogram::shape::Tone::{Body, Dark, Leaf, Light, Metal, Shade, Tint, Water, Wood};
use crate::pictogram::shape::{Drawing, arc, blob, curve, disc, oval, polygon, polyline, rectangle, rounded, teardrop};

/// A tub on feet with a tap at one end and foam over the rim.
pub(in crate::pictogram) fn bathtub() -> Drawing {
    Drawing::default()
        .stroke(Metal, 7, polyline(&[(90, 48), (90, 18), (74, 18), (74, 28)]))
        .discs(Light, 10, &[(18, 42), (46, 42), (60, 44)])
        .fill(Light, disc(32, 36, 13))
        .stroke_pair(Dark, 8, polyline(&[(24, 82), (18, 95)]))
        .fill(Body, polygon(&[(6, 52), (94, 52), (88, 76), (76, 88), (24, 88), (12, 76)]))
        .fill(Shade, rounded(1, 46, 98, 10, 5))
        .stroke(Tint, 5, polyline(&[(20, 66), (26, 78)]))
}

/// A pail with its wire handle up.
pub(in crate::pictogram) fn bucket() -> Drawing {
    Drawing::default()
        .stroke(Dark, 5, arc((50, 38), (40, 34), 180, 360))
        .fill(Body, polygon(&[(8, 38), (92, 38), (76, 98), (24, 98)]))
        .fill(Shade, oval(50, 38, 43, 11))
        .fill(Water, oval(50, 39, 36, 7))
        .stroke(Shade, 5, polyline(&[(15, 64), (85, 64)]))
}

/// A framed glass tank with a fish, weed and bubbles.
pub(in crate::pictogram) fn aquarium() -> Drawing {
    Drawing::default()
        .fill(Water, rectangle(5, 16, 90, 74))
        .fill(Wood, rectangle(5, 78, 90, 12))
        .stroke(Leaf, 6, curve(&[(80, 80), (74, 66), (84, 52), (78, 38)]))
        .stroke(Leaf, 5, curve(&[(90, 80), (88, 68), (92, 58)]))
        .fill(Body, polygon(&[(52, 52), (68, 38), (68, 68)]))
        .fill(Body, oval(38, 52, 22, 15))
        .fill(Light, disc(27, 48, 4))
        .fill(Dark, disc(27, 48, 2))
        .discs(Light, 3, &[(14, 36), (18, 27), (60, 28)])
        .stroke(Body, 8, rectangle(5, 14, 90, 77))
}

/// A flat pool with rings where a drop has fallen.
pub(in crate::pictogram) fn puddle() -> Drawing {
    let edge =
        [(2, 64), (16, 50), (38, 54), (56, 44), (86, 50), (98, 66), (84, 80), (62, 78), (44, 92), (22, 88), (14, 76)];
    Drawing::default()
        .fill(Body, blob(&edge))
        .stroke(Light, 3, oval(54, 65, 28, 9))
        .stroke(Light, 3, oval(54, 65, 14, 4))
        .fill(Body, teardrop(54, 14, 42, 8))
        .fill(Body, teardrop(30, 26, 42, 5))
        .fill(Body, teardrop(80, 22, 40, 5))
}

/// A wash basin on a pedestal under a bent tap.
pub(in crate::pictogram) fn sink() -> Drawing {
    Drawing::default()
        .stroke(Metal, 8, curve(&[(50, 46), (50, 16), (60, 6), (72, 10), (74, 24)]))
        .stroke(Dark, 6, polyline(&[(30, 42), (30, 32), (22, 32), (38, 32)]))
        .fill(Water, teardrop(74, 28, 42, 5))
        .fill(Body, polygon(&[(40, 70), (60, 70), (66, 98), (34, 98)]))
        .fill(Body, polygon(&[(4, 50), (96, 50), (88, 66), (70, 78), (30, 78), (12, 66)]))
        .fill(Shade, rounded(1, 44, 98, 9, 4))
        .stroke(Tint, 4, curve(&[(16, 60), (22, 66), (32, 71)]))
}
