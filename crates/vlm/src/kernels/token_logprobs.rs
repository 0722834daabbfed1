//! Log-probabilities of chosen tokens and entropies of their distributions, in one pass over the logits.

use burn::backend::Flex;
use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;

use super::autodiff::{Input, record, supported, tensor, values, values_mut};
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
    let rows: Vec<RowScore> = rows.map(|(row, target)| RowScore::EMPTY.with(row, Some(*target as usize))).collect();
    let logprobs = rows.iter().map(RowScore::logprob).collect();
    let entropies = tensor(rows.iter().map(RowScore::entropy).collect(), [n]);
    let log_totals: Vec<f32> = rows.iter().map(RowScore::log_total).collect();
    let (mut logits, targets) = (input.value, targets.to_vec());
    let output = record([input.node], tensor(logprobs, [n]), move |output, [wanted]| {
        let output = values(&output);
        values_mut(&mut logits).par_chunks_mut(v).enumerate().for_each(|(index, row)| {
            into_gradient(row, log_totals[index], output[index], Some(targets[index] as usize));
        });
        [wanted.then_some(logits)]
    });
    (output, Tensor::from_primitive::<Flex>(entropies))
}

/// What is known of a row of logits, or of its first chunks.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowScore {
    largest: f32,
    // Σ exp(logit - largest), and the same weighted with logit - largest.
    total: f32,
    weighted: f32,
    target: f32,
}

impl RowScore {
    /// That of no logits.
    pub const EMPTY: Self = Self { largest: f32::MIN, total: 0.0, weighted: 0.0, target: 0.0 };

    /// That of a chunk's logits too; `target` is the target's index counted from the chunk's first token, if not before
    /// it.
    pub fn with(mut self, logits: &[f32], target: Option<usize>) -> Self {
        let largest = maximum(logits).max(self.largest);
        let shift = self.largest - largest;
        let shrink = exp(shift);
        if self.total > 0.0 {
            self.weighted = shrink * (self.weighted + shift * self.total);
            self.total *= shrink;
        }
        self.largest = largest;
        // Short sums first, so that rounding errors do not add up: a row is as long as the vocabulary.
        for block in logits.chunks(64) {
            let (mut total, mut weighted) = (0.0, 0.0);
            for logit in block {
                let shifted = logit - largest;
                let weight = exp(shifted);
                total += weight;
                weighted += weight * shifted;
            }
            self.total += total;
            self.weighted += weighted;
        }
        if let Some(logit) = target.and_then(|index| logits.get(index)) {
            self.target = *logit;
        }
        self
    }

    /// The logarithm of the sum of exponentials.
    pub fn log_total(&self) -> f32 {
        self.total.ln() + self.largest
    }

    /// The target's log-probability.
    pub fn logprob(&self) -> f32 {
        self.target - self.log_total()
    }

    /// The entropy of the distribution.
    pub fn entropy(&self) -> f32 {
        self.total.ln() - self.weighted / self.total
    }
}

/// Turns a chunk's logits into their gradient: `(one at the target - probability) · gradient`.
pub(super) fn into_gradient(logits: &mut [f32], log_total: f32, gradient: f32, target: Option<usize>) {
    logits.iter_mut().for_each(|value| *value = -gradient * exp(*value - log_total));
    if let Some(value) = target.and_then(|target| logits.get_mut(target)) {
        *value += gradient;
    }
}
