//! Harmless things of the house: cup, spoon, book, teddy bear, ball, chair, shoe.

use crate::pictogram::shape::Tone::{Body, Dark, Light, Metal, Shade, Tint};
use crate::pictogram::shape::{Drawing, Outline, arc, blob, curve, disc, oval, polygon, polyline, rectangle, rounded};

/// A steaming mug with one handle.
pub(in crate::pictogram) fn cup() -> Drawing {
    fn steam(x: i16) -> Outline {
        curve(&[(x, 30), (x - 5, 22), (x + 5, 12), (x, 3)])
    }
    Drawing::default()
        .stroke(Metal, 5, steam(26))
        .stroke(Metal, 5, steam(50))
        .stroke(Body, 10, oval(76, 62, 16, 18))
        .fill(Body, polygon(&[(6, 38), (70, 38), (68, 88), (60, 98), (16, 98), (8, 88)]))
        .fill(Shade, oval(38, 38, 33, 7))
        .stroke(Tint, 6, polyline(&[(18, 56), (20, 82)]))
}

/// A spoon, bowl to the upper left.
pub(in crate::pictogram) fn spoon() -> Drawing {
    Drawing::default()
        .stroke(Body, 10, polyline(&[(40, 40), (84, 84)]))
        .stroke(Body, 15, polyline(&[(84, 84), (91, 91)]))
        .fill(Body, oval(27, 27, 22, 31).turned(-45, 27, 27))
        .fill(Tint, oval(26, 26, 14, 22).turned(-45, 26, 26))
}

/// An open book with a colored cover.
pub(in crate::pictogram) fn book() -> Drawing {
    let cover = [(50, 30), (28, 18), (1, 22), (1, 86), (28, 84), (50, 94), (72, 84), (99, 86), (99, 22), (72, 18)];
    let page = [(49, 26), (30, 12), (9, 15), (9, 75), (30, 73), (49, 84)];
    let book = Drawing::default().fill(Body, polygon(&cover)).fill_pair(Light, polygon(&page));
    [28, 41, 54]
        .iter()
        .fold(book, |book, &y: &i16| book.stroke_pair(Dark, 4, polyline(&[(16, y), (30, y), (42, y + 7)])))
        .stroke(Dark, 3, polyline(&[(50, 26), (50, 92)]))
}

/// A sitting toy bear.
pub(in crate::pictogram) fn teddy_bear() -> Drawing {
    Drawing::default()
        .fill_pair(Body, disc(26, 14, 13))
        .fill_pair(Tint, disc(26, 14, 7))
        .fill_pair(Body, oval(20, 62, 11, 17).turned(30, 20, 62))
        .fill(Body, oval(50, 70, 27, 27))
        .fill(Tint, oval(50, 70, 15, 16))
        .fill(Body, oval(50, 30, 28, 25))
        .fill_pair(Body, oval(22, 88, 17, 11))
        .fill_pair(Tint, oval(17, 88, 8, 7))
        .fill(Tint, oval(50, 38, 13, 10))
        .fill(Dark, oval(50, 34, 6, 4))
        .fill_pair(Dark, disc(38, 24, 3))
        .stroke(Dark, 3, arc((50, 38), (6, 6), 30, 150))
}

/// A beach ball with pale panels.
pub(in crate::pictogram) fn ball() -> Drawing {
    Drawing::default()
        .fill(Body, disc(50, 50, 48))
        .fill(Light, oval(50, 50, 17, 48))
        .stroke(Light, 7, arc((50, 50), (39, 47), 115, 245))
        .stroke(Light, 7, arc((50, 50), (39, 47), -65, 65))
        .fill(Body, disc(50, 14, 8))
}

/// A wooden chair from the front: slatted back, seat, four legs.
pub(in crate::pictogram) fn chair() -> Drawing {
    Drawing::default()
        .stroke_pair(Shade, 7, polyline(&[(30, 64), (30, 88)]))
        .stroke_pair(Body, 9, polyline(&[(24, 56), (20, 6)]))
        .fill(Body, rectangle(20, 6, 60, 12))
        .fill(Body, rectangle(22, 28, 56, 10))
        .fill(Body, polygon(&[(20, 52), (80, 52), (92, 66), (8, 66)]))
        .fill(Body, rectangle(10, 64, 10, 34))
        .fill(Body, rectangle(80, 64, 10, 34))
}

/// A laced shoe pointing right.
pub(in crate::pictogram) fn shoe() -> Drawing {
    let upper =
        [(4, 24), (16, 22), (34, 26), (42, 26), (56, 46), (78, 54), (97, 64), (98, 80), (50, 82), (4, 80), (6, 52)];
    Drawing::default()
        .fill(Body, blob(&upper))
        .fill(Dark, oval(21, 25, 18, 6))
        .fill(Light, rounded(1, 76, 98, 13, 5))
        .stroke(Light, 5, polyline(&[(38, 44), (52, 34)]))
        .stroke(Light, 5, polyline(&[(46, 54), (60, 44)]))
        .stroke(Light, 5, polyline(&[(56, 61), (70, 50)]))
        .fill(Shade, polygon(&[(4, 46), (18, 50), (20, 76), (3, 76)]))
}
