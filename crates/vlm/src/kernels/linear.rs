//! A linear layer as one operation: the bias is added to the product in place, and the weight's gradient comes out in
//! the weight's own layout.

use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, ops::FloatTensorOps};
use burn::tensor::{DType, Tensor};

use super::autodiff::{FusedGradient, Input, record, supported, tensor, values};
use super::half_linear::half_linear;
use super::matrix::{add_to_rows, sum_of_rows, transposed};
use crate::parameter::cast;
use crate::tensor_file::is_half;

/// `x · weightᵀ + bias` in f32, whatever float type the weight has.
///
/// Shapes: `x` `[n, d_in]`, `weight` `[d_out, d_in]`, `bias` `[d_out]` → `[n, d_out]`.
pub(crate) fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    if !supported(&x) {
        composed(x, weight, bias)
    } else if is_half(weight.dtype()) {
        half_linear(x, weight, bias)
    } else {
        fused(x, weight, bias)
    }
}

pub(super) fn composed(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    let product = x.matmul(cast(weight, DType::F32).transpose());
    match bias {
        Some(bias) => product + bias.unsqueeze(),
        None => product,
    }
}

fn fused(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    // The matrix product reads the weight in whichever layout it has.
    let (x, weight) = (Input::new(x), Input::as_it_lies(weight));
    let mut output = Flex::float_matmul(x.value.clone(), transposed(&weight.value));
    let (nodes, gradient) = ([x.node, weight.node], Gradient { x: x.value, weight: weight.value });
    let Some(bias) = bias.map(Input::new) else {
        return record(nodes, output, || gradient);
    };
    add_to_rows(&mut output, values(&bias.value));
    let [x, weight] = nodes;
    record([x, weight, bias.node], output, || gradient)
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
        [x, weight, bias.then(|| tensor(sum_of_rows(values(&output), d_out), [d_out]))]
    }
}
