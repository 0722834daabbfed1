//! Writes one PNG with every object of the miniature world in both styles, to look at: upright portraits first, then
//! one random scene each.
//!
//! `cargo run -p mini --example contact_sheet -- [FILE.png] [PIXELS PER PICTURE]`

use mini::pictogram::{Color, ObjectKind, RgbImage, Style, black, portrait, render, scene};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Images in a row of the sheet.
const COLUMNS: usize = 12;

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap_or_else(|| "contact_sheet.png".into());
    let size = arguments.next().and_then(|pixels| pixels.parse().ok()).unwrap_or(84);
    fs_err::write(&path, sheet(&images(size), size).png())
}

/// Every object four times: a portrait and a scene in each style, in changing colors, numbers and with a sign on every
/// third scene.
fn images(size: u32) -> Vec<RgbImage> {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut images = Vec::new();
    for (index, &object) in ObjectKind::ALL.iter().enumerate() {
        let color = Color::ALL[index % Color::ALL.len()];
        for style in [Style::Plain, Style::Sketch] {
            let random = scene(&mut rng, object, 1 + index % 4, color, style, index % 3 == 0);
            images.push(render(&portrait(object, color, style), size));
            images.push(render(&random, size));
        }
    }
    images
}

/// Lays images of one size out in rows.
fn sheet(images: &[RgbImage], size: u32) -> RgbImage {
    let (size, rows) = (size as usize, images.len().div_ceil(COLUMNS));
    let mut sheet = black(0);
    sheet.width = (COLUMNS * size) as u32;
    sheet.height = (rows * size) as u32;
    sheet.pixels = vec![u8::MAX; rows * size * COLUMNS * size * 3];
    for (index, image) in images.iter().enumerate() {
        let corner = (index / COLUMNS * size * COLUMNS + index % COLUMNS) * size * 3;
        for (row, line) in image.pixels.chunks_exact(size * 3).enumerate() {
            let start = corner + row * COLUMNS * size * 3;
            sheet.pixels[start..start + line.len()].copy_from_slice(line);
        }
    }
    sheet
}
