//! Finished pixels, and their PNG.

use tiny_skia::Pixmap;

/// The keyword of a title in a PNG file (PNG specification, 11.3.4.2).
pub const TITLE: &str = "Title";

/// An opaque image of 8-bit RGB pixels.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RgbImage {
    /// Columns, in pixels.
    pub width: u32,
    /// Rows, in pixels.
    pub height: u32,
    /// Red, green and blue of each pixel, row by row from the top: `width * height * 3` bytes.
    pub pixels: Vec<u8>,
}

impl RgbImage {
    /// The image as a PNG file (8-bit RGB).
    ///
    /// # Panics
    /// If `pixels` is not `width * height * 3` bytes, or a side is zero.
    pub fn png(&self) -> Vec<u8> {
        self.png_with_title(None)
    }

    /// The same, where wanted with a title in it (Latin-1 letters), which no model sees.
    ///
    /// # Panics
    /// As [`Self::png`], and if the title holds other letters.
    pub fn png_with_title(&self, title: Option<&str>) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, self.width, self.height);
        encoder.set_color(png::ColorType::Rgb);
        // Worlds are generated far more often than they are kept.
        encoder.set_compression(png::Compression::Fast);
        let titled = title.map_or(Ok(()), |title| encoder.add_text_chunk(TITLE.to_owned(), title.to_owned()));
        let written =
            titled.and_then(|()| encoder.write_header()).and_then(|mut writer| writer.write_image_data(&self.pixels));
        written.expect("an image holds three bytes a pixel, and writing to memory does not fail");
        file
    }

    /// Drops the alpha of an opaque pixmap.
    pub(super) fn from_opaque(pixmap: &Pixmap) -> Self {
        let pixels = pixmap.data().chunks_exact(4).flat_map(|rgba| [rgba[0], rgba[1], rgba[2]]).collect();
        Self { width: pixmap.width(), height: pixmap.height(), pixels }
    }
}

/// A black image of `size` x `size` pixels (at least one): what a blank-image twin shows.
pub fn black(size: u32) -> RgbImage {
    let size = size.max(1);
    RgbImage { width: size, height: size, pixels: vec![0; (size * size * 3) as usize] }
}
