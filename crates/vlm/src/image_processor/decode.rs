//! A picture's file as red, green and blue bytes.

use std::io::Cursor;

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use crate::resample::RgbPicture;

/// Memory a decoder may take, in bytes.
const MAX_DECODER_BYTES: u64 = 2 << 30;

/// Decodes a file's bytes, a picture of at most `max_pixels`; the error says what is wrong with them.
pub(super) fn decode(bytes: &[u8], max_pixels: u64) -> Result<RgbPicture, String> {
    if bytes.is_empty() {
        return Err("expected a picture, got an empty file".into());
    }
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| error.to_string())?;
    let format = reader
        .format()
        .ok_or("expected PNG, JPEG, WebP, BMP or GIF, got something else")?;
    let name = format!("{format:?}").to_uppercase();
    if format == ImageFormat::Jpeg && !jpeg_is_whole(bytes) {
        return Err("JPEG: truncated: the end-of-image marker is missing".into());
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DECODER_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|error| format!("{name}: {error}"))?;
    let (width, height) = decoder.dimensions();
    let n_pixels = u64::from(width) * u64::from(height);
    if n_pixels == 0 || n_pixels > max_pixels {
        return Err(format!(
            "{name}: expected 1 to {max_pixels} pixels, got {width} x {height}"
        ));
    }
    // A picture without readable orientation is taken as it lies.
    let orientation = decoder
        .orientation()
        .unwrap_or(image::metadata::Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|error| format!("{name}: {error}"))?;
    picture.apply_orientation(orientation);
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    RgbPicture::new(width, height, rgb_bytes(picture)).ok_or_else(|| format!("{name}: the decoder lost pixels"))
}

/// The bytes of a picture of any kind, as Pillow's `convert("RGB")` gives them: alpha is dropped, grey repeated. Of 16
/// bits the high eight are kept.
fn rgb_bytes(picture: DynamicImage) -> Vec<u8> {
    let high_byte = |sample: u16| (sample >> 8) as u8;
    match picture {
        DynamicImage::ImageRgb8(buffer) => buffer.into_raw(),
        DynamicImage::ImageRgba8(buffer) => colours(buffer.as_raw(), 4, |sample| sample),
        DynamicImage::ImageLuma8(buffer) => colours(buffer.as_raw(), 1, |sample| sample),
        DynamicImage::ImageLumaA8(buffer) => colours(buffer.as_raw(), 2, |sample| sample),
        DynamicImage::ImageRgb16(buffer) => colours(buffer.as_raw(), 3, high_byte),
        DynamicImage::ImageRgba16(buffer) => colours(buffer.as_raw(), 4, high_byte),
        DynamicImage::ImageLuma16(buffer) => colours(buffer.as_raw(), 1, high_byte),
        DynamicImage::ImageLumaA16(buffer) => colours(buffer.as_raw(), 2, high_byte),
        other => other.into_rgb8().into_raw(),
    }
}

/// The colour bytes of samples with `n_channels` a pixel: the first three, or grey three times.
fn colours<T: Copy>(samples: &[T], n_channels: usize, to_byte: impl Fn(T) -> u8) -> Vec<u8> {
    let second_and_third = if n_channels < 3 { (0, 0) } else { (1, 2) };
    samples
        .chunks_exact(n_channels)
        .flat_map(|pixel| [pixel[0], pixel[second_and_third.0], pixel[second_and_third.1]].map(&to_byte))
        .collect()
}

/// Whether a JPEG file has its end-of-image marker after the first scan. The decoder would fill the missing part of a
/// truncated file with grey and say nothing.
fn jpeg_is_whole(bytes: &[u8]) -> bool {
    const START_OF_SCAN: u8 = 0xDA;
    let mut position = 2;
    // Segments before the scan carry their length; a thumbnail's end marker inside one does not count.
    while let Some(&[0xFF, marker, high, low]) = bytes.get(position..position + 4) {
        position += match marker {
            // Fill bytes may stand before a marker.
            0xFF => 1,
            _ => 2 + usize::from(u16::from_be_bytes([high, low])),
        };
        if marker == START_OF_SCAN {
            return bytes
                .get(position..)
                .is_some_and(|scan| scan.windows(2).any(|pair| pair == [0xFF, 0xD9]));
        }
    }
    // Not laid out as expected: the decoder says what is wrong.
    position <= bytes.len()
}

#[cfg(test)]
mod tests {
    use image::{ExtendedColorType, ImageBuffer, Luma, LumaA, Rgb, Rgba};
    use proptest::prelude::*;

    use super::*;

    fn decode_all(bytes: &[u8]) -> Result<RgbPicture, String> {
        decode(bytes, crate::image_processor::MAX_PIXELS)
    }

