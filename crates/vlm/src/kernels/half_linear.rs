//! A linear layer whose weight is held in two bytes a number, f16 or bf16. It computes in f32 and converts the weight
//! block by block as it goes, so that no f32 copy of it is ever held.
//!
//! What is multiplied and added is what the same layer of f32 weights would multiply and add; gradients are f32.

use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, ops::FloatTensorOps};
use burn::tensor::{DType, Tensor, bf16, f16};
use half::slice::HalfFloatSliceExt;
use rayon::prelude::*;

use super::autodiff::{Input, record, tensor, values, values_mut};
use super::matrix::{add_to_rows, sum_of_rows, transposed};
use super::numeric::add;

/// Numbers of a weight that are f32 at a time: half a megabyte, which stays in a core's cache.
const BLOCK_VALUES: usize = 1 << 17;
/// Blocks that are computed in parallel before their results are copied to the output; bounds what waits for that.
const BLOCKS_AT_ONCE: usize = 32;

/// `x · weightᵀ + bias`. Shapes: `x` `[n, d_in]` f32, `weight` `[d_out, d_in]` of two bytes, `bias` `[d_out]` f32 →
/// `[n, d_out]`.
pub(super) fn half_linear(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    let (x, weight) = (Input::new(x), Input::new(weight));
    let bias = bias.map(Input::new);
    let mut output = product(&x.value, &weight.value);
    if let Some(bias) = &bias {
        add_to_rows(&mut output, values(&bias.value));
    }
    let bias_node = bias.and_then(|bias| bias.node);
    record([x.node, weight.node, bias_node], output, move |output, [of_x, of_weight, of_bias]| {
        [
            of_x.then(|| product_with_rows(&output, &weight.value)),
            of_weight.then(|| Flex::float_matmul(transposed(&output), x.value)),
            of_bias.then(|| sum_of_rows(&output)),
        ]
    })
}

// `x · weightᵀ`.
fn product(x: &FlexTensor, weight: &FlexTensor) -> FlexTensor {
    let [n, d_in]: [usize; 2] = x.layout().shape().dims();
    let [d_out, _]: [usize; 2] = weight.layout().shape().dims();
    let width = block_rows(d_in);
    let mut output = vec![0.0; n * d_out];
    let starts: Vec<usize> = (0..d_out).step_by(width).collect();
    for wave in starts.chunks(BLOCKS_AT_ONCE) {
        let blocks: Vec<FlexTensor> = wave
            .par_iter()
            .map(|&start| {
                let weight = widened_rows(weight, start, width.min(d_out - start), d_in);
                Flex::float_matmul(x.clone(), transposed(&weight)) // [n, block]
            })
            .collect();
        output.par_chunks_mut(d_out).enumerate().for_each(|(row, output)| {
            let mut rest = &mut output[wave[0]..];
            for block in &blocks {
                let width = values(block).len() / n;
                let (here, after) = rest.split_at_mut(width);
                here.copy_from_slice(&values(block)[row * width..][..width]);
                rest = after;
            }
        });
    }
    tensor(output, [n, d_out])
}

// `output · weight`, summed over blocks of the weight's rows in their order.
fn product_with_rows(output: &FlexTensor, weight: &FlexTensor) -> FlexTensor {
    let [n, _]: [usize; 2] = output.layout().shape().dims();
    let [d_out, d_in]: [usize; 2] = weight.layout().shape().dims();
    let width = block_rows(d_in) * BLOCKS_AT_ONCE;
    let mut total = tensor(vec![0.0; n * d_in], [n, d_in]);
    for start in (0..d_out).step_by(width) {
        let width = width.min(d_out - start);
        let weight = widened_rows(weight, start, width, d_in);
        let part = Flex::float_matmul(output.narrow(1, start, width), weight);
        add(values_mut(&mut total), values(&part));
    }
    total
}

fn block_rows(d_in: usize) -> usize {
    (BLOCK_VALUES / d_in.max(1)).max(1)
}

// Rows of a weight as f32, `[count, d_in]`.
fn widened_rows(weight: &FlexTensor, start: usize, count: usize, d_in: usize) -> FlexTensor {
    let mut rows = vec![0.0; count * d_in];
    let parts = rows.par_chunks_mut(BLOCK_VALUES).enumerate();
    parts.for_each(|(index, part)| widen(weight, start * d_in + index * BLOCK_VALUES, part));
    tensor(rows, [count, d_in])
}

// The numbers of a contiguous weight from `start` on, as many as `into` takes.
pub(super) fn widen(weight: &FlexTensor, start: usize, into: &mut [f32]) {
    if weight.dtype() == DType::BF16 {
        let numbers = &weight.as_slice::<bf16>().unwrap_or_default()[start..];
        for (into, number) in into.iter_mut().zip(numbers) {
            // A bf16 number is the upper half of an f32.
            *into = f32::from_bits(u32::from(number.to_bits()) << 16);
        }
    } else {
        let numbers = &weight.as_slice::<f16>().unwrap_or_default()[start..][..into.len()];
        numbers.convert_to_f32_slice(into);
    }
}

#[cfg(test)]
mod tests;
