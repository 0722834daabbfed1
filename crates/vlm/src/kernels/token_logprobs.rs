//! Log-probabilities of chosen tokens and entropies of their distributions, in one pass over the logits.

use std::sync::Arc;

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;

use super::autodiff::{FusedGradient, Input, record, supported, tensor, values, values_mut};
use super::numeric::{exp, maximum};

/// For each row of `logits` `[n, v]`, the log-probability of its target, `[n]`, and the entropy of the row, `[n]`, a
/// constant.
pub(crate) fn token_logprobs(logits: Tensor<2>, targets: &[u32]) -> (Tensor<1>, Tensor<1>) {
    if supported(&logits) { fused(logits, targets) } else { composed(logits, targets) }
}

pub(super) fn composed(logits: Tensor<2>, targets: &[u32]) -> (Tensor<1>, Tensor<1>) {
    let (n, device) = (targets.len(), logits.device().without_autodiff());
    // Any constant may be subtracted from a row; its largest score keeps the exponentials finite.
    let largest = logits.clone().without_autodiff().max_dim(1);
    let shifted = logits - largest;
    let log_totals = shifted.clone().exp().sum_dim(1).log(); // [n, 1]
    let distribution = shifted.clone().without_autodiff() - log_totals.clone().without_autodiff();
    let entropies = -(distribution.clone().exp() * distribution).sum_dim(1).reshape([n]);
    let targets: Vec<i64> = targets.iter().map(|id| i64::from(*id)).collect();
    let targets = Tensor::from_data(TensorData::new(targets, [n, 1]), &device);
    ((shifted.gather(1, targets) - log_totals).reshape([n]), entropies)
}

fn fused(logits: Tensor<2>, targets: &[u32]) -> (Tensor<1>, Tensor<1>) {
    let [n, v] = logits.dims();
    let input = Input::new(logits);
    let rows = values(&input.value).par_chunks(v).zip(targets);
    let scores: Vec<[f32; 3]> = rows.map(|(row, target)| score(row, *target as usize)).collect();
    let [logprobs, entropies, log_totals] =
        [0, 1, 2].map(|index| scores.iter().map(|score| score[index]).collect::<Vec<f32>>());
    let gradient = Gradient { logits: input.value, log_totals: log_totals.into(), targets: targets.into(), v };
    (record([input.node], tensor(logprobs, [n]), || gradient), Tensor::from_primitive::<Flex>(tensor(entropies, [n])))
}

// The target's log-probability, the entropy, and the logarithm of the sum of exponentials.
fn score(row: &[f32], target: usize) -> [f32; 3] {
    let largest = maximum(row);
    let (mut total, mut weighted) = (0.0, 0.0);
    // Short sums first: a row is as long as the vocabulary.
    for block in row.chunks(64) {
        let (mut block_total, mut block_weighted) = (0.0, 0.0);
        for logit in block {
            let shifted = logit - largest;
            let weight = exp(shifted);
            block_total += weight;
            block_weighted += weight * shifted;
        }
        total += block_total;
        weighted += block_weighted;
    }
    let log_total = total.ln() + largest;
    [row[target] - log_total, total.ln() - weighted / total, log_total]
}

#[derive(Clone, Debug)]
struct Gradient {
    logits: FlexTensor,
    log_totals: Arc<[f32]>,
    targets: Arc<[u32]>,
    v: usize,
}

impl FusedGradient<1> for Gradient {
    fn inputs_from_output(self, output: FlexTensor, wanted: [bool; 1]) -> [Option<FlexTensor>; 1] {
        let Self { mut logits, log_totals, targets, v } = self;
        let output = values(&output);
        values_mut(&mut logits).par_chunks_mut(v).enumerate().for_each(|(index, row)| {
            let (gradient, log_total) = (output[index], log_totals[index]);
            row.iter_mut().for_each(|value| *value = -gradient * exp(*value - log_total));
            row[targets[index] as usize] += gradient;
        });
        [wanted[0].then_some(logits)]
    }
}