    const FORMATS: [ImageFormat; 5] = [
        ImageFormat::Png,
        ImageFormat::Jpeg,
        ImageFormat::WebP,
        ImageFormat::Bmp,
        ImageFormat::Gif,
    ];

    /// A small picture in a format's bytes.
    fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn colourful() -> DynamicImage {
        ImageBuffer::from_fn(23, 17, |x, y| {
            Rgb([(x * 11) as u8, (y * 15) as u8, (x * y % 256) as u8])
        })
        .into()
    }

    #[test]
    fn lossless_formats_give_back_their_bytes() {
        let picture = colourful();
        for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Bmp] {
            assert_eq!(
                decode_all(&encoded(&picture, format)).unwrap().pixels(),
                picture.as_bytes(),
                "{format:?}"
            );
        }
    }

    #[test]
    fn alpha_is_dropped_grey_repeated_and_the_high_byte_kept() {
        let png = |picture: DynamicImage| {
            decode_all(&encoded(&picture, ImageFormat::Png))
                .unwrap()
                .pixels()
                .to_vec()
        };
        assert_eq!(
            png(ImageBuffer::from_pixel(1, 1, Rgba([9u8, 8, 7, 0])).into()),
            [9, 8, 7]
        );
        assert_eq!(png(ImageBuffer::from_pixel(1, 1, Luma([5u8])).into()), [5, 5, 5]);
        assert_eq!(png(ImageBuffer::from_pixel(1, 1, LumaA([5u8, 1])).into()), [5, 5, 5]);
        assert_eq!(png(ImageBuffer::from_pixel(1, 1, Luma([0x12FFu16])).into()), [0x12; 3]);
        assert_eq!(
            png(ImageBuffer::from_pixel(1, 1, LumaA([0x12FFu16, 0])).into()),
            [0x12; 3]
        );
        assert_eq!(
            png(ImageBuffer::from_pixel(1, 1, Rgb([0x01FFu16, 0x0200, 0xFFFF])).into()),
            [1, 2, 255]
        );
        assert_eq!(
            png(ImageBuffer::from_pixel(1, 1, Rgba([0x01FFu16, 0x0200, 0xFFFF, 3])).into()),
            [1, 2, 255]
        );
    }

    #[test]
    fn files_cut_off_anywhere_are_refused() {
        let picture = colourful();
        for format in FORMATS {
            let bytes = encoded(&picture, format);
            for length in (0..bytes.len() * 9 / 10).step_by(7) {
                let outcome = decode_all(&bytes[..length]);
                assert!(outcome.is_err(), "{format:?} cut to {length} of {} bytes", bytes.len());
            }
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let problem = |bytes: &[u8]| decode_all(bytes).unwrap_err();
        assert_eq!(problem(b""), "expected a picture, got an empty file");
        assert_eq!(
            problem(b"a line of text"),
            "expected PNG, JPEG, WebP, BMP or GIF, got something else"
        );
        let jpeg = encoded(&colourful(), ImageFormat::Jpeg);
        assert!(problem(&jpeg[..jpeg.len() - 20]).contains("truncated"));
        assert!(
            problem(&bmp_of(0, 5)).starts_with("BMP: "),
            "{}",
            problem(&bmp_of(0, 5))
        );
        assert!(
            problem(&bmp_of(60_000, 60_000)).starts_with("BMP: "),
            "{}",
            problem(&bmp_of(60_000, 60_000))
        );
    }

    /// A bitmap that claims a size and holds next to nothing.
    fn bmp_of(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = encoded(&colourful(), ImageFormat::Bmp);
        bytes[18..22].copy_from_slice(&width.to_le_bytes());
        bytes[22..26].copy_from_slice(&height.to_le_bytes());
        bytes
    }

    #[test]
    fn a_picture_lying_on_its_side_is_turned_upright() {
        // The smallest EXIF block: big-endian TIFF with one entry, orientation (0x0112) 6, "rotate by 90 degrees".
        let exif = [
            b"MM\0\x2a\0\0\0\x08\0\x01".as_slice(),
            &[0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0],
            &[0; 4],
        ]
        .concat();
        let mut bytes = Vec::new();
        let mut encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 95);
        image::ImageEncoder::set_exif_metadata(&mut encoder, exif).unwrap();
        encoder
            .encode(&[250; 8 * 16 * 3], 8, 16, ExtendedColorType::Rgb8)
            .unwrap();
        let picture = decode_all(&bytes).unwrap();
        assert_eq!((picture.width(), picture.height()), (16, 8));
    }

    proptest! {
        #[test]
        fn damaged_files_never_panic(
            format in 0usize..5, damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        ) {
            let mut bytes = encoded(&colourful(), FORMATS[format]);
            for (place, byte) in damage {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            // Whether damage shows depends on where it fell; what counts is that a picture or a reason comes back.
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
