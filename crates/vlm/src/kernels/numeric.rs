//! Arithmetic on slices, written so that the compiler turns it into vector instructions.

/// Rows that one task works through: few enough to share out, many enough to be worth a task.
pub(super) const BLOCK_ROWS: usize = 64;

const LANES: usize = 8;

/// Σ aᵢ bᵢ, in eight interleaved sums.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    fold(a, b, |sum, a, b| sum + a * b, 0.0).iter().sum()
}

/// Σ aᵢ bᵢ cᵢ, likewise.
pub(super) fn dot3(a: &[f32], b: &[f32], c: &[f32]) -> f32 {
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    let (c_blocks, c_rest) = c.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for ((a, b), c) in a_blocks.iter().zip(b_blocks).zip(c_blocks) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane] * c[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).zip(c_rest).map(|((a, b), c)| a * b * c).sum();
    sums.iter().sum::<f32>() + rest
}

/// The largest of the values.
pub(super) fn maximum(values: &[f32]) -> f32 {
    let lanes = fold(values, values, |largest, value, _| if value > largest { value } else { largest }, f32::MIN);
    lanes.into_iter().fold(f32::MIN, f32::max)
}

fn fold(a: &[f32], b: &[f32], step: impl Fn(f32, f32, f32) -> f32, start: f32) -> [f32; LANES] {
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    let mut lanes = [start; LANES];
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..LANES {
            lanes[lane] = step(lanes[lane], a[lane], b[lane]);
        }
    }
    for ((lane, a), b) in lanes.iter_mut().zip(a_rest).zip(b_rest) {
        *lane = step(*lane, *a, *b);
    }
    lanes
}

/// Replaces each value by exp(value - shift) and returns the sum.
pub(super) fn exp_in_place(values: &mut [f32], shift: f32) -> f32 {
    let (blocks, rest) = values.as_chunks_mut::<LANES>();
    let mut sums = [0.0; LANES];
    for block in blocks {
        for lane in 0..LANES {
            block[lane] = exp(block[lane] - shift);
            sums[lane] += block[lane];
        }
    }
    let mut sum = sums.iter().sum();
    for value in rest {
        *value = exp(*value - shift);
        sum += *value;
    }
    sum
}

/// e to the power of `x`, to within two units in the last place; 0 below -87, and e⁸⁸ above 88.
///
/// The usual reduction to 2ⁿ · eʳ with |r| ≤ ln 2 / 2 and a polynomial for eʳ (Cephes' `expf`), free of branches and
/// calls, which the standard library's is not.
#[inline]
pub(super) fn exp(x: f32) -> f32 {
    // Adding this number rounds to an integer, which is then in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let clamped = x.clamp(-87.0, 88.0);
    let rounded = clamped * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = clamped - n * LN2_HIGH - n * LN2_LOW;
    let tail = 1.987_569_1e-4 * r + 1.398_199_9e-3;
    let tail = ((tail * r + 8.333_452e-3) * r + 4.166_579_6e-2) * r + 1.666_666_5e-1;
    let mantissa = (tail * r + 0.5) * (r * r) + r + 1.0;
    let power = f32::from_bits(rounded.to_bits().wrapping_add(127) << 23);
    if x < -87.0 { 0.0 } else { mantissa * power }
}

/// Adds up the partial sums of blocks, each `width` long, in order.
pub(super) fn sum_blocks(partial: &[f32], width: usize) -> Vec<f32> {
    let mut total = vec![0.0; width];
    partial.chunks(width).for_each(|block| add(&mut total, block));
    total
}

/// Adds to each sum its part.
pub(super) fn add(sums: &mut [f32], parts: &[f32]) {
    sums.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_right_to_two_units_in_the_last_place() {
        for step in -8700..=8800 {
            let x = step as f32 / 100.0;
            let (got, expected) = (f64::from(exp(x)), f64::from(x).exp());
            assert!((got / expected - 1.0).abs() < 2.4e-7, "exp({x}) = {got}, expected {expected}");
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
    }

    #[test]
    fn sums_and_maxima_take_in_the_rest_after_the_last_block() {
        let a: Vec<f32> = (0..19).map(|i| i as f32).collect();
        assert_eq!(dot(&a, &a), 2109.0);
        assert_eq!(dot3(&a, &a, &[1.0; 19]), 2109.0);
        assert_eq!(maximum(&a), 18.0);
        let mut values = [0.0; 19];
        assert_eq!(exp_in_place(&mut values, 0.0), 19.0);
    }
}
