//! What is wrong with an image, or what viewers and trainers show differently.

use std::io::Cursor;

use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;
use image::{AnimationDecoder, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use rows::{Problem, ProblemKind, guarded};

/// The longest side that is taken (pixels): beyond it, JPEG encoders and image processors have their own limits.
const MAX_SIDE: u32 = 16_384;
/// The most pixels that are taken: twice Pillow's warning against decompression bombs, where it refuses.
const MAX_PIXELS: u64 = 178_956_970;
/// What a decoder may allocate (bytes).
const MAX_DECODER_BYTES: u64 = 1 << 30;

/// What is wrong with the bytes of an image file; `extension` is that of its name, if it has one.
///
/// The size is checked before pixels are decoded; pixels are decoded to see that they are all there.
pub(crate) fn inspect(bytes: &[u8], extension: Option<&str>) -> Vec<Problem> {
    if bytes.is_empty() {
        return vec![Problem::new(ProblemKind::EmptyImage, "expected an image, got no bytes")];
    }
    let format = match format_of(bytes) {
        Ok(format) => format,
        Err(problem) => return vec![problem],
    };
    let mut problems = Vec::new();
    if let Some(extension) = extension
        && ImageFormat::from_extension(extension) != Some(format)
    {
        let message = format!("its name ends in `{extension}`, its bytes are {}", name(format));
        problems.push(Problem::new(ProblemKind::WrongExtension, message));
    }
    problems.extend(color_problem(bytes, format));
    match guarded(|| decode(bytes, format, &mut problems), damaged) {
        Ok(()) => {}
        Err(problem) if problem.kind == ProblemKind::BrokenImage && ends_early(bytes, format) => {
            problems.push(Problem::new(ProblemKind::TruncatedImage, problem.message));
        }
        Err(problem) => problems.push(problem),
    }
    problems
}

fn damaged() -> Problem {
    Problem::new(ProblemKind::BrokenImage, "cannot be decoded: damaged")
}

fn name(format: ImageFormat) -> &'static str {
    format.extensions_str().first().copied().unwrap_or("unknown")
}

fn format_of(bytes: &[u8]) -> Result<ImageFormat, Problem> {
    let unsupported = match image::guess_format(bytes) {
        Ok(format) if format.reading_enabled() => return Ok(format),
        Ok(format) => name(format),
        Err(_) if bytes.get(4..8) == Some(b"ftyp") => "HEIC or a similar format",
        Err(_) if bytes.trim_ascii_start().starts_with(b"<") => "SVG or another text",
        Err(_) => {
            let message = "cannot be decoded: its first bytes are those of no image format";
            return Err(Problem::new(ProblemKind::BrokenImage, message));
        }
    };
    let message = format!("expected PNG, JPEG, WebP, BMP or GIF, got {unsupported}");
    Err(Problem::new(ProblemKind::UnsupportedImage, message))
}

/// Decodes the image and notes what its decoder knows of it.
fn decode(bytes: &[u8], format: ImageFormat, problems: &mut Vec<Problem>) -> Result<(), Problem> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DECODER_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|error| problem_of(&error))?;
    let (width, height) = decoder.dimensions();
    if width > MAX_SIDE || height > MAX_SIDE || u64::from(width) * u64::from(height) > MAX_PIXELS {
        let message =
            format!("expected at most {MAX_SIDE} pixels per side and {MAX_PIXELS} in all, got {width} x {height}");
        return Err(Problem::new(ProblemKind::OversizedImage, message));
    }
    // Metadata that cannot be read has no effect.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    if orientation != Orientation::NoTransforms {
        let message = format!("EXIF orientation {}: viewers apply it, many trainers do not", orientation.to_exif());
        problems.push(Problem::new(ProblemKind::Orientation, message));
    }
    if is_animated(bytes, format) {
        let message = "several frames, of which only the first is used";
        problems.push(Problem::new(ProblemKind::Animated, message));
    }
    let image = DynamicImage::from_decoder(decoder).map_err(|error| problem_of(&error))?;
    if is_transparent(&image) {
        let message = "transparent pixels: readers differ in the color that they give them";
        problems.push(Problem::new(ProblemKind::Transparent, message));
    }
    if ends_early(bytes, format) {
        let message = "the file ends before the image does; readers differ in what they show";
        return Err(Problem::new(ProblemKind::TruncatedImage, message));
    }
    Ok(())
}

fn problem_of(error: &ImageError) -> Problem {
    let kind = match error {
        ImageError::Limits(_) => ProblemKind::OversizedImage,
        ImageError::Unsupported(_) => ProblemKind::UnsupportedImage,
        ImageError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => ProblemKind::TruncatedImage,
        _ => ProblemKind::BrokenImage,
    };
    Problem::new(kind, format!("cannot be decoded: {error}"))
}

