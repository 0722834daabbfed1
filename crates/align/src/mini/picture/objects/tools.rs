//! Things that cut or prick: knife, scissors, razor blade, needle.

use crate::mini::picture::shape::Tone::{Body, Dark, Light, Metal, Shade};
use crate::mini::picture::shape::{Drawing, curve, disc, oval, polygon, polyline, rectangle, rounded};

/// A kitchen knife with a broad blade, point to the upper left.
pub(in crate::mini::picture) fn knife() -> Drawing {
    let turn = 30;
    let rivets = [68, 79, 90];
    let knife = Drawing::default()
        .fill(
            Metal,
            polygon(&[(-6, 62), (4, 48), (20, 38), (58, 34), (58, 66), (20, 66)]).turned(turn, 50, 50),
        )
        .stroke(Light, 3, polyline(&[(4, 61), (56, 61)]).turned(turn, 50, 50))
        .fill(Body, rounded(57, 33, 48, 20, 7).turned(turn, 50, 50));
    rivets.iter().fold(knife, |knife, &x: &i16| {
        knife.fill(Light, disc(x, 43, 3).turned(turn, 50, 50))
    })
}

/// Open scissors, points up.
pub(in crate::mini::picture) fn scissors() -> Drawing {
    Drawing::default()
        .fill_pair(Metal, polygon(&[(20, 1), (33, 8), (59, 54), (49, 62), (44, 58)]))
        .stroke(Body, 9, polyline(&[(48, 54), (66, 70)]))
        .stroke(Body, 9, polyline(&[(52, 54), (34, 70)]))
        .stroke_pair(Body, 10, oval(25, 81, 15, 13))
        .fill(Dark, disc(50, 55, 4))
}

/// A double-edged blade with its slot and holes.
pub(in crate::mini::picture) fn razor_blade() -> Drawing {
    let edge = [
        (10, 22),
        (90, 22),
        (90, 32),
        (98, 32),
        (98, 68),
        (90, 68),
        (90, 78),
        (10, 78),
        (10, 68),
        (2, 68),
        (2, 32),
        (10, 32),
    ];
    Drawing::default()
        .fill(Body, polygon(&edge).less(rounded(20, 45, 60, 10, 5)))
        .fill(Metal, rectangle(10, 22, 80, 9))
        .fill(Metal, rectangle(10, 69, 80, 9))
        .discs(Light, 6, &[(50, 50), (28, 50), (72, 50)])
        .stroke(Shade, 3, polyline(&[(14, 38), (86, 38)]))
        .stroke(Shade, 3, polyline(&[(14, 62), (86, 62)]))
}

/// A sewing needle trailing a curl of thread.
pub(in crate::mini::picture) fn needle() -> Drawing {
    Drawing::default()
        .fill(
            Metal,
            polygon(&[(97, 2), (24, 85), (16, 86), (16, 78)]).less(oval(23, 78, 2, 6).turned(41, 23, 78)),
        )
        .stroke(
            Body,
            6,
            curve(&[
                (22, 79),
                (6, 62),
                (12, 36),
                (34, 30),
                (42, 46),
                (28, 54),
                (20, 40),
                (30, 14),
                (54, 8),
            ]),
        )
        .stroke(Body, 6, curve(&[(23, 79), (40, 94), (62, 92), (78, 78), (92, 84)]))
}
