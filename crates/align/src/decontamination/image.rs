//! An image's hash: which parts are brighter than which, on a grid too coarse for size, encoding and small changes to
//! matter.

/// Width and height of the grid that an image is averaged to first; both 8 and 9 divide it.
const FINE: usize = 72;
/// A cell counts as brighter than the next one from this many gray levels on. Otherwise flat areas, in which noise
/// decides, would change with every encoding.
const MARGIN: f64 = 2.0;
/// An image whose darkest and brightest cell are no further apart than this many gray levels is blank.
const BLANK_RANGE: f64 = 8.0;

/// An image's brightness, row by row, 0 (black) to 255.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrayImage {
    width: usize,
    pub(super) pixels: Vec<u8>,
}

impl GrayImage {
    /// An image of `width` pixels per row; none where the rows are not whole or there are none.
    pub fn new(width: usize, pixels: Vec<u8>) -> Option<Self> {
        let is_whole = width > 0 && !pixels.is_empty() && pixels.len().is_multiple_of(width);
        is_whole.then_some(Self { width, pixels })
    }

    /// The image from bytes of red, green and blue, by the luma of ITU-R BT.601; none as for [`Self::new`].
    pub fn from_rgb(width: usize, bytes: &[u8]) -> Option<Self> {
        let mut luma = Vec::with_capacity(bytes.len() / 3);
        for pixel in bytes.chunks_exact(3) {
            let [red, green, blue] = [0, 1, 2].map(|channel| u32::from(pixel[channel]));
            luma.push(((299 * red + 587 * green + 114 * blue + 500) / 1000) as u8);
        }
        Self::new(width, luma)
    }

    /// The mean brightness of each cell of a grid of [`FINE`] by [`FINE`].
    fn averaged(&self) -> Vec<f64> {
        let height = self.pixels.len() / self.width;
        let columns = cells(self.width);
        let rows = cells(height);
        let mut grid = vec![0.0; FINE * FINE];
        let mut row_means = vec![0.0; FINE];
        for (down, (rows_of_cell, height_of_cell)) in rows.iter().enumerate() {
            for (row, row_weight) in rows_of_cell {
                let pixels = &self.pixels[row * self.width..(row + 1) * self.width];
                for (mean, (columns_of_cell, width_of_cell)) in row_means.iter_mut().zip(&columns) {
                    let weighted = columns_of_cell.iter().map(|(column, weight)| f64::from(pixels[*column]) * weight);
                    *mean = weighted.sum::<f64>() / width_of_cell;
                }
                for (cell, mean) in grid[down * FINE..].iter_mut().zip(&row_means) {
                    *cell += mean * row_weight / height_of_cell;
                }
            }
        }
        grid
    }
}

/// The pixels under a cell of the grid, each with the share of it that is; and the sum of these.
type Cell = (Vec<(usize, f64)>, f64);

/// The pixels of a side of `length` under each of its [`FINE`] cells.
fn cells(length: usize) -> Vec<Cell> {
    let mut cells = Vec::with_capacity(FINE);
    for index in 0..FINE {
        let [start, end] = [index, index + 1].map(|edge| edge as f64 * length as f64 / FINE as f64);
        let mut pixels = Vec::new();
        for pixel in start as usize..(end.ceil() as usize).min(length) {
            pixels.push((pixel, (end.min(pixel as f64 + 1.0) - start.max(pixel as f64)).max(0.0)));
        }
        cells.push((pixels, end - start));
    }
    cells
}

/// 64 comparisons of neighbors across a grid of 9 by 8 cells and 64 down one of 8 by 9 (dHash both ways).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageHash(pub u128);

impl ImageHash {
    /// Bits of a hash.
    pub const BITS: u32 = 128;

    /// The hash of an image; none for a blank one, in which nothing is brighter than anything else.
    pub fn of(image: &GrayImage) -> Option<Self> {
        let fine = image.averaged();
        let across = coarse(&fine, 9, 8);
        let down = coarse(&fine, 8, 9);
        let darkest = across.iter().copied().fold(f64::INFINITY, f64::min);
        let brightest = across.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if brightest - darkest <= BLANK_RANGE {
            return None;
        }
        let mut bits = 0;
        for (row, column) in (0..8).flat_map(|row| (0..8).map(move |column| (row, column))) {
            for [one, next] in [
                [across[row * 9 + column], across[row * 9 + column + 1]],
                [down[row * 8 + column], down[(row + 1) * 8 + column]],
            ] {
                bits = bits << 1 | u128::from(one > next + MARGIN);
            }
        }
        Some(Self(bits))
    }

    /// In how many bits two hashes differ (Hamming distance).
    pub fn distance(self, other: Self) -> u32 {
        (self.0 ^ other.0).count_ones()
    }
}

/// The fine grid averaged to this many cells across and down, row by row.
fn coarse(fine: &[f64], across: usize, down: usize) -> Vec<f64> {
    let (width, height) = (FINE / across, FINE / down);
    let mut means = Vec::with_capacity(across * down);
    for (row, column) in (0..down).flat_map(|row| (0..across).map(move |column| (row, column))) {
        let rows = (row * height..(row + 1) * height).flat_map(|row| &fine[row * FINE..][column * width..][..width]);
        means.push(rows.sum::<f64>() / (width * height) as f64);
    }
    means
}
