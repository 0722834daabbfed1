//! A linear layer as one operation: the bias is added where the product stands, and the weight's gradient comes out in
//! the weight's own layout.

use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, ops::FloatTensorOps};
use burn::tensor::Tensor;
use rayon::prelude::*;

use super::autodiff::{FusedGradient, Input, record, tensor, values, values_mut};
use super::numeric::{BLOCK_ROWS, sum_blocks};

/// `x · weightᵀ + bias`. Shapes: `x` `[n, d_in]`, `weight` `[d_out, d_in]`, `bias` `[d_out]` → `[n, d_out]`.
pub(crate) fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    // The matrix product reads the weight in whichever layout it lies.
    let (x, weight) = (Input::new(x), Input::as_it_lies(weight));
    let mut output = Flex::float_matmul(x.value.clone(), transposed(&weight.value));
    let kept = || Gradient {
        x: x.value,
        weight: weight.value,
    };
    let Some(bias) = bias else {
        return record([x.node, weight.node], output, kept);
    };
    let bias = Input::new(bias);
    add_to_rows(&mut output, values(&bias.value));
    record([x.node, weight.node, bias.node], output, kept)
}

pub(super) fn transposed(matrix: &FlexTensor) -> FlexTensor {
    matrix.transpose(0, 1)
}

pub(super) fn add_to_rows(output: &mut FlexTensor, bias: &[f32]) {
    values_mut(output)
        .par_chunks_mut(BLOCK_ROWS * bias.len())
        .for_each(|rows| {
            for row in rows.chunks_mut(bias.len()) {
                row.iter_mut().zip(bias).for_each(|(value, bias)| *value += bias);
            }
        });
}

pub(super) fn sum_of_rows(rows: &[f32], width: usize) -> Vec<f32> {
    let parts: Vec<f32> = rows
        .par_chunks(BLOCK_ROWS * width)
        .flat_map_iter(|block| sum_blocks(block, width))
        .collect();
    sum_blocks(&parts, width)
}

#[derive(Clone, Debug)]
struct Gradient {
    x: FlexTensor,
    weight: FlexTensor,
}

impl Gradient {
    fn products(self, output: &FlexTensor, [x, weight]: [bool; 2]) -> [Option<FlexTensor>; 2] {
        let x_gradient = x.then(|| Flex::float_matmul(output.clone(), self.weight));
        let weight_gradient = weight.then(|| Flex::float_matmul(transposed(output), self.x));
        [x_gradient, weight_gradient]
    }
}

impl FusedGradient<2> for Gradient {
    fn inputs_from_output(self, output: FlexTensor, wanted: [bool; 2]) -> [Option<FlexTensor>; 2] {
        self.products(&output, wanted)
    }
}

impl FusedGradient<3> for Gradient {
    fn inputs_from_output(self, output: FlexTensor, [x, weight, bias]: [bool; 3]) -> [Option<FlexTensor>; 3] {
        let [_, d_out]: [usize; 2] = output.layout().shape().dims();
        let [x, weight] = self.products(&output, [x, weight]);
        [
            x,
            weight,
            bias.then(|| tensor(sum_of_rows(values(&output), d_out), [d_out])),
        ]
    }
}