/// Whether a pixel is not opaque; an image may have an alpha channel that says nothing.
fn is_transparent(image: &DynamicImage) -> bool {
    match image {
        DynamicImage::ImageLumaA8(image) => image.pixels().any(|pixel| pixel.0[1] < u8::MAX),
        DynamicImage::ImageRgba8(image) => image.pixels().any(|pixel| pixel.0[3] < u8::MAX),
        DynamicImage::ImageLumaA16(image) => image.pixels().any(|pixel| pixel.0[1] < u16::MAX),
        DynamicImage::ImageRgba16(image) => image.pixels().any(|pixel| pixel.0[3] < u16::MAX),
        DynamicImage::ImageRgba32F(image) => image.pixels().any(|pixel| pixel.0[3] < 1.0),
        _ => false,
    }
}

fn is_animated(bytes: &[u8], format: ImageFormat) -> bool {
    let cursor = Cursor::new(bytes);
    match format {
        ImageFormat::Png => PngDecoder::new(cursor).is_ok_and(|decoder| decoder.is_apng().unwrap_or(false)),
        ImageFormat::WebP => WebPDecoder::new(cursor).is_ok_and(|decoder| decoder.has_animation()),
        ImageFormat::Gif => {
            GifDecoder::new(cursor).is_ok_and(|decoder| decoder.into_frames().take(2).flatten().count() > 1)
        }
        _ => false,
    }
}

/// Whether the file lacks its format's end, which some decoders ignore.
fn ends_early(bytes: &[u8], format: ImageFormat) -> bool {
    match format {
        // Within a scan 0xff is followed by 0x00 or a restart marker, so that an end after the last scan's start is its
        // end.
        ImageFormat::Jpeg => last(bytes, b"\xff\xd9").is_none_or(|end| Some(end) < last(bytes, b"\xff\xda")),
        ImageFormat::Png => last(bytes, b"IEND").is_none(),
        ImageFormat::WebP => bytes
            .get(4..8)
            .and_then(|size| size.try_into().ok())
            .is_some_and(|size| u64::from(u32::from_le_bytes(size)) + 8 > bytes.len() as u64),
        ImageFormat::Bmp => bytes
            .get(2..6)
            .and_then(|size| size.try_into().ok())
            .is_some_and(|size| u64::from(u32::from_le_bytes(size)) > bytes.len() as u64),
        ImageFormat::Gif => gif_end(bytes).is_none(),
        _ => false,
    }
}

/// The position of the last such marker.
fn last(bytes: &[u8], marker: &[u8]) -> Option<usize> {
    bytes.windows(marker.len()).rposition(|window| window == marker)
}

/// The position of a GIF's trailer, found block by block, since other bytes may follow it; none if the file ends before.
///
/// Source: GIF89a specification, sections 17 to 27.
fn gif_end(bytes: &[u8]) -> Option<usize> {
    // Signature and screen descriptor, then the colors of all frames.
    let mut at = 13 + color_table_size(*bytes.get(10)?);
    loop {
        at = match bytes.get(at)? {
            b';' => return Some(at),
            // An extension's marker and label; a frame's descriptor, its colors and the size of its codes.
            b'!' => at + 2,
            b',' => at + 11 + color_table_size(*bytes.get(at + 9)?),
            _ => return None,
        };
        loop {
            let length = usize::from(*bytes.get(at)?);
            at += 1 + length;
            if length == 0 {
                break;
            }
        }
    }
}

/// The bytes of a GIF's color table.
fn color_table_size(packed: u8) -> usize {
    match packed & 0x80 {
        0 => 0,
        _ => 3 << ((packed & 0x07) + 1),
    }
}

/// What the header says of colors; decoders convert everything to red, green and blue.
fn color_problem(bytes: &[u8], format: ImageFormat) -> Option<Problem> {
    let is_one_bit = match format {
        ImageFormat::Png => bytes.get(24) == Some(&1),
        ImageFormat::Bmp => bytes.get(28..30) == Some(&[1, 0]),
        _ => false,
    };
    if is_one_bit {
        return Some(Problem::new(ProblemKind::OneBit, "one bit per pixel: black and white only"));
    }
    if format == ImageFormat::Jpeg && jpeg_components(bytes) == Some(4) {
        let message = "four color components (CMYK): readers differ in the red, green and blue that they make of them";
        return Some(Problem::new(ProblemKind::Cmyk, message));
    }
    None
}

/// The number of color components in a JPEG's frame header.
fn jpeg_components(bytes: &[u8]) -> Option<u8> {
    let mut at = 2;
    loop {
        let &[0xff, marker] = bytes.get(at..at + 2)? else {
            return None;
        };
        match marker {
            // A frame header: marker, length, precision, height, width, components.
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => return bytes.get(at + 9).copied(),
            0xff => at += 1,
            0x01 | 0xd0..=0xd8 => at += 2,
            _ => {
                let length = bytes.get(at + 2..at + 4)?.try_into().ok()?;
                at += 2 + usize::from(u16::from_be_bytes(length));
            }
        }
    }
}
