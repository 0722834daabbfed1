//! Things to eat, or not: mushroom, pills, chocolate, grapes, onion, apple, bread.

use crate::pictogram::shape::Tone::{Body, Dark, Leaf, Light, Metal, Shade, Tint, Wood};
use crate::pictogram::shape::{
    Drawing, Outline, blob, curve, disc, oval, polygon, polyline, rectangle, rounded, segment,
};

/// A toadstool: spotted cap, pale stem.
pub(in crate::pictogram) fn mushroom() -> Drawing {
    Drawing::default()
        .fill(Light, blob(&[(38, 52), (62, 52), (64, 74), (70, 94), (50, 98), (30, 94), (36, 74)]))
        .fill(Shade, oval(50, 54, 47, 9))
        .fill(Body, segment((50, 55), (48, 52), 180, 360))
        .fill(Light, oval(30, 36, 9, 8))
        .fill(Light, oval(56, 20, 10, 8))
        .fill(Light, oval(76, 42, 8, 7))
        .fill(Light, oval(52, 45, 6, 5))
}

/// A two-colored capsule and two scored tablets.
pub(in crate::pictogram) fn pills() -> Drawing {
    fn capsule(left: i16, width: i16) -> Outline {
        rounded(left, 14, width, 34, 17).turned(-20, 50, 30)
    }
    Drawing::default()
        .fill(Light, capsule(6, 88))
        .fill(Body, capsule(50, 44))
        .fill(Body, rectangle(49, 14, 20, 34).turned(-20, 50, 30))
        .fill(Body, disc(26, 77, 20))
        .stroke(Light, 4, polyline(&[(14, 83), (38, 71)]))
        .fill(Light, disc(73, 76, 20))
        .stroke(Dark, 4, polyline(&[(61, 70), (85, 82)]))
}

/// A bar of chocolate half out of its wrapper.
pub(in crate::pictogram) fn chocolate() -> Drawing {
    let bar = Drawing::default()
        .fill(Body, polygon(&[(14, 4), (60, 4), (64, 14), (74, 12), (76, 24), (86, 26), (86, 70), (14, 70)]));
    [(20, 10), (53, 30), (20, 30), (53, 50), (20, 50)]
        .iter()
        .fold(bar, |bar, &(left, top): &(i16, i16)| bar.fill(Shade, rectangle(left, top, 27, 14)))
        .fill(Metal, polygon(&[(8, 62), (22, 70), (36, 62), (50, 70), (64, 62), (78, 70), (92, 62), (92, 84), (8, 84)]))
        .fill(Light, rectangle(8, 74, 84, 24))
        .stroke(Dark, 6, polyline(&[(22, 86), (78, 86)]))
}

/// A hanging bunch of grapes.
pub(in crate::pictogram) fn grapes() -> Drawing {
    let rows = [(14, 38), (38, 38), (62, 38), (86, 38), (26, 56), (50, 56), (74, 56), (38, 73), (62, 73), (50, 89)];
    let stalk = Drawing::default()
        .stroke(Wood, 6, polyline(&[(50, 34), (50, 4), (60, 4)]))
        .fill(Leaf, blob(&[(52, 22), (66, 6), (88, 8), (84, 22), (66, 28)]));
    let bunch = rows.iter().fold(stalk, |bunch, &(x, y)| bunch.fill(Body, disc(x, y, 13)));
    rows.iter().fold(bunch, |bunch, &(x, y)| bunch.fill(Tint, disc(x - 4, y - 4, 4)))
}

/// An onion: pointed neck with shoots, ribs, roots.
pub(in crate::pictogram) fn onion() -> Drawing {
    let bulb = [(44, 24), (56, 24), (64, 36), (92, 58), (80, 84), (50, 90), (20, 84), (8, 58), (36, 36)];
    Drawing::default()
        .stroke(Leaf, 7, curve(&[(47, 28), (44, 14), (32, 3)]))
        .stroke(Leaf, 7, curve(&[(53, 28), (56, 14), (68, 3)]))
        .stroke(Dark, 3, polyline(&[(44, 88), (40, 98)]))
        .stroke(Dark, 3, polyline(&[(50, 88), (50, 99)]))
        .stroke(Dark, 3, polyline(&[(56, 88), (60, 98)]))
        .fill(Body, blob(&bulb))
        .stroke(Shade, 4, curve(&[(50, 28), (50, 86)]))
        .stroke(Shade, 4, curve(&[(46, 30), (30, 52), (40, 85)]))
        .stroke(Shade, 4, curve(&[(54, 30), (70, 52), (60, 85)]))
        .stroke(Tint, 4, curve(&[(22, 52), (17, 64), (23, 74)]))
}

/// An apple with stalk and leaf.
pub(in crate::pictogram) fn apple() -> Drawing {
    let skin = [
        (50, 34),
        (68, 26),
        (92, 38),
        (94, 60),
        (82, 84),
        (64, 97),
        (50, 92),
        (36, 97),
        (18, 84),
        (6, 60),
        (8, 38),
        (32, 26),
    ];
    Drawing::default()
        .fill(Body, blob(&skin))
        .stroke(Dark, 6, curve(&[(50, 38), (50, 24), (44, 8)]))
        .fill(Leaf, blob(&[(52, 22), (64, 4), (88, 2), (78, 20)]))
        .stroke(Tint, 7, curve(&[(18, 62), (20, 48), (28, 40)]))
}

/// A loaf with a cut face and slashes along its crust.
pub(in crate::pictogram) fn bread() -> Drawing {
    Drawing::default()
        .fill(Body, rounded(8, 24, 90, 58, 26))
        .stroke(Light, 6, polyline(&[(54, 32), (64, 50)]))
        .stroke(Light, 6, polyline(&[(70, 32), (80, 50)]))
        .fill(Body, blob(&[(4, 38), (18, 24), (38, 28), (46, 42), (42, 56), (42, 82), (8, 82), (8, 56)]))
        .fill(Light, blob(&[(10, 40), (20, 31), (34, 34), (40, 44), (36, 56), (36, 76), (14, 76), (14, 56)]))
}
