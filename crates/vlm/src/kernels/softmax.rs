//! Softmax over rows of attention scores, causal or not, in place.

use burn::backend::flex::FlexTensor;
use burn::tensor::{Device, Tensor, TensorData, activation};
use rayon::prelude::*;

use super::autodiff::{Input, record, supported, values, values_mut};
use super::numeric::{BLOCK_ROWS, dot, exp_in_place, maximum};

/// Softmax of `scores` `[…, rows, s]` over the last dimension.
///
/// With `causal_period` `t`, the columns after `r mod t` are masked in row `r` and get 0: queries of several heads are
/// rows one below the other, `t` of each.
pub(crate) fn softmax(scores: Tensor<4>, causal_period: Option<usize>) -> Tensor<4> {
    if supported(&scores) { fused(scores, causal_period) } else { composed(scores, causal_period) }
}

pub(super) fn composed(scores: Tensor<4>, causal_period: Option<usize>) -> Tensor<4> {
    let Some(t) = causal_period else {
        return activation::softmax(scores, 3);
    };
    let shape = [1, 1, scores.dims()[2], t];
    let mask = additive_mask(shape, &scores.device().without_autodiff(), |row, column| column <= row % t);
    activation::softmax(scores + mask, 3)
}

/// What is added to scores `[b, 1, rows, t]` so that rows, counted through the whole batch, see some columns alone.
pub(crate) fn additive_mask(shape: [usize; 4], device: &Device, sees: impl Fn(usize, usize) -> bool) -> Tensor<4> {
    let [b, _, rows, t] = shape;
    let mut mask = Vec::with_capacity(b * rows * t);
    for row in 0..b * rows {
        mask.extend((0..t).map(|column| if sees(row, column) { 0.0 } else { f32::NEG_INFINITY }));
    }
    Tensor::from_data(TensorData::new(mask, shape), device)
}

/// What is masked is never computed.
fn fused(scores: Tensor<4>, causal_period: Option<usize>) -> Tensor<4> {
    let [_, _, _, width] = scores.dims();
    let Input { value: mut probabilities, node } = Input::new(scores);
    values_mut(&mut probabilities).par_chunks_mut(BLOCK_ROWS * width).enumerate().for_each(|(block, rows)| {
        for (index, row) in rows.chunks_mut(width).enumerate() {
            let visible = visible(block * BLOCK_ROWS + index, width, causal_period);
            normalize(row, visible);
        }
    });
    let kept = probabilities.clone();
    record([node], probabilities, move |output, [wanted]| {
        [wanted.then(|| gradient(values(&kept), width, causal_period, output))]
    })
}

fn visible(row: usize, width: usize, causal_period: Option<usize>) -> usize {
    causal_period.map_or(width, |period| row % period + 1)
}

fn normalize(row: &mut [f32], visible: usize) {
    let (visible, masked) = row.split_at_mut(visible);
    let largest = maximum(visible);
    let factor = 1.0 / exp_in_place(visible, largest);
    visible.iter_mut().for_each(|value| *value *= factor);
    masked.fill(0.0);
}

/// The scores' gradient, in the place of the output's.
fn gradient(probabilities: &[f32], width: usize, causal_period: Option<usize>, mut output: FlexTensor) -> FlexTensor {
    let blocks = values_mut(&mut output).par_chunks_mut(BLOCK_ROWS * width).enumerate();
    blocks.for_each(|(block, rows)| {
        let probabilities = probabilities[block * BLOCK_ROWS * width..].chunks(width);
        for (index, (gradient, probabilities)) in rows.chunks_mut(width).zip(probabilities).enumerate() {
            let visible = visible(block * BLOCK_ROWS + index, width, causal_period);
            let mean = dot(&gradient[..visible], &probabilities[..visible]);
            for (gradient, probability) in gradient.iter_mut().zip(probabilities) {
                *gradient = probability * (*gradient - mean);
            }
        }
    });
    output
}
