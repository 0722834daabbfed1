//! An image file as red, green and blue bytes.

use std::io::Cursor;

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use super::limits::Alpha;
use crate::resample::RgbImage;

/// Images of more pixels are treated as attacks (Pillow's limit for an error).
pub(super) const MAX_PIXELS: u64 = 178_956_970;

/// Memory a decoder may take, in bytes.
const MAX_DECODER_BYTES: u64 = 2 << 30;

/// Decodes a file's bytes, an image of at most `max_pixels` and [`MAX_PIXELS`]; the error is the problem with them.
pub(super) fn decode(bytes: &[u8], max_pixels: u64, alpha: Alpha) -> Result<RgbImage, String> {
    if bytes.is_empty() {
        return Err("expected an image, got an empty file".into());
    }
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|error| error.to_string())?;
    let format = reader.format().ok_or("expected PNG, JPEG, WebP, BMP or GIF, got something else")?;
    let name = format!("{format:?}").to_uppercase();
    if format == ImageFormat::Jpeg && !jpeg_is_whole(bytes) {
        return Err("JPEG: truncated: the end-of-image marker is missing".into());
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DECODER_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|error| format!("{name}: {error}"))?;
    let (width, height) = decoder.dimensions();
    let (n_pixels, max_pixels) = (u64::from(width) * u64::from(height), max_pixels.min(MAX_PIXELS));
    if n_pixels == 0 || n_pixels > max_pixels {
        return Err(format!("{name}: expected 1 to {max_pixels} pixels, got {width} x {height}"));
    }
    // An image without a readable orientation is taken as it is.
    let orientation = decoder.orientation().unwrap_or(image::metadata::Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).map_err(|error| format!("{name}: {error}"))?;
    image.apply_orientation(orientation);
    let (width, height) = (image.width() as usize, image.height() as usize);
    RgbImage::new(width, height, rgb_bytes(image, alpha)).ok_or_else(|| format!("{name}: the decoder lost pixels"))
}

/// The bytes of an image of any kind, as Pillow's `convert("RGB")` gives them: gray repeated, of 16 bits the high eight
/// kept, alpha dropped or else blended on white. (vLLM and qwen-vl-utils blend images of four channels, and leave gray
/// ones and palettes to Pillow, which drops their alpha.)
fn rgb_bytes(image: DynamicImage, alpha: Alpha) -> Vec<u8> {
    match image {
        DynamicImage::ImageRgb8(buffer) => buffer.into_raw(),
        DynamicImage::ImageRgba8(buffer) => colors(buffer.as_raw(), 4, alpha, |sample| sample),
        DynamicImage::ImageLuma8(buffer) => colors(buffer.as_raw(), 1, alpha, |sample| sample),
        DynamicImage::ImageLumaA8(buffer) => colors(buffer.as_raw(), 2, alpha, |sample| sample),
        DynamicImage::ImageRgb16(buffer) => colors(buffer.as_raw(), 3, alpha, |sample| (sample >> 8) as u8),
        DynamicImage::ImageRgba16(buffer) => colors(buffer.as_raw(), 4, alpha, |sample| (sample >> 8) as u8),
        DynamicImage::ImageLuma16(buffer) => colors(buffer.as_raw(), 1, alpha, |sample| (sample >> 8) as u8),
        DynamicImage::ImageLumaA16(buffer) => colors(buffer.as_raw(), 2, alpha, |sample| (sample >> 8) as u8),
        other => other.into_rgb8().into_raw(),
    }
}

/// The color bytes of samples with `n_channels` a pixel: the first three, or gray three times. The last of two or four
/// is alpha.
fn colors<T: Copy>(samples: &[T], n_channels: usize, alpha: Alpha, to_byte: impl Fn(T) -> u8) -> Vec<u8> {
    let second_and_third = if n_channels < 3 { (0, 0) } else { (1, 2) };
    let is_blended = n_channels.is_multiple_of(2) && alpha == Alpha::White;
    samples
        .chunks_exact(n_channels)
        .flat_map(|pixel| {
            let color = [pixel[0], pixel[second_and_third.0], pixel[second_and_third.1]].map(&to_byte);
            if is_blended { on_white(color, to_byte(pixel[n_channels - 1])) } else { color }
        })
        .collect()
}

/// A color of this opacity on white, rounded as Pillow's `paste` rounds.
fn on_white(color: [u8; 3], opacity: u8) -> [u8; 3] {
    color.map(|byte| {
        let sum = u32::from(byte) * u32::from(opacity) + 255 * (255 - u32::from(opacity)) + 128;
        (((sum >> 8) + sum) >> 8) as u8
    })
}

/// Whether a JPEG file has its end-of-image marker after the first scan. The decoder would fill the missing part of a
/// truncated file with gray and not report it.
fn jpeg_is_whole(bytes: &[u8]) -> bool {
    const START_OF_SCAN: u8 = 0xDA;
    let mut position = 2;
    // Segments before the scan carry their length; a thumbnail's end marker inside one does not count.
    while let Some(&[0xFF, marker, high, low]) = bytes.get(position..position + 4) {
        position += match marker {
            // Fill bytes may precede a marker.
            0xFF => 1,
            _ => 2 + usize::from(u16::from_be_bytes([high, low])),
        };
        if marker == START_OF_SCAN {
            return bytes.get(position..).is_some_and(|scan| scan.windows(2).any(|pair| pair == [0xFF, 0xD9]));
        }
    }
    // Not the expected structure: the decoder reports the problem.
    position <= bytes.len()
}

#[cfg(test)]
mod tests {
    use image::{ExtendedColorType, ImageBuffer, Luma, LumaA, Rgb, Rgba};
    use proptest::prelude::*;

    use super::*;

