//! What images promise: they show something in the color requested, differ, repeat, and keep apart.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::scene::sign_region;
use super::{Color, ObjectKind, RgbImage, Scene, Style, black, portrait, render, scene};

const STYLES: [Style; 2] = [Style::Plain, Style::Sketch];
const SIZE: u32 = 84;

/// The share of pixels in which two images differ clearly in some channel.
fn share_different(left: &RgbImage, right: &RgbImage) -> f64 {
    let pixels = left.pixels.chunks(3).zip(right.pixels.chunks(3));
    let different = pixels.filter(|(left, right)| left.iter().zip(*right).any(|(l, r)| l.abs_diff(*r) > 24)).count();
    different as f64 / f64::from(left.width * left.height)
}

/// Scenes of every object, number, style and with and without the sign, `rounds` times.
fn scenes(rounds: u64) -> impl Iterator<Item = Scene> {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let cases = (0..rounds).flat_map(|_| ObjectKind::ALL).flat_map(|object| (1..=4).map(move |count| (object, count)));
    let cases = cases.flat_map(|(object, count)| [false, true].map(|sign| (object, count, sign)));
    cases.map(move |(object, count, sign)| scene(&mut rng, object, count, Color::Green, STYLES[count % 2], sign))
}

fn apart(left: [f32; 4], right: [f32; 4]) -> bool {
    left[2] <= right[0] || right[2] <= left[0] || left[3] <= right[1] || right[3] <= left[1]
}

#[test]
fn every_object_shows_in_every_style() {
    for object in ObjectKind::ALL {
        for style in STYLES {
            let image = render(&portrait(object, Color::Purple, style), SIZE);
            let white = RgbImage { pixels: vec![255; image.pixels.len()], ..image.clone() };
            let share = share_different(&image, &white);
            assert!((0.1..0.85).contains(&share), "{} in {style:?} covers {share:.2}", object.name());
        }
    }
}

#[test]
fn the_main_color_shows_on_every_object_and_tells_all_pairs_of_colors_apart() {
    for object in ObjectKind::ALL {
        for style in STYLES {
            let images = Color::ALL.map(|color| render(&portrait(object, color, style), SIZE));
            for (index, left) in images.iter().enumerate() {
                for right in &images[..index] {
                    let share = share_different(left, right);
                    assert!(share > 0.06, "{} in {style:?}: only {share:.3} of the pixels tell", object.name());
                }
            }
        }
    }
}

/// The mean difference in gray (0 to 255) of portraits at 42 x 42 pixels must pass this for every pair of objects.
const SMALLEST_SILHOUETTE_DIFFERENCE: f64 = 20.0;

#[test]
fn silhouettes_of_all_pairs_of_objects_differ() {
    for style in STYLES {
        let grays = ObjectKind::ALL.map(|object| {
            let image = render(&portrait(object, Color::Purple, style), 42);
            image.pixels.chunks(3).map(|rgb| rgb.iter().map(|&c| f64::from(c)).sum::<f64>() / 3.0).collect::<Vec<_>>()
        });
        for (right_index, right) in grays.iter().enumerate() {
            for (left_index, left) in grays[..right_index].iter().enumerate() {
                let sum: f64 = left.iter().zip(right).map(|(l, r)| (l - r).abs()).sum();
                let names = (ObjectKind::ALL[left_index].name(), ObjectKind::ALL[right_index].name());
                let mean = sum / left.len() as f64;
                assert!(mean > SMALLEST_SILHOUETTE_DIFFERENCE, "{names:?} in {style:?} differ by {mean:.1}");
            }
        }
    }
}

fn draw(seed: u64, style: Style) -> RgbImage {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    render(&scene(&mut rng, ObjectKind::Kettle, 2, Color::Blue, style, true), SIZE)
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    for style in STYLES {
        assert_eq!(draw(3, style), draw(3, style));
        assert!(share_different(&draw(3, style), &draw(4, style)) > 0.05);
    }
    assert!(share_different(&draw(3, Style::Plain), &draw(3, Style::Sketch)) > 0.05);
}

