//! Things that cut or prick: knife, scissors, razor blade, needle.

use crate::pictogram::shape::Tone::{Body, Dark, Light, Metal, Shade};
use crate::pictogram::shape::{Drawing, curve, disc, oval, polygon, polyline, rectangle, rounded};

/// A kitchen knife with a broad blade, point to the upper left.
pub(in crate::pictogram) fn knife() -> Drawing {
    let turn = 30;
    let rivets = [60, 74, 88];
    let knife = Drawing::default()
        .fill(Metal, polygon(&[(-6, 66), (2, 50), (14, 38), (48, 32), (48, 70), (18, 70)]).turned(turn, 50, 50))
        .stroke(Light, 3, polyline(&[(4, 65), (46, 65)]).turned(turn, 50, 50))
        .fill(Body, rounded(46, 30, 58, 25, 9).turned(turn, 50, 50));
    rivets.iter().fold(knife, |knife, &x: &i16| knife.fill(Light, disc(x, 42, 4).turned(turn, 50, 50)))
}

/// Open scissors, points up.
pub(in crate::pictogram) fn scissors() -> Drawing {
    Drawing::default()
        .fill_pair(Metal, polygon(&[(20, 1), (33, 8), (59, 54), (49, 62), (44, 58)]))
        .stroke_pair(Body, 9, polyline(&[(48, 54), (66, 70)]))
        .stroke_pair(Body, 10, oval(25, 81, 15, 13))
        .fill(Dark, disc(50, 55, 4))
}

/// A double-edged blade with its slot and holes.
pub(in crate::pictogram) fn razor_blade() -> Drawing {
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
pub(in crate::pictogram) fn needle() -> Drawing {
    let eye = oval(18, 82, 3, 8).turned(40, 18, 82);
    Drawing::default()
        .fill(Metal, polygon(&[(99, 1), (26, 88), (16, 93), (8, 88), (12, 76)]).less(eye))
        .stroke(
            Body,
            8,
            curve(&[(18, 82), (5, 60), (12, 34), (36, 22), (48, 34), (38, 48), (26, 38), (32, 14), (56, 6)]),
        )
        .stroke(Body, 8, curve(&[(18, 82), (40, 95), (64, 92), (78, 74), (94, 78)]))
}
