//! Layers of two-byte weights against the same layers of f32 weights of the same values, in more blocks than one wave.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use super::{BLOCK_VALUES, BLOCKS_AT_ONCE, half_linear};
use crate::kernels::{embedding, linear};
use crate::parameter::cast;

const D_IN: usize = 512;
/// One wave of blocks, another block, and three rows.
const D_OUT: usize = (BLOCKS_AT_ONCE + 1) * BLOCK_VALUES / D_IN + 3;
const ROWS: usize = 3;

fn numbers<const D: usize>(shape: [usize; D], seed: u32) -> Tensor<D> {
    let count = shape.iter().product::<usize>() as u32;
    let values: Vec<f32> = (0..count)
        .map(|index| (index + seed).wrapping_mul(2_654_435_761) >> 8)
        .map(|word| (f64::from(word) / f64::from(1 << 24) - 0.5) as f32)
        .collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

#[track_caller]
fn check<const D: usize>(what: &str, got: &Tensor<D>, expected: &Tensor<D>) {
    assert_eq!(got.dims(), expected.dims(), "{what}");
    assert_eq!(got.dtype(), DType::F32, "{what}");
    let [got, expected] = [got, expected].map(|tensor| tensor.clone().without_autodiff().into_data());
    let pairs = got.iter::<f32>().zip(expected.iter::<f32>());
    let worst = pairs.map(|(got, expected)| (got - expected).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-4, "{what}: off by {worst:e}");
}

fn leaf<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    tensor.autodiff().require_grad()
}

#[test]
fn a_linear_layer_and_its_gradients_are_those_of_f32_weights() {
    for dtype in [DType::BF16, DType::F16] {
        let weight = cast(numbers([D_OUT, D_IN], 1), dtype);
        let (x, bias) = (numbers([ROWS, D_IN], 2), numbers([D_OUT], 3));
        let output_gradient = numbers([ROWS, D_OUT], 4).autodiff();

        let (half_x, half_weight) = (leaf(x.clone()), leaf(weight.clone()));
        let half_bias = leaf(bias.clone());
        let half = half_linear(half_x.clone(), half_weight.clone(), Some(half_bias.clone()));
        let (single_x, single_weight) = (leaf(x), leaf(cast(weight, DType::F32)));
        let single_bias = leaf(bias);
        let single = linear(single_x.clone(), single_weight.clone(), Some(single_bias.clone()));
        check("output", &half, &single);

        let half = (half * output_gradient.clone()).sum().backward();
        let single = (single * output_gradient).sum().backward();
        check("x", &half_x.grad(&half).unwrap(), &single_x.grad(&single).unwrap());
        let weights = [half_weight.grad(&half), single_weight.grad(&single)].map(Option::unwrap);
        check("weight", &weights[0], &weights[1]);
        check("bias", &half_bias.grad(&half).unwrap(), &single_bias.grad(&single).unwrap());
    }
}

#[test]
fn an_embedding_and_its_gradient_are_those_of_f32_weights() {
    let ids = Tensor::<1, Int>::from_data(TensorData::new(vec![4_i64, 0, 4, 9], [4]), &Device::flex());
    let weight = cast(numbers([10, 5], 1), DType::BF16);
    let half_weight = leaf(weight.clone());
    let single_weight = leaf(cast(weight, DType::F32));
    let half = embedding(half_weight.clone(), ids.clone());
    let single = single_weight.clone().select(0, ids);
    check("rows", &half, &single);
    let gradient = numbers([4, 5], 2).autodiff();
    let half = (half * gradient.clone()).sum().backward();
    let single = (single * gradient).sum().backward();
    check("weight", &half_weight.grad(&half).unwrap(), &single_weight.grad(&single).unwrap());
}
