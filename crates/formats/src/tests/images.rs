//! Images of every kind, and their problems.

use image::ImageFormat;

use super::samples::{cmyk_jpeg, gray_png, image_file, moving, transparent_palette_png, turned_jpeg, with_alpha};
use crate::inspect::inspect;
use rows::ProblemKind;

#[track_caller]
fn check(bytes: &[u8], extension: &str, expected: &[ProblemKind]) {
    let problems = inspect(bytes, Some(extension));
    let kinds: Vec<ProblemKind> = problems.iter().map(|problem| problem.kind).collect();
    assert_eq!(kinds, expected, "{problems:?}");
}

#[test]
fn valid_images_have_no_problems() {
    for (format, extension) in [
        (ImageFormat::Png, "png"),
        (ImageFormat::Jpeg, "jpg"),
        (ImageFormat::Jpeg, "jpeg"),
        (ImageFormat::WebP, "webp"),
        (ImageFormat::Bmp, "bmp"),
        (ImageFormat::Gif, "gif"),
    ] {
        check(&image_file(format, 20, 7), extension, &[]);
    }
    check(&turned_jpeg(1), "jpg", &[]);
    check(&moving(1), "gif", &[]);
}

#[test]
fn transparent_pixels_are_told_and_an_alpha_channel_that_says_nothing_is_not() {
    for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Gif] {
        let extension = format.extensions_str()[0];
        check(&with_alpha(format, 0), extension, &[ProblemKind::Transparent]);
        check(&with_alpha(format, 255), extension, &[]);
    }
    check(&with_alpha(ImageFormat::Png, 254), "png", &[ProblemKind::Transparent]);
    check(&transparent_palette_png(), "png", &[ProblemKind::Transparent]);
}

#[test]
fn each_problem_has_its_name() {
    check(&turned_jpeg(6), "jpg", &[ProblemKind::Orientation]);
    check(&cmyk_jpeg(), "jpg", &[ProblemKind::Cmyk]);
    check(&moving(3), "gif", &[ProblemKind::Animated]);
    check(&gray_png(9, png::BitDepth::Eight, 3), "png", &[ProblemKind::Animated]);
    check(&gray_png(9, png::BitDepth::One, 1), "png", &[ProblemKind::OneBit]);
    check(&gray_png(20_000, png::BitDepth::Eight, 1), "png", &[ProblemKind::OversizedImage]);
    check(&image_file(ImageFormat::Png, 5, 0), "jpg", &[ProblemKind::WrongExtension]);
    check(b"", "png", &[ProblemKind::EmptyImage]);
    check(b"no image at all", "png", &[ProblemKind::BrokenImage]);
    check(b"II*\0\x08\0\0\0\0\0\0\0", "tiff", &[ProblemKind::UnsupportedImage]);
    check(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "svg", &[ProblemKind::UnsupportedImage]);
    check(b"\0\0\0\x18ftypheic\0\0\0\0", "heic", &[ProblemKind::UnsupportedImage]);
}

#[test]
fn an_image_that_ends_early_is_truncated_wherever_it_ends() {
    for (format, extension) in [
        (ImageFormat::Png, "png"),
        (ImageFormat::Jpeg, "jpg"),
        (ImageFormat::WebP, "webp"),
        (ImageFormat::Bmp, "bmp"),
        (ImageFormat::Gif, "gif"),
    ] {
        let whole = image_file(format, 40, 30);
        for share in [3, 5, 7, 9] {
            check(&whole[..whole.len() * share / 10], extension, &[ProblemKind::TruncatedImage]);
        }
    }
}
