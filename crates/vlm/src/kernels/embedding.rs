//! Rows of an embedding in f32, whatever float type it is held in; of one of two bytes no f32 copy is made.

use burn::tensor::{DType, Device, Int, Tensor};

use super::autodiff::{Input, record, tensor, values};
use super::half_linear::widen;
use super::numeric::add;
use crate::parameter::cast;
use crate::tensor_file::is_half;

/// The rows of `weight` at `ids`. Shapes: `[v, d]`, `[n]` → `[n, d]` f32.
pub(crate) fn embedding(weight: Tensor<2>, ids: Tensor<1, Int>) -> Tensor<2> {
    if is_half(weight.dtype()) && weight.device() == Device::flex() {
        fused(weight, ids)
    } else {
        composed(weight, ids)
    }
}

pub(super) fn composed(weight: Tensor<2>, ids: Tensor<1, Int>) -> Tensor<2> {
    cast(weight.select(0, ids), DType::F32)
}

fn fused(weight: Tensor<2>, ids: Tensor<1, Int>) -> Tensor<2> {
    let [vocab_size, d] = weight.dims();
    let rows: Vec<usize> = ids.into_data().iter::<i64>().map(|id| id as usize).collect();
    let weight = Input::new(weight);
    let mut output = vec![0.0; rows.len() * d];
    for (row, output) in rows.iter().zip(output.chunks_mut(d)) {
        widen(&weight.value, row * d, output);
    }
    let output = tensor(output, [rows.len(), d]);
    record([weight.node], output, move |output, _| {
        let mut gradient = vec![0.0; vocab_size * d];
        for (row, output) in rows.iter().zip(values(&output).chunks(d)) {
            add(&mut gradient[row * d..][..d], output);
        }
        [Some(tensor(gradient, [vocab_size, d]))]
    })
}
