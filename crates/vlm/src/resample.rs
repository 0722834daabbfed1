//! Pillow's bicubic resize of 8-bit RGB images, bit for bit.
//!
//! A vision tower's input depends on the resize: other bicubic filters (another `a`, no antialiasing, floating-point
//! sums) give other pixels and shift its embeddings. So this follows Pillow's `Resample.c`: the kernel widened by the
//! scale when shrinking, its weights rounded to 22 fractional bits, two passes with a rounding to 8 bits between them.
//! Integer sums do not depend on their order, so each pass may add up in the order that suits the machine.

/// Channels of a pixel.
pub const CHANNELS: usize = 3;

/// Fractional bits of a weight: 32 less 8 for the pixel and 2 of headroom (`PRECISION_BITS` of `Resample.c`).
const PRECISION_BITS: u32 = 32 - 8 - 2;

/// Radius of the bicubic kernel, in pixels of the coarser grid.
const BICUBIC_SUPPORT: f64 = 2.0;

/// An image of red, green and blue bytes, row by row from the top left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RgbImage {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl RgbImage {
    /// An image from its bytes; `None` unless there are `width * height * 3` of them and neither side is zero.
    pub fn new(width: usize, height: usize, pixels: Vec<u8>) -> Option<Self> {
        let expected = width.checked_mul(height)?.checked_mul(CHANNELS)?;
        (expected > 0 && pixels.len() == expected).then_some(Self { width, height, pixels })
    }

    /// Pixels from left to right.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Pixels from top to bottom.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The bytes, `[height, width, 3]`.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The part of the image whose upper left corner is at (`left`, `top`).
    ///
    /// Panics where it would reach beyond the image.
    #[must_use]
    pub(crate) fn crop(&self, left: usize, top: usize, width: usize, height: usize) -> Self {
        let rows = (top..top + height).flat_map(|y| {
            let start = (y * self.width + left) * CHANNELS;
            &self.pixels[start..start + width * CHANNELS]
        });
        Self { width, height, pixels: rows.copied().collect() }
    }

    /// The image at another size, equal to `Image.resize((width, height), BICUBIC)` of Pillow 13.
    ///
    /// Which pass comes first shows in the last bit, because of the rounding between them: Pillow 13 takes the columns
    /// first where the height shrinks by more than twice as many pixels as the width (python-pillow/Pillow #9549);
    /// earlier versions always took the rows first and may differ by one gray level there.
    ///
    /// Both sides must be at least one pixel; a zero is taken as one.
    #[must_use]
    pub fn resize_bicubic(&self, width: usize, height: usize) -> Self {
        let (width, height) = (width.max(1), height.max(1));
        let rows_lost = self.height.saturating_sub(height);
        let columns_lost = self.width.saturating_sub(width);
        if rows_lost > 2 * columns_lost {
            self.with_height(height).with_width(width)
        } else {
            self.with_width(width).with_height(height)
        }
    }

    /// The pass along rows: one along columns of the transposed image, which runs over whole rows at a time.
    fn with_width(&self, width: usize) -> Self {
        if width == self.width { self.clone() } else { self.transposed().with_height(width).transposed() }
    }

    /// Rows become columns.
    fn transposed(&self) -> Self {
        let mut pixels = vec![0; self.pixels.len()];
        for (y, row) in self.pixels.chunks_exact(self.width * CHANNELS).enumerate() {
            for (x, pixel) in row.chunks_exact(CHANNELS).enumerate() {
                let start = (x * self.height + y) * CHANNELS;
                pixels[start..start + CHANNELS].copy_from_slice(pixel);
            }
        }
        Self { width: self.height, height: self.width, pixels }
    }

    /// The pass along columns: every output row is a weighted sum of input rows.
    fn with_height(&self, height: usize) -> Self {
        if height == self.height {
            return self.clone();
        }
        let row_length = self.width * CHANNELS;
        let mut pixels = Vec::with_capacity(height * row_length);
        let mut sums = vec![0i32; row_length];
        for kernel in kernels(self.height, height) {
            sums.fill(1 << (PRECISION_BITS - 1));
            let rows = self.pixels[kernel.first * row_length..].chunks_exact(row_length);
            for (&weight, row) in kernel.weights.iter().zip(rows) {
                for (sum, &byte) in sums.iter_mut().zip(row) {
                    *sum += i32::from(byte) * weight;
                }
            }
            pixels.extend(sums.iter().map(|sum| (sum >> PRECISION_BITS).clamp(0, 255) as u8));
        }
        Self { width: self.width, height, pixels }
    }
}

