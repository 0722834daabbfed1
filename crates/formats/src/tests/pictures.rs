//! Pictures of every kind, and what is said of them.

use image::ImageFormat;

use super::samples::{cmyk_jpeg, grey_png, moving, picture, turned_jpeg};
use crate::fault::FaultKind;
use crate::picture::inspect;

#[track_caller]
fn check(bytes: &[u8], extension: &str, expected: &[FaultKind]) {
    let faults = inspect(bytes, Some(extension));
    let kinds: Vec<FaultKind> = faults.iter().map(|fault| fault.kind).collect();
    assert_eq!(kinds, expected, "{faults:?}");
}

#[test]
fn sound_pictures_have_no_faults() {
    for (format, extension) in [
        (ImageFormat::Png, "png"),
        (ImageFormat::Jpeg, "jpg"),
        (ImageFormat::Jpeg, "jpeg"),
        (ImageFormat::WebP, "webp"),
        (ImageFormat::Bmp, "bmp"),
        (ImageFormat::Gif, "gif"),
    ] {
        check(&picture(format, 20, 7), extension, &[]);
    }
    check(&turned_jpeg(1), "jpg", &[]);
    check(&moving(1), "gif", &[]);
}

#[test]
fn each_fault_has_its_name() {
    check(&turned_jpeg(6), "jpg", &[FaultKind::Orientation]);
    check(&cmyk_jpeg(), "jpg", &[FaultKind::Cmyk]);
    check(&moving(3), "gif", &[FaultKind::Animated]);
    check(&grey_png(9, png::BitDepth::Eight, 3), "png", &[FaultKind::Animated]);
    check(&grey_png(9, png::BitDepth::One, 1), "png", &[FaultKind::OneBit]);
    check(
        &grey_png(20_000, png::BitDepth::Eight, 1),
        "png",
        &[FaultKind::OversizedImage],
    );
    check(&picture(ImageFormat::Png, 5, 0), "jpg", &[FaultKind::WrongExtension]);
    check(b"", "png", &[FaultKind::EmptyImage]);
    check(b"no picture at all", "png", &[FaultKind::BrokenImage]);
    check(b"II*\0\x08\0\0\0\0\0\0\0", "tiff", &[FaultKind::UnsupportedImage]);
    check(
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "svg",
        &[FaultKind::UnsupportedImage],
    );
    check(b"\0\0\0\x18ftypheic\0\0\0\0", "heic", &[FaultKind::UnsupportedImage]);
}

#[test]
fn a_picture_that_ends_early_is_truncated_wherever_it_ends() {
    for (format, extension) in [
        (ImageFormat::Png, "png"),
        (ImageFormat::Jpeg, "jpg"),
        (ImageFormat::WebP, "webp"),
        (ImageFormat::Bmp, "bmp"),
        (ImageFormat::Gif, "gif"),
    ] {
        let whole = picture(format, 40, 30);
        for share in [3, 5, 7, 9] {
            check(
                &whole[..whole.len() * share / 10],
                extension,
                &[FaultKind::TruncatedImage],
            );
        }
    }
}
