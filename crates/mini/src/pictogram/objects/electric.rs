//! Things with a plug or a current: hair dryer, radio, lamp, power strip, television, battery.

use crate::pictogram::shape::Tone::{Body, Dark, Flame, Glow, Light, Metal, Shade, Water};
use crate::pictogram::shape::{Drawing, curve, disc, oval, polygon, polyline, rectangle, rounded};

/// A hair dryer blowing to the left, its cord below.
pub(in crate::pictogram) fn hair_dryer() -> Drawing {
    Drawing::default()
        .stroke(Dark, 4, curve(&[(76, 88), (70, 97), (56, 92), (46, 98)]))
        .fill(Shade, polygon(&[(54, 50), (76, 50), (86, 90), (68, 92)]))
        .fill(Body, polygon(&[(12, 18), (66, 6), (66, 58), (12, 46)]))
        .fill(Body, disc(70, 32, 27))
        .fill(Dark, rectangle(3, 15, 11, 34))
        .fill(Dark, disc(72, 32, 13))
        .stroke(Light, 3, polyline(&[(63, 32), (81, 32)]))
        .stroke(Light, 3, polyline(&[(72, 23), (72, 41)]))
}

/// A portable radio: one aerial, a round speaker, a dial.
pub(in crate::pictogram) fn radio() -> Drawing {
    Drawing::default()
        .stroke(Dark, 4, polyline(&[(12, 44), (84, 6)]))
        .fill(Dark, disc(85, 6, 5))
        .fill(Body, rounded(2, 42, 96, 52, 7))
        .fill(Dark, disc(28, 68, 20))
        .stroke(Light, 3, disc(28, 68, 13))
        .fill(Light, disc(28, 68, 4))
        .fill(Light, rectangle(55, 50, 36, 13))
        .stroke(Flame, 3, polyline(&[(76, 50), (76, 63)]))
        .discs(Dark, 7, &[(63, 79), (83, 79)])
}

/// A table lamp with its light falling below the shade.
pub(in crate::pictogram) fn lamp() -> Drawing {
    Drawing::default()
        .fill(Glow, polygon(&[(16, 50), (84, 50), (98, 78), (2, 78)]))
        .fill(Dark, rectangle(45, 48, 10, 44))
        .fill(Body, oval(50, 92, 28, 7))
        .fill(Body, polygon(&[(32, 2), (68, 2), (90, 52), (10, 52)]))
        .stroke(Shade, 4, polyline(&[(14, 45), (86, 45)]))
}

/// A row of three sockets with a switch, its cord ending in a plug.
pub(in crate::pictogram) fn power_strip() -> Drawing {
    let strip = Drawing::default()
        .stroke(Dark, 5, curve(&[(86, 42), (97, 48), (94, 70), (70, 74), (50, 82)]))
        .fill(Dark, rounded(34, 72, 20, 20, 4))
        .stroke(Metal, 4, polyline(&[(34, 77), (24, 77)]))
        .stroke(Metal, 4, polyline(&[(34, 87), (24, 87)]))
        .fill(Body, rounded(2, 20, 88, 34, 9));
    [17, 42, 67]
        .iter()
        .fold(strip, |strip, &x: &i16| strip.fill(Light, disc(x, 37, 11)).discs(Dark, 3, &[(x - 4, 37), (x + 5, 37)]))
        .fill(Flame, rectangle(81, 30, 6, 14))
}

/// An old television set: two aerials, a bright screen, short legs.
pub(in crate::pictogram) fn television() -> Drawing {
    Drawing::default()
        .stroke(Dark, 4, polyline(&[(28, 3), (50, 26), (72, 3)]))
        .stroke_pair(Dark, 7, polyline(&[(24, 86), (18, 96)]))
        .fill(Body, rounded(2, 25, 96, 64, 8))
        .fill(Dark, rounded(8, 31, 68, 52, 10))
        .fill(Water, rounded(12, 35, 60, 44, 10))
        .stroke(Light, 5, polyline(&[(24, 62), (42, 44)]))
        .stroke(Light, 4, polyline(&[(38, 66), (48, 56)]))
        .discs(Light, 6, &[(87, 42), (87, 58)])
        .stroke(Dark, 3, polyline(&[(82, 72), (92, 72)]))
}

/// An upright cell: pole on top, dark cap with a plus, a lightning bolt.
pub(in crate::pictogram) fn battery() -> Drawing {
    Drawing::default()
        .fill(Metal, rectangle(38, 2, 24, 14))
        .fill(Body, rounded(22, 14, 56, 84, 5))
        .fill(Dark, rounded(22, 14, 56, 28, 5))
        .stroke(Light, 5, polyline(&[(40, 28), (60, 28)]))
        .stroke(Light, 5, polyline(&[(50, 19), (50, 37)]))
        .fill(Shade, rectangle(22, 90, 56, 8))
        .fill(Light, polygon(&[(56, 46), (34, 70), (48, 70), (42, 90), (66, 64), (52, 64)]))
}