/// The input samples one output sample is made of.
struct Kernel {
    /// Index of the first one.
    first: usize,
    /// Their weights, scaled by `2^PRECISION_BITS`; they add up to about one.
    weights: Vec<i32>,
}

/// One kernel for each output sample (`precompute_coeffs` and `normalize_coeffs_8bpc` of `Resample.c`).
fn kernels(input_size: usize, output_size: usize) -> impl Iterator<Item = Kernel> {
    let scale = input_size as f64 / output_size as f64;
    let filter_scale = scale.max(1.0);
    let support = BICUBIC_SUPPORT * filter_scale;
    (0..output_size).map(move |index| {
        let center = (index as f64 + 0.5) * scale;
        // The casts truncate towards zero and saturate at zero, as the C code does by cast and comparison.
        let first = (center - support + 0.5) as usize;
        let end = ((center + support + 0.5) as usize).min(input_size);
        let weights: Vec<f64> =
            (first..end).map(|sample| bicubic((sample as f64 - center + 0.5) * (1.0 / filter_scale))).collect();
        let total: f64 = weights.iter().sum();
        Kernel { first, weights: weights.iter().map(|weight| fixed_point(weight / total)).collect() }
    })
}

/// The cubic convolution kernel with `a = -0.5` (Keys, 1981).
fn bicubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

/// A weight as an integer of `PRECISION_BITS` fractional bits, halves away from zero.
fn fixed_point(weight: f64) -> i32 {
    let scaled = weight * f64::from(1 << PRECISION_BITS);
    (if weight < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gradient(width: usize, height: usize) -> RgbImage {
        let pixels = (0..width * height * CHANNELS).map(|index| (index * 37 % 251) as u8).collect();
        RgbImage::new(width, height, pixels).unwrap()
    }

    #[test]
    fn a_size_that_does_not_fit_the_bytes_is_refused() {
        assert_eq!(RgbImage::new(2, 2, vec![0; 11]), None);
        assert_eq!(RgbImage::new(0, 2, vec![]), None);
        assert_eq!(RgbImage::new(usize::MAX, 2, vec![0; 6]), None);
    }

    #[test]
    fn the_same_size_changes_nothing() {
        let image = gradient(7, 5);
        assert_eq!(image.resize_bicubic(7, 5), image);
    }

    #[test]
    fn an_even_color_stays_even_at_every_size() {
        let image = RgbImage::new(13, 9, [200, 3, 255].repeat(13 * 9)).unwrap();
        for (width, height) in [(1, 1), (5, 31), (40, 2), (13, 10)] {
            let resized = image.resize_bicubic(width, height);
            assert!(resized.pixels().chunks(3).all(|pixel| pixel == [200, 3, 255]), "{width} x {height}");
        }
    }

    #[test]
    fn bytes_are_those_of_pillow() {
        // Image.frombytes("RGB", (width, height), bytes(i * 37 % 251 for i in range(width * height * 3)))
        //     .resize(size, Image.BICUBIC).tobytes(), Pillow 13.0.0. Rows first, then twice columns first.
        #[rustfmt::skip]
        let expected = [
            ([4, 3], [2, 5], vec![
                70, 74, 120, 158, 71, 108, 92, 114, 106, 125, 94, 135, 132, 169, 90, 85, 122, 169, 165, 135, 126, 139, 86, 127,
                183, 107, 152, 180, 60, 96,
            ]),
            ([3, 4], [4, 2], vec![
                43, 90, 133, 105, 152, 109, 143, 140, 96, 134, 59, 102, 204, 120, 159, 118, 119, 135, 101, 106, 122, 164, 90, 128,
            ]),
            ([5, 8], [4, 3], vec![
                75, 100, 142, 135, 96, 139, 121, 122, 121, 167, 124, 83, 130, 160, 132, 111, 112, 114, 151, 119, 95, 129, 145,
                148, 99, 121, 122, 154, 113, 83, 130, 145, 135, 97, 139, 105,
            ]),
        ];
        for ([width, height], [new_width, new_height], bytes) in expected {
            assert_eq!(
                gradient(width, height).resize_bicubic(new_width, new_height).pixels(),
                bytes,
                "{width} x {height}"
            );
        }
    }

    #[test]
    fn weights_add_up_to_one_and_stay_inside() {
        for (input, output) in [(1, 7), (7, 1), (97, 84), (84, 97), (1000, 28)] {
            for kernel in kernels(input, output) {
                let total: i32 = kernel.weights.iter().sum();
                assert!((total - (1 << PRECISION_BITS)).abs() <= kernel.weights.len() as i32);
                assert!(kernel.first + kernel.weights.len() <= input);
            }
        }
    }
}
