//! Layers whose weight is held in two bytes a number, f16 or bf16: a linear layer and an embedding. They compute in f32
//! and convert the weight block by block as they go, so that no f32 copy of it ever stands in memory.
//!
//! What is multiplied and added is what the same layer of f32 weights would multiply and add; gradients are f32.

use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, ops::FloatTensorOps};
use burn::tensor::{DType, Int, Tensor, bf16, f16};
use half::slice::HalfFloatSliceExt;
use rayon::prelude::*;

use super::autodiff::{FusedGradient, Input, record, tensor, values, values_mut};
use super::linear::{add_to_rows, sum_of_rows, transposed};

/// Numbers of a weight that are f32 at a time: half a megabyte, which stays in a core's cache.
const BLOCK_VALUES: usize = 1 << 17;
/// Blocks that are computed side by side before their results are put together; bounds what waits for that.
const BLOCKS_AT_ONCE: usize = 32;

/// `x · weightᵀ + bias`. Shapes: `x` `[n, d_in]` f32, `weight` `[d_out, d_in]` of two bytes, `bias` `[d_out]` f32 →
/// `[n, d_out]`.
pub(crate) fn half_linear(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    let (x, weight) = (Input::new(x), Input::new(weight));
    let bias = bias.map(Input::new);
    let mut output = product(&x.value, &weight.value);
    if let Some(bias) = &bias {
        add_to_rows(&mut output, values(&bias.value));
    }
    let bias_node = bias.and_then(|bias| bias.node);
    let kept = || LinearGradient {
        x: x.value,
        weight: weight.value,
    };
    record([x.node, weight.node, bias_node], output, kept)
}

/// The rows of `weight` that `ids` name. Shapes: `[v, d]` of two bytes, `[n]` → `[n, d]` f32.
pub(crate) fn half_embedding(weight: Tensor<2>, ids: Tensor<1, Int>) -> Tensor<2> {
    let [vocab_size, d] = weight.dims();
    let rows: Vec<usize> = ids.into_data().iter::<i64>().map(|id| id as usize).collect();
    let weight = Input::new(weight);
    let mut output = vec![0.0; rows.len() * d];
    for (row, output) in rows.iter().zip(output.chunks_mut(d)) {
        widen(&weight.value, row * d, output);
    }
    let output = tensor(output, [rows.len(), d]);
    record([weight.node], output, || EmbeddingGradient { rows, vocab_size })
}

// `x · weightᵀ`.
fn product(x: &FlexTensor, weight: &FlexTensor) -> FlexTensor {
    let [n, d_in]: [usize; 2] = x.layout().shape().dims();
    let [d_out, _]: [usize; 2] = weight.layout().shape().dims();
    let width = block_rows(d_in);
    let mut output = vec![0.0; n * d_out];
    let starts: Vec<usize> = (0..d_out).step_by(width).collect();
    for wave in starts.chunks(BLOCKS_AT_ONCE) {
        let block = |&start: &usize| {
            let weight = widened_rows(weight, start, width.min(d_out - start), d_in);
            Flex::float_matmul(x.clone(), transposed(&weight)) // [n, block]
        };
        let blocks: Vec<FlexTensor> = wave.par_iter().map(block).collect();
        let put_together = |(row, output): (usize, &mut [f32])| {
            let mut rest = &mut output[wave[0]..];
            for block in &blocks {
                let width = values(block).len() / n;
                let (here, after) = rest.split_at_mut(width);
                here.copy_from_slice(&values(block)[row * width..][..width]);
                rest = after;
            }
        };
        output.par_chunks_mut(d_out).enumerate().for_each(put_together);
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
        let sum = |(total, part): (&mut f32, &f32)| *total += part;
        values_mut(&mut total).iter_mut().zip(values(&part)).for_each(sum);
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

// The numbers of a contiguous weight from `start` on, as many as there is room for.
fn widen(weight: &FlexTensor, start: usize, into: &mut [f32]) {
    if weight.dtype() == DType::BF16 {
        let numbers = &weight.as_slice::<bf16>().unwrap_or_default()[start..];
        // A bf16 number is the upper half of an f32.
        let wide = |number: &bf16| f32::from_bits(u32::from(number.to_bits()) << 16);
        into.iter_mut()
            .zip(numbers)
            .for_each(|(into, number)| *into = wide(number));
    } else {
        let numbers = &weight.as_slice::<f16>().unwrap_or_default()[start..][..into.len()];
        numbers.convert_to_f32_slice(into);
    }
}

#[derive(Clone, Debug)]
struct LinearGradient {
    x: FlexTensor,
    weight: FlexTensor,
}

impl FusedGradient<3> for LinearGradient {
    fn inputs_from_output(self, output: FlexTensor, [x, weight, bias]: [bool; 3]) -> [Option<FlexTensor>; 3] {
        let [_, d_out]: [usize; 2] = output.layout().shape().dims();
        [
            x.then(|| product_with_rows(&output, &self.weight)),
            weight.then(|| Flex::float_matmul(transposed(&output), self.x)),
            bias.then(|| tensor(sum_of_rows(values(&output), d_out), [d_out])),
        ]
    }
}

#[derive(Clone, Debug)]
struct EmbeddingGradient {
    rows: Vec<usize>,
    vocab_size: usize,
}

impl FusedGradient<1> for EmbeddingGradient {
    fn inputs_from_output(self, output: FlexTensor, _wanted: [bool; 1]) -> [Option<FlexTensor>; 1] {
        let [_, d]: [usize; 2] = output.layout().shape().dims();
        let mut gradient = vec![0.0; self.vocab_size * d];
        for (row, output) in self.rows.iter().zip(values(&output).chunks(d)) {
            let sums = &mut gradient[row * d..][..d];
            sums.iter_mut().zip(output).for_each(|(sum, value)| *sum += value);
        }
        [Some(tensor(gradient, [self.vocab_size, d]))]
    }
}

#[cfg(test)]
mod tests;
