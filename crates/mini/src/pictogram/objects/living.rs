//! Those who can be hurt: baby, toddler, dog, cat, parrot.

use crate::pictogram::shape::Tone::{Body, Dark, Flame, Glow, Light, Shade, Skin, Tint, Wood};
use crate::pictogram::shape::{Drawing, Outline, arc, blob, curve, disc, oval, polygon, polyline, rounded, segment};

/// A swaddled baby with a bonnet and a dummy.
pub(in crate::pictogram) fn baby() -> Drawing {
    Drawing::default()
        .fill(Body, blob(&[(50, 98), (26, 84), (16, 58), (34, 44), (66, 44), (84, 58), (74, 84)]))
        .stroke(Shade, 4, curve(&[(22, 56), (46, 70), (68, 90)]))
        .stroke(Shade, 4, curve(&[(78, 56), (64, 66), (52, 72)]))
        .fill(Body, disc(50, 28, 28))
        .fill(Skin, disc(50, 31, 22))
        .stroke(Dark, 3, curve(&[(48, 16), (54, 10), (57, 16), (52, 19)]))
        .discs(Dark, 3, &[(41, 30), (59, 30)])
        .fill(Light, disc(50, 42, 8))
        .fill(Flame, disc(50, 42, 4))
}

/// A small child on its feet, arms reaching out.
pub(in crate::pictogram) fn toddler() -> Drawing {
    Drawing::default()
        .stroke_pair(Skin, 9, polyline(&[(40, 42), (8, 34)]))
        .stroke_pair(Body, 12, polyline(&[(42, 42), (24, 38)]))
        .stroke_pair(Skin, 11, polyline(&[(41, 72), (37, 90)]))
        .fill_pair(Dark, rounded(25, 89, 18, 9, 4))
        .fill(Body, polygon(&[(38, 34), (62, 34), (74, 76), (26, 76)]))
        .fill(Skin, disc(50, 20, 18))
        .fill(Dark, segment((50, 20), (18, 18), 190, 350))
        .discs(Dark, 2, &[(44, 23), (56, 23)])
        .stroke(Dark, 2, arc((50, 26), (6, 5), 20, 160))
}

/// A standing dog facing right: long ear, tail up.
pub(in crate::pictogram) fn dog() -> Drawing {
    fn leg((left, top): (i16, i16)) -> Outline {
        rounded(left, top, 11, 35, 4)
    }
    let legs = [(19, 62), (58, 62)];
    let far_legs = [(31, 62), (47, 62)];
    let dog = Drawing::default().stroke(Body, 8, curve(&[(22, 50), (8, 40), (6, 22)]));
    let dog = far_legs.iter().fold(dog, |dog, &corner| dog.fill(Shade, leg(corner)));
    legs.iter()
        .fold(dog, |dog, &corner| dog.fill(Body, leg(corner)))
        .fill(Body, rounded(16, 42, 58, 28, 13))
        .fill(Body, polygon(&[(50, 44), (62, 22), (78, 40), (72, 62)]))
        .fill(Body, rounded(74, 24, 25, 18, 7))
        .fill(Body, rounded(56, 8, 30, 34, 12))
        .fill(Dark, blob(&[(64, 10), (52, 16), (48, 40), (58, 46), (66, 30)]))
        .fill(Dark, disc(96, 27, 4))
        .fill(Dark, disc(78, 20, 3))
        .stroke(Light, 6, polyline(&[(56, 40), (74, 50)]))
}

/// A sitting cat seen from the front: pointed ears, whiskers, curled tail.
pub(in crate::pictogram) fn cat() -> Drawing {
    Drawing::default()
        .stroke(Body, 9, curve(&[(66, 92), (90, 90), (94, 70), (84, 58)]))
        .fill(Body, blob(&[(50, 46), (66, 58), (76, 92), (50, 98), (24, 92), (34, 58)]))
        .fill(Tint, oval(50, 78, 11, 17))
        .fill_pair(Body, polygon(&[(23, 34), (20, 0), (46, 13)]))
        .fill(Body, oval(50, 33, 29, 24))
        .fill_pair(Light, oval(39, 29, 7, 7))
        .fill_pair(Dark, oval(39, 29, 2, 6))
        .fill(Dark, polygon(&[(45, 39), (55, 39), (50, 44)]))
        .stroke_pair(Dark, 2, polyline(&[(40, 42), (10, 38)]))
        .stroke_pair(Dark, 2, polyline(&[(40, 46), (10, 50)]))
        .stroke(Shade, 3, polyline(&[(50, 82), (50, 97)]))
}

/// A parrot on a perch: hooked beak, folded wing, long tail.
pub(in crate::pictogram) fn parrot() -> Drawing {
    Drawing::default()
        .fill(Shade, polygon(&[(54, 62), (74, 56), (96, 96), (78, 99)]))
        .stroke(Wood, 7, polyline(&[(4, 79), (92, 79)]))
        .fill(Body, blob(&[(28, 22), (58, 18), (76, 48), (72, 74), (48, 78), (30, 60)]))
        .fill(Body, disc(40, 22, 20))
        .fill(Dark, blob(&[(26, 12), (10, 20), (12, 42), (20, 34), (28, 32)]))
        .fill(Light, disc(40, 18, 8))
        .fill(Dark, disc(39, 18, 3))
        .fill(Shade, blob(&[(52, 36), (70, 46), (78, 76), (58, 66), (48, 50)]))
        .stroke(Glow, 5, polyline(&[(42, 76), (42, 84)]))
        .stroke(Glow, 5, polyline(&[(54, 76), (54, 84)]))
}
