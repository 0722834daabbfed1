//! A linear layer as one operation: the bias is added to the product in place, and the weight's gradient comes out in
//! the weight's own layout.

use burn::backend::{Flex, ops::FloatTensorOps};
use burn::tensor::{DType, Tensor};

use super::autodiff::{Input, record, supported, values};
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
    let bias = bias.map(Input::new);
    if let Some(bias) = &bias {
        add_to_rows(&mut output, values(&bias.value));
    }
    let bias_node = bias.and_then(|bias| bias.node);
    record([x.node, weight.node, bias_node], output, move |output, [of_x, of_weight, of_bias]| {
        [
            of_x.then(|| Flex::float_matmul(output.clone(), weight.value)),
            of_weight.then(|| Flex::float_matmul(transposed(&output), x.value)),
            of_bias.then(|| sum_of_rows(&output)),
        ]
    })
}
