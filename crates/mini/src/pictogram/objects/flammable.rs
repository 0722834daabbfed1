//! Things that catch fire easily: newspaper, curtain, straw hat, firework.

use crate::pictogram::shape::Tone::{Body, Dark, Glow, Light, Shade, Tint, Water, Wood};
use crate::pictogram::shape::{Drawing, arc, oval, polygon, polyline, rectangle, segment};

/// A folded newspaper: headline, image, columns.
pub(in crate::pictogram) fn newspaper() -> Drawing {
    let page = Drawing::default()
        .fill(Shade, polygon(&[(84, 16), (96, 20), (96, 97), (20, 97), (20, 92), (84, 92)]))
        .fill(Body, rectangle(6, 4, 78, 89))
        .fill(Dark, rectangle(13, 11, 64, 12))
        .fill(Light, rectangle(13, 31, 30, 26));
    let right_column =
        [34, 43, 52].iter().fold(page, |page, &y: &i16| page.stroke(Dark, 4, polyline(&[(51, y), (76, y)])));
    [67, 76, 85].iter().fold(right_column, |page, &y: &i16| page.stroke(Dark, 4, polyline(&[(15, y), (76, y)])))
}

/// A pair of drapes drawn aside before a window.
pub(in crate::pictogram) fn curtain() -> Drawing {
    let drape = [(8, 8), (48, 8), (44, 36), (22, 60), (30, 78), (32, 98), (6, 98), (6, 60)];
    Drawing::default()
        .fill(Water, rectangle(18, 10, 64, 68))
        .stroke(Light, 4, polyline(&[(50, 10), (50, 78)]))
        .stroke(Light, 4, polyline(&[(18, 44), (82, 44)]))
        .fill_pair(Body, polygon(&drape))
        .stroke_pair(Shade, 4, polyline(&[(20, 12), (16, 56)]))
        .stroke_pair(Shade, 4, polyline(&[(34, 12), (22, 54)]))
        .stroke_pair(Shade, 4, polyline(&[(18, 68), (18, 96)]))
        .stroke_pair(Light, 5, polyline(&[(6, 60), (22, 62)]))
        .stroke(Dark, 7, polyline(&[(3, 7), (97, 7)]))
}

/// A wide-brimmed woven hat with a band.
pub(in crate::pictogram) fn straw_hat() -> Drawing {
    let hat = Drawing::default()
        .fill(Body, oval(50, 68, 49, 17))
        .fill(Shade, oval(50, 64, 29, 9))
        .fill(Body, segment((50, 62), (27, 44), 180, 360))
        .fill(Dark, polygon(&[(23, 50), (77, 50), (78, 64), (50, 70), (22, 64)]))
        .stroke(Shade, 3, arc((50, 66), (40, 12), 10, 170));
    [36, 50, 64]
        .iter()
        .fold(hat, |hat, &x: &i16| hat.stroke(Shade, 3, polyline(&[(50 + (x - 50) / 2, 22), (x, 46)])))
        .stroke(Tint, 3, arc((50, 50), (20, 10), 190, 350))
}

/// A rocket on a stick with two bursts of sparks beside it.
pub(in crate::pictogram) fn firework() -> Drawing {
    let rocket = Drawing::default()
        .stroke(Wood, 5, polyline(&[(46, 60), (46, 97)]))
        .fill(Shade, polygon(&[(26, 30), (46, 1), (66, 30)]))
        .fill(Body, rectangle(31, 30, 30, 40))
        .fill(Light, polygon(&[(31, 38), (61, 46), (61, 56), (31, 48)]));
    burst(burst(rocket, 82, 28, 15), 16, 78, 13)
}

fn burst(mut drawing: Drawing, x: i16, y: i16, radius: i16) -> Drawing {
    let diagonal = radius * 7 / 10;
    let tips = [(radius, 0), (diagonal, diagonal), (0, radius), (-diagonal, diagonal)];
    for (tone, width) in [(Dark, 6), (Glow, 3)] {
        for (right, down) in tips {
            drawing = drawing.stroke(tone, width, polyline(&[(x - right, y - down), (x + right, y + down)]));
        }
    }
    drawing
}