#[test]
fn objects_keep_to_the_image_and_apart_from_each_other_the_sign_and_clutter() {
    for scene in scenes(4) {
        let bounds: Vec<_> = scene.objects.iter().map(super::Placed::bounds).collect();
        for (index, own) in bounds.iter().enumerate() {
            assert!(own[0] > 0.0 && own[1] > 0.0 && own[2] < 1.0 && own[3] < 1.0, "{own:?} leaves the image");
            assert!(bounds[..index].iter().all(|other| apart(*own, *other)), "objects overlap: {scene:?}");
            assert!(
                !scene.hazard_sign || apart(*own, sign_region(scene.sign_corner)),
                "the sign is covered: {scene:?}"
            );
            for mark in &scene.clutter {
                let [x, y] = mark.center;
                let reach = mark.radius;
                assert!(apart(*own, [x - reach, y - reach, x + reach, y + reach]), "clutter is covered: {scene:?}");
            }
        }
    }
}

#[test]
fn objects_are_large_enough_to_be_read() {
    for scene in scenes(4) {
        let smallest_side = if scene.objects.len() == 1 { 0.35 } else { 0.25 };
        for placed in &scene.objects {
            assert!(
                placed.size > smallest_side,
                "{} of {} has size {:.2}",
                placed.object.name(),
                scene.objects.len(),
                placed.size
            );
            assert!(placed.rotation.abs() <= 20.0);
        }
    }
}

#[test]
fn bounds_hold_everything_that_is_painted() {
    for mut scene in scenes(1) {
        scene.hazard_sign = false;
        let with = render(&scene, SIZE);
        let bounds: Vec<_> = scene.objects.drain(..).map(|placed| placed.bounds()).collect();
        let without = render(&scene, SIZE);
        // A pixel that a bound crosses may be painted in part.
        let slack = 1.0 / SIZE as f32;
        for (index, (left, right)) in with.pixels.chunks(3).zip(without.pixels.chunks(3)).enumerate() {
            let (x, y) = (index as u32 % SIZE, index as u32 / SIZE);
            let [across, down] = [x, y].map(|pixel| (pixel as f32 + 0.5) / SIZE as f32);
            let pixel = [across - slack, down - slack, across + slack, down + slack];
            let outside = bounds.iter().all(|own| apart(*own, pixel));
            assert!(!outside || left == right, "a pixel at {across:.2}, {down:.2} is painted outside {bounds:?}");
        }
    }
}

#[test]
fn the_sign_is_yellow_and_stands_in_its_corner() {
    let mut scene = scenes(1).find(|scene| scene.hazard_sign).expect("every other scene has a sign");
    let with = render(&scene, SIZE);
    scene.hazard_sign = false;
    let share = share_different(&with, &render(&scene, SIZE));
    assert!((0.02..0.08).contains(&share), "the sign covers {share:.3}");
    let [left, top, right, bottom] = sign_region(scene.sign_corner);
    let inside = [left.midpoint(right) - 0.05, (top * 3.0 + bottom * 7.0) / 10.0].map(|at| (at * SIZE as f32) as u32);
    let start = ((inside[1] * SIZE + inside[0]) * 3) as usize;
    let [red, green, blue] = [0, 1, 2].map(|channel| with.pixels[start + channel]);
    assert!(red > 160 && green > 140 && blue < 130, "got {:?}", [red, green, blue]);
}

#[test]
fn images_have_the_size_requested_and_their_png_holds_the_same_pixels() {
    for size in [0, 1, 42, 168] {
        let image = render(&portrait(ObjectKind::Cat, Color::Red, Style::Sketch), size);
        let side = size.max(1);
        assert_eq!((image.width, image.height, image.pixels.len()), (side, side, (side * side * 3) as usize));
        let decoded = tiny_skia::Pixmap::decode_png(&image.png()).expect("the PNG is whole");
        assert_eq!(RgbImage::from_opaque(&decoded), image);
        let black = black(size);
        assert!(black.pixels.iter().all(|&channel| channel == 0));
        assert_eq!(black.pixels.len(), image.pixels.len());
    }
}

#[test]
fn names_are_unique_lower_case_and_go_with_their_articles() {
    let mut names: Vec<&str> = ObjectKind::ALL.iter().map(|object| object.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 54);
    for object in ObjectKind::ALL {
        let name = object.name();
        assert!(name.chars().all(|letter| letter.is_ascii_lowercase() || letter == ' '), "{name}");
        assert!(name.split(' ').count() <= 2, "{name}");
        let vowel = name.starts_with(['a', 'e', 'i', 'o', 'u']);
        assert!(object.article() == "some" || (object.article() == "an") == vowel, "{} {name}", object.article());
    }
}
