//! `silu(gate) · up` in one pass.

use burn::backend::flex::FlexTensor;
use burn::tensor::{Tensor, activation::silu};
use rayon::prelude::*;

use super::autodiff::{Input, record, supported, tensor, values};
use super::numeric::exp;

// Values that one task works through.
const BLOCK: usize = 1 << 14;

/// `gate / (1 + exp(-gate)) · up`, element by element: the middle of a gated feed-forward layer (Shazeer, arXiv
/// 2002.05202).
pub(crate) fn swiglu(gate: Tensor<2>, up: Tensor<2>) -> Tensor<2> {
    if supported(&gate) { fused(gate, up) } else { composed(gate, up) }
}

pub(super) fn composed(gate: Tensor<2>, up: Tensor<2>) -> Tensor<2> {
    silu(gate) * up
}

fn fused(gate: Tensor<2>, up: Tensor<2>) -> Tensor<2> {
    let shape = gate.shape();
    let (gate, up) = (Input::new(gate), Input::new(up));
    let mut output = vec![0.0; values(&gate.value).len()];
    {
        let (gate, up) = (values(&gate.value), values(&up.value));
        output.par_chunks_mut(BLOCK).enumerate().for_each(|(block, output)| {
            let first = block * BLOCK;
            for ((output, gate), up) in output.iter_mut().zip(&gate[first..]).zip(&up[first..]) {
                *output = gate / (1.0 + exp(-gate)) * up;
            }
        });
    }
    record([gate.node, up.node], tensor(output, shape), move |output, wanted| {
        gradients(&gate.value, values(&up.value), values(&output), wanted)
    })
}

fn gradients(gate: &FlexTensor, up: &[f32], output: &[f32], wanted: [bool; 2]) -> [Option<FlexTensor>; 2] {
    let (shape, gate) = (gate.layout().shape().clone(), values(gate));
    let mut gate_gradient = vec![0.0; gate.len()];
    let mut up_gradient = vec![0.0; gate.len()];
    let blocks = gate_gradient.par_chunks_mut(BLOCK).zip(up_gradient.par_chunks_mut(BLOCK)).enumerate();
    blocks.for_each(|(block, (gate_gradient, up_gradient))| {
        let first = block * BLOCK;
        let inputs = output[first..].iter().zip(&gate[first..]).zip(&up[first..]);
        for ((gate_gradient, up_gradient), ((output, gate), up)) in
            gate_gradient.iter_mut().zip(up_gradient).zip(inputs)
        {
            let sigmoid = 1.0 / (1.0 + exp(-gate));
            *gate_gradient = output * up * sigmoid * (1.0 + gate * (1.0 - sigmoid));
            *up_gradient = output * gate * sigmoid;
        }
    });
    let [gate, up] = [(gate_gradient, wanted[0]), (up_gradient, wanted[1])];
    [gate.1.then(|| tensor(gate.0, shape.clone())), up.1.then(|| tensor(up.0, shape))]
}
