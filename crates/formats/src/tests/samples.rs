//! Images and files that the tests share.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use align::progress::Silent;
use image::codecs::gif::GifEncoder;
use image::{DynamicImage, Frame, ImageFormat, Rgb, RgbImage, RgbaImage};
use proptest::prelude::ProptestConfig;
use serde_json::{Value, json};

use crate::convert::{ConvertReport, ConvertRequest};
use crate::error::FormatError;
use crate::format::Format;
use crate::image_files;
use crate::record::Record;
use crate::record_reader::RecordReader;
use rows::{Container, Image};

/// So many cases of a property, or those of the environment variable `PROPTEST_CASES`.
pub(super) fn config(cases: u32) -> ProptestConfig {
    let given = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: given.unwrap_or(cases), failure_persistence: None, ..ProptestConfig::default() }
}

/// A folder that is removed after the test.
pub(super) fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// An image of some size and color, in a format.
pub(super) fn image_file(format: ImageFormat, side: u32, shade: u8) -> Vec<u8> {
    let image = RgbImage::from_fn(side, side, |x, y| Rgb([shade, (x * 7) as u8, (y * 11) as u8]));
    let mut bytes = Vec::new();
    DynamicImage::ImageRgb8(image).write_to(&mut Cursor::new(&mut bytes), format).unwrap();
    bytes
}

/// An image with one pixel of this opacity among opaque ones.
pub(super) fn with_alpha(format: ImageFormat, alpha: u8) -> Vec<u8> {
    let alpha = |x, y| if (x, y) == (1, 2) { alpha } else { 255 };
    let image = RgbaImage::from_fn(6, 6, |x, y| image::Rgba([90, (x * 7) as u8, 9, alpha(x, y)]));
    let mut bytes = Vec::new();
    DynamicImage::ImageRgba8(image).write_to(&mut Cursor::new(&mut bytes), format).unwrap();
    bytes
}

/// A PNG whose palette has a transparent color.
pub(super) fn transparent_palette_png() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 2, 1);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_palette(&[0, 0, 0, 9, 9, 9][..]);
    encoder.set_trns(&[0, 255][..]);
    encoder.write_header().unwrap().write_image_data(&[0, 1]).unwrap();
    bytes
}

/// A GIF of so many frames.
pub(super) fn moving(frames: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new(&mut bytes);
    for shade in 0..frames {
        let image = RgbaImage::from_pixel(6, 6, image::Rgba([shade * 20, 9, 9, 255]));
        encoder.encode_frame(Frame::new(image)).unwrap();
    }
    drop(encoder);
    bytes
}

/// A PNG of gray pixels with so many bits each; `frames` above one make it move.
pub(super) fn gray_png(width: u32, bits: png::BitDepth, frames: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, 1);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(bits);
    if frames > 1 {
        encoder.set_animated(frames, 0).unwrap();
    }
    let mut writer = encoder.write_header().unwrap();
    let row = (width as usize * bits as usize).div_ceil(8);
    for _ in 0..frames {
        writer.write_image_data(&vec![0x5a; row]).unwrap();
    }
    writer.finish().unwrap();
    bytes
}

/// A JPEG that says it is to be turned: orientation 1 to 8.
pub(super) fn turned_jpeg(orientation: u8) -> Vec<u8> {
    let jpeg = image_file(ImageFormat::Jpeg, 16, 90);
    let mut exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    let length = (exif.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], b"\xff\xe1", &length, &exif, &jpeg[2..]].concat()
}

/// A JPEG of 8 x 8 pixels in four components, every coefficient of which is nought.
pub(super) fn cmyk_jpeg() -> Vec<u8> {
    let mut bytes = b"\xff\xd8\xff\xdb\0\x43\0".to_vec();
    bytes.extend([1; 64]);
    bytes.extend(b"\xff\xc0\0\x14\x08\0\x08\0\x08\x04");
    for component in 1..=4 {
        bytes.extend([component, 0x11, 0]);
    }
    // One code a table, a single bit long, for the symbol nought.
    for class in [0x00, 0x10] {
        bytes.extend(b"\xff\xc4\0\x14");
        bytes.extend([class, 1]);
        bytes.extend([0; 15]);
        bytes.push(0);
    }
    bytes.extend(b"\xff\xda\0\x0e\x04");
    for component in 1..=4 {
        bytes.extend([component, 0]);
    }
    bytes.extend(b"\0\x3f\0\0\xff\xd9");
    bytes
}

/// A labeled item as a line of our own format; its image is `image`.
pub(super) fn item(id: &str, image: &str, text: &str) -> Value {
    json!({
        "id": id,
        "messages": [
            { "role": "user", "content": [{ "type": "image", "image": image }, { "type": "text", "text": text }] },
            { "role": "assistant", "content": format!("An answer to {text}") },
        ],
    })
}

/// Writes lines of JSON.
pub(super) fn write_lines(path: &Path, rows: &[Value]) {
    let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
    fs_err::write(path, text).unwrap();
}

/// Converts with the format found in the source.
pub(super) fn convert(input: &Path, output: &Path, to: Format) -> Result<ConvertReport, FormatError> {
    convert_from(None, input, output, to)
}

/// Converts from one format to another.
pub(super) fn convert_from(
    from: Option<Format>,
    input: &Path,
    output: &Path,
    to: Format,
) -> Result<ConvertReport, FormatError> {
    let request = ConvertRequest { input, from, output, to, images: None };
    crate::convert(&request, &mut Silent)
}

/// What a file that is to be written is, by its name.
pub(super) fn container_of(path: &Path) -> Container {
    let containers = [Container::JsonLines, Container::JsonList, Container::Csv, Container::Tsv, Container::Parquet];
    let extension = path.extension().unwrap().to_str().unwrap();
    containers.into_iter().find(|container| container.extension() == extension).unwrap()
}

/// The formats that are written.
pub(super) fn written_formats() -> impl Iterator<Item = Format> {
    Format::ALL.iter().copied().filter(|format| format.extensions().next().is_some())
}

/// The name of a file of a format.
pub(super) fn file_of(folder: &Path, name: &str, format: Format) -> PathBuf {
    folder.join(format!("{name}.{}", format.extensions().next().unwrap()))
}

/// A file's records, images as bytes.
pub(super) fn records(path: &Path, format: Format) -> Vec<Record> {
    let folder = path.parent().unwrap();
    let rows: Vec<_> = RecordReader::open(path, Some(format)).unwrap().collect();
    for row in &rows {
        assert!(row.error().is_none(), "{}: {:?}", path.display(), row.problems);
    }
    let mut records: Vec<Record> = rows.into_iter().flat_map(|row| row.records).collect();
    for record in &mut records {
        record.resolve(folder);
        let images = record.images.iter().map(as_bytes).collect();
        *record = record.with_images(images);
    }
    records
}

fn as_bytes(image: &Image) -> Image {
    let bytes = match image {
        Image::Bytes { bytes, .. } => bytes.clone(),
        Image::File(path) => image_files::read(path).unwrap().into(),
        Image::Remote(_) => return image.clone(),
    };
    Image::Bytes { bytes, name: None }
}
