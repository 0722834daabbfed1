//! Root-mean-square norm in one pass.

use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;
use rayon::prelude::*;

use super::autodiff::{Input, record, supported, tensor, values};
use super::numeric::{BLOCK_ROWS, dot, dot3, sum_blocks};

/// `weight · x / sqrt(mean(x²) + epsilon)` over the last dimension, that of [`crate::norm::NormKind::Rms`].
pub(crate) fn rms_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, epsilon: f64) -> Tensor<D> {
    if supported(&x) { fused(x, weight, epsilon) } else { composed(x, weight, epsilon) }
}

pub(super) fn composed<const D: usize>(x: Tensor<D>, weight: Tensor<1>, epsilon: f64) -> Tensor<D> {
    let scale = (x.clone().square().mean_dim(D - 1) + epsilon).sqrt().recip();
    x * scale * weight.unsqueeze()
}

fn fused<const D: usize>(x: Tensor<D>, weight: Tensor<1>, epsilon: f64) -> Tensor<D> {
    let shape = x.shape();
    let (x, weight) = (Input::new(x), Input::new(weight));
    let (output, scales) = forward(values(&x.value), values(&weight.value), epsilon as f32);
    record([x.node, weight.node], tensor(output, shape), move |output, wanted| {
        gradients(&x.value, values(&weight.value), &scales, values(&output), wanted)
    })
}

// Returns the output and, for each row, 1 / sqrt(mean(x²) + epsilon).
fn forward(x: &[f32], weight: &[f32], epsilon: f32) -> (Vec<f32>, Vec<f32>) {
    let d = weight.len();
    let mut output = vec![0.0; x.len()];
    let mut scales = vec![0.0; x.len() / d];
    for_blocks((&mut output, d), (&mut scales, BLOCK_ROWS), |first_row, output, scales| {
        let x = x[first_row * d..].chunks(d);
        for ((x, output), scale) in x.zip(output.chunks_mut(d)).zip(scales) {
            *scale = 1.0 / (dot(x, x) / d as f32 + epsilon).sqrt();
            for ((output, x), weight) in output.iter_mut().zip(x).zip(weight) {
                *output = x * *scale * weight;
            }
        }
    });
    (output, scales)
}

fn gradients(
    input: &FlexTensor,
    weight: &[f32],
    scales: &[f32],
    output: &[f32],
    wanted: [bool; 2],
) -> [Option<FlexTensor>; 2] {
    let (x, d) = (values(input), weight.len());
    let mut x_gradient = vec![0.0; x.len()];
    let mut weight_parts = vec![0.0; scales.len().div_ceil(BLOCK_ROWS) * d];
    // One row of partial sums for each block of rows.
    for_blocks((&mut x_gradient, d), (&mut weight_parts, d), |first_row, x_gradient, weight_part| {
        let rows = x[first_row * d..].chunks(d).zip(output[first_row * d..].chunks(d));
        let rows = rows.zip(&scales[first_row..]).zip(x_gradient.chunks_mut(d));
        for (((x, output), scale), x_gradient) in rows {
            // d(x·s)/dx = s - x·x·s³/d, applied to the output's gradient times the weight.
            let shrink = scale * scale * scale / d as f32 * dot3(output, weight, x);
            for index in 0..d {
                x_gradient[index] = output[index] * weight[index] * scale - x[index] * shrink;
                weight_part[index] += output[index] * x[index] * scale;
            }
        }
    });
    let weight_gradient = wanted[1].then(|| tensor(sum_blocks(&weight_parts, d), [d]));
    [wanted[0].then(|| tensor(x_gradient, input.layout().shape().clone())), weight_gradient]
}

// Runs `work` in parallel on blocks of rows, with the part of `beside` that belongs to each block.
fn for_blocks(
    (rows, width): (&mut [f32], usize),
    (beside, part): (&mut [f32], usize),
    work: impl Fn(usize, &mut [f32], &mut [f32]) + Sync + Send,
) {
    let blocks = rows.par_chunks_mut(BLOCK_ROWS * width).zip(beside.par_chunks_mut(part));
    blocks.enumerate().for_each(|(block, (rows, beside))| work(block * BLOCK_ROWS, rows, beside));
}
