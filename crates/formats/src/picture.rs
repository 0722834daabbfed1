//! What is wrong with a picture, or what viewers and trainers would see differently in it.

use std::io::Cursor;

use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;
use image::{AnimationDecoder, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use crate::fault::{Fault, FaultKind};
use crate::guard::guarded;

/// The longest side that is taken (pixels): beyond it, JPEG encoders and image processors have their own limits.
const MAX_SIDE: u32 = 16_384;
/// The most pixels that are taken: twice Pillow's warning against decompression bombs, where it refuses.
const MAX_PIXELS: u64 = 178_956_970;
/// What a decoder may allocate (bytes).
const MAX_DECODER_BYTES: u64 = 1 << 30;

/// What is wrong with a picture's bytes; `extension` is that of its file's name, if it has one.
///
/// Sizes are looked at before pixels are decoded, pixels are decoded to see that they are all there.
pub fn inspect(bytes: &[u8], extension: Option<&str>) -> Vec<Fault> {
    if bytes.is_empty() {
        return vec![Fault::new(FaultKind::EmptyImage, "expected a picture, got no bytes")];
    }
    let format = match format_of(bytes) {
        Ok(format) => format,
        Err(fault) => return vec![fault],
    };
    let mut faults = Vec::new();
    if let Some(extension) = extension
        && ImageFormat::from_extension(extension) != Some(format)
    {
        let problem = format!("its name ends in `{extension}`, its bytes are {}", name(format));
        faults.push(Fault::new(FaultKind::WrongExtension, problem));
    }
    faults.extend(color_fault(bytes, format));
    let damaged = || Fault::new(FaultKind::BrokenImage, "cannot be decoded: damaged");
    match guarded(|| decode(bytes, format, &mut faults), damaged) {
        Ok(()) => {}
        Err(fault) if fault.kind == FaultKind::BrokenImage && ends_early(bytes, format) => {
            faults.push(Fault::new(FaultKind::TruncatedImage, fault.problem));
        }
        Err(fault) => faults.push(fault),
    }
    faults
}

fn name(format: ImageFormat) -> &'static str {
    format.extensions_str().first().copied().unwrap_or("unknown")
}

fn format_of(bytes: &[u8]) -> Result<ImageFormat, Fault> {
    let unsupported = |what: &str| {
        let problem = format!("expected PNG, JPEG, WebP, BMP or GIF, got {what}");
        Err(Fault::new(FaultKind::UnsupportedImage, problem))
    };
    match image::guess_format(bytes) {
        Ok(format) if format.reading_enabled() => Ok(format),
        Ok(format) => unsupported(name(format)),
        Err(_) if bytes.get(4..8) == Some(b"ftyp") => unsupported("HEIC or another format of its kind"),
        Err(_) if bytes.trim_ascii_start().starts_with(b"<") => unsupported("SVG or another text"),
        Err(_) => {
            let problem = "cannot be decoded: its first bytes are no picture's";
            Err(Fault::new(FaultKind::BrokenImage, problem))
        }
    }
}

/// Decodes the picture and notes what its decoder knows of it.
fn decode(bytes: &[u8], format: ImageFormat, faults: &mut Vec<Fault>) -> Result<(), Fault> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DECODER_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|error| fault_of(&error))?;
    let (width, height) = decoder.dimensions();
    if width > MAX_SIDE || height > MAX_SIDE || u64::from(width) * u64::from(height) > MAX_PIXELS {
        let problem =
            format!("expected at most {MAX_SIDE} pixels a side and {MAX_PIXELS} in all, got {width} x {height}");
        return Err(Fault::new(FaultKind::OversizedImage, problem));
    }
    // Metadata that cannot be read turns nothing.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    if orientation != Orientation::NoTransforms {
        let problem = format!(
            "EXIF orientation {}: viewers turn it, many trainers do not",
            orientation.to_exif()
        );
        faults.push(Fault::new(FaultKind::Orientation, problem));
    }
    if moves(bytes, format) {
        let problem = "several frames, of which only the first is seen";
        faults.push(Fault::new(FaultKind::Animated, problem));
    }
    DynamicImage::from_decoder(decoder).map_err(|error| fault_of(&error))?;
    if ends_early(bytes, format) {
        let problem = "the file ends before the picture does; readers differ in what they show";
        return Err(Fault::new(FaultKind::TruncatedImage, problem));
    }
    Ok(())
}

fn fault_of(error: &ImageError) -> Fault {
    let kind = match error {
        ImageError::Limits(_) => FaultKind::OversizedImage,
        ImageError::Unsupported(_) => FaultKind::UnsupportedImage,
        ImageError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => FaultKind::TruncatedImage,
        _ => FaultKind::BrokenImage,
    };
    Fault::new(kind, format!("cannot be decoded: {error}"))
}

fn moves(bytes: &[u8], format: ImageFormat) -> bool {
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

/// Whether the file lacks its format's end, which some decoders pass over.
fn ends_early(bytes: &[u8], format: ImageFormat) -> bool {
    let last = |mark: &[u8]| bytes.windows(mark.len()).rposition(|window| window == mark);
    match format {
        // Within a scan 0xff is followed by 0x00 or a restart mark, so that an end after the last scan's start is its
        // end.
        ImageFormat::Jpeg => last(b"\xff\xd9").is_none_or(|end| Some(end) < last(b"\xff\xda")),
        ImageFormat::Png => last(b"IEND").is_none(),
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

/// Where a GIF's trailer stands, block by block, since other bytes may follow it; none where the file ends before.
///
/// Source: GIF89a specification, sections 17 to 27.
fn gif_end(bytes: &[u8]) -> Option<usize> {
    let color_table = |packed: u8| match packed & 0x80 {
        0 => 0,
        _ => 3 << ((packed & 0x07) + 1),
    };
    // Signature and screen descriptor, then the colours of all frames.
    let mut at = 13 + color_table(*bytes.get(10)?);
    loop {
        at = match bytes.get(at)? {
            b';' => return Some(at),
            // An extension's mark and label; a frame's descriptor, its colours and the size of its codes.
            b'!' => at + 2,
            b',' => at + 11 + color_table(*bytes.get(at + 9)?),
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

/// What the header says of colours; decoders turn everything into red, green and blue before they can be asked.
fn color_fault(bytes: &[u8], format: ImageFormat) -> Option<Fault> {
    let one_bit = |is_one: bool| {
        let problem = "one bit a pixel: black and white alone";
        is_one.then(|| Fault::new(FaultKind::OneBit, problem))
    };
    match format {
        ImageFormat::Png => one_bit(bytes.get(24) == Some(&1)),
        ImageFormat::Bmp => one_bit(bytes.get(28..30) == Some(&[1, 0])),
        ImageFormat::Jpeg if jpeg_components(bytes) == Some(4) => {
            let problem = "four colour components (CMYK): readers differ in what red, green and blue they make of them";
            Some(Fault::new(FaultKind::Cmyk, problem))
        }
        _ => None,
    }
}

/// The number of colour components in a JPEG's frame header.
fn jpeg_components(bytes: &[u8]) -> Option<u8> {
    let mut at = 2;
    loop {
        let &[0xff, mark] = bytes.get(at..at + 2)? else {
            return None;
        };
        match mark {
            // A frame header: mark, length, precision, height, width, components.
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