    fn decode_all(bytes: &[u8]) -> Result<RgbImage, String> {
        decode(bytes, MAX_PIXELS, Alpha::White)
    }

    const FORMATS: [ImageFormat; 5] =
        [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP, ImageFormat::Bmp, ImageFormat::Gif];

    /// An image in a format's bytes.
    fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn colorful() -> DynamicImage {
        ImageBuffer::from_fn(23, 17, |x, y| Rgb([(x * 11) as u8, (y * 15) as u8, (x * y % 256) as u8])).into()
    }

    #[test]
    fn lossless_formats_give_back_their_bytes() {
        let image = colorful();
        for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Bmp] {
            assert_eq!(decode_all(&encoded(&image, format)).unwrap().pixels(), image.as_bytes(), "{format:?}");
        }
    }

    #[test]
    fn alpha_is_blended_or_dropped_gray_repeated_and_the_high_byte_kept() {
        let cases: [(DynamicImage, [u8; 3], [u8; 3]); 9] = [
            (ImageBuffer::from_pixel(1, 1, Rgba([9u8, 8, 7, 0])).into(), [9, 8, 7], [255; 3]),
            (ImageBuffer::from_pixel(1, 1, Rgba([9u8, 8, 7, 255])).into(), [9, 8, 7], [9, 8, 7]),
            // Pillow 11: 100 · 127 + 255 · 128 over 255 is 177.8.
            (ImageBuffer::from_pixel(1, 1, Rgba([100u8, 0, 255, 127])).into(), [100, 0, 255], [178, 128, 255]),
            (ImageBuffer::from_pixel(1, 1, Luma([5u8])).into(), [5; 3], [5; 3]),
            (ImageBuffer::from_pixel(1, 1, LumaA([5u8, 1])).into(), [5; 3], [254; 3]),
            (ImageBuffer::from_pixel(1, 1, Luma([0x12FFu16])).into(), [0x12; 3], [0x12; 3]),
            (ImageBuffer::from_pixel(1, 1, LumaA([0x12FFu16, 0])).into(), [0x12; 3], [255; 3]),
            (ImageBuffer::from_pixel(1, 1, Rgb([0x01FFu16, 0x0200, 0xFFFF])).into(), [1, 2, 255], [1, 2, 255]),
            (ImageBuffer::from_pixel(1, 1, Rgba([0x01FFu16, 0x0200, 0xFFFF, 3])).into(), [1, 2, 255], [255; 3]),
        ];
        for (image, dropped, on_white) in cases {
            let bytes = encoded(&image, ImageFormat::Png);
            for (alpha, expected) in [(Alpha::Drop, dropped), (Alpha::White, on_white)] {
                assert_eq!(decode(&bytes, MAX_PIXELS, alpha).unwrap().pixels(), expected, "{image:?}");
            }
        }
    }

    #[test]
    fn files_truncated_anywhere_are_refused() {
        let image = colorful();
        for format in FORMATS {
            let bytes = encoded(&image, format);
            for length in (0..bytes.len() * 9 / 10).step_by(7) {
                let outcome = decode_all(&bytes[..length]);
                assert!(outcome.is_err(), "{format:?} truncated to {length} of {} bytes", bytes.len());
            }
        }
    }

    #[test]
    fn the_error_is_the_problem() {
        let jpeg = encoded(&colorful(), ImageFormat::Jpeg);
        for (bytes, expected) in [
            (&b""[..], "expected an image, got an empty file"),
            (b"a line of text", "expected PNG, JPEG, WebP, BMP or GIF, got something else"),
            (&jpeg[..jpeg.len() - 20], "JPEG: truncated: the end-of-image marker is missing"),
            (&bmp_of(0, 5), "BMP: "),
            (&bmp_of(60_000, 60_000), "BMP: "),
        ] {
            let problem = decode_all(bytes).unwrap_err();
            assert!(problem.starts_with(expected), "{problem}");
        }
    }

    /// A bitmap that claims a size and holds next to nothing.
    fn bmp_of(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = encoded(&colorful(), ImageFormat::Bmp);
        bytes[18..22].copy_from_slice(&width.to_le_bytes());
        bytes[22..26].copy_from_slice(&height.to_le_bytes());
        bytes
    }

    #[test]
    fn an_image_lying_on_its_side_is_turned_upright() {
        // The smallest EXIF block: big-endian TIFF with one entry, orientation (0x0112) 6, "rotate by 90 degrees".
        let exif =
            [b"MM\0\x2a\0\0\0\x08\0\x01".as_slice(), &[0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0], &[0; 4]].concat();
        let mut bytes = Vec::new();
        let mut encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 95);
        image::ImageEncoder::set_exif_metadata(&mut encoder, exif).unwrap();
        encoder.encode(&[250; 8 * 16 * 3], 8, 16, ExtendedColorType::Rgb8).unwrap();
        let image = decode_all(&bytes).unwrap();
        assert_eq!((image.width(), image.height()), (16, 8));
    }

    proptest! {
        #[test]
        fn damaged_files_never_panic(
            format in 0usize..5, damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        ) {
            let mut bytes = encoded(&colorful(), FORMATS[format]);
            for (index, byte) in damage {
                let index = index.index(bytes.len());
                bytes[index] = byte;
            }
            // Whether damage shows depends on its place; what counts is that an image or a problem is returned.
            if let Err(problem) = decode_all(&bytes) {
                prop_assert!(!problem.is_empty());
            }
        }

        #[test]
        fn noise_behind_a_signature_never_panics(format in 0usize..5, noise in prop::collection::vec(any::<u8>(), 0..300)) {
            let signature: [&[u8]; 5] = [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\x40\0\0\0WEBPVP8 ", b"BM", b"GIF89a"];
            prop_assert!(decode_all(&[signature[format], &noise].concat()).is_err());
        }
    }
}
