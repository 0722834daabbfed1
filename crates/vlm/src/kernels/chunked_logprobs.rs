//! Log-probabilities of chosen tokens from hidden states and the head's weight, a chunk of the vocabulary at a time, so
//! that the logits of the whole vocabulary are never held; the backward pass recomputes each chunk (Wijmans et al.,
//! "Cut Your Losses in Large-Vocabulary Language Models", arXiv 2411.09009, section 4).

use std::sync::Arc;

use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, ops::FloatTensorOps};
use burn::tensor::{DType, FloatDType, Tensor};
use rayon::prelude::*;

use super::autodiff::{Input, record, supported, tensor, values, values_mut};
use super::linear::linear;
use super::numeric::add;
use super::token_logprobs::{RowScore, into_gradient, token_logprobs};

/// Tokens of the vocabulary in one chunk.
pub const CHUNK: usize = 1024;

/// As [`super::token_logprobs()`] of `hidden · weightᵀ`.
///
/// Shapes: `hidden` `[n, d]` f32, `weight` `[v, d]` of any float type, `targets` `[n]` → log-probabilities `[n]` and,
/// constant, entropies `[n]`.
pub(crate) fn chunked_logprobs(hidden: Tensor<2>, weight: Tensor<2>, targets: &[u32]) -> (Tensor<1>, Tensor<1>) {
    if supported(&hidden) {
        fused(hidden, weight, targets)
    } else {
        token_logprobs(linear(hidden, weight, None), targets)
    }
}

fn fused(hidden: Tensor<2>, weight: Tensor<2>, targets: &[u32]) -> (Tensor<1>, Tensor<1>) {
    let n = targets.len();
    let (hidden, weight) = (Input::new(hidden), Input::as_it_lies(weight));
    let nodes = [hidden.node, weight.node];
    let head = Head { hidden: hidden.value, weight: weight.value, targets: targets.into() };
    let mut totals = vec![RowScore::EMPTY; n];
    for start in head.chunks() {
        let logits = head.logits(start);
        let rows = values(&logits).par_chunks(head.width(start));
        let rows = rows.zip(&mut totals).zip(&*head.targets);
        rows.for_each(|((logits, total), target)| {
            *total = total.with(logits, (*target as usize).checked_sub(start));
        });
    }
    let logprobs = totals.iter().map(RowScore::logprob).collect();
    let entropies = tensor(totals.iter().map(RowScore::entropy).collect(), [n]);
    let log_totals: Vec<f32> = totals.iter().map(RowScore::log_total).collect();
    let output = record(nodes, tensor(logprobs, [n]), move |output, wanted| {
        head.gradients(&log_totals, values(&output), wanted)
    });
    (output, Tensor::from_primitive::<Flex>(entropies))
}

/// The projection to the vocabulary.
#[derive(Clone, Debug)]
struct Head {
    hidden: FlexTensor,
    weight: FlexTensor,
    targets: Arc<[u32]>,
}

impl Head {
    /// The first token of each chunk.
    fn chunks(&self) -> impl Iterator<Item = usize> + use<> {
        (0..self.weight.layout().shape()[0]).step_by(CHUNK)
    }

    fn width(&self, start: usize) -> usize {
        CHUNK.min(self.weight.layout().shape()[0] - start)
    }

    /// A chunk of the weight in f32, whatever it is held in. Shape: `[width, d]`.
    fn weight(&self, start: usize) -> FlexTensor {
        let rows = self.weight.narrow(0, start, self.width(start));
        if rows.dtype() == DType::F32 {
            return rows;
        }
        Flex::float_cast(rows, FloatDType::F32)
    }

    /// Shape: `[n, width]`.
    fn logits(&self, start: usize) -> FlexTensor {
        Flex::float_matmul(self.hidden.clone(), self.weight(start).transpose(0, 1))
    }

    /// The gradient of a chunk's logits. Shape: `[n, width]`.
    fn of_logits(&self, start: usize, log_totals: &[f32], output: &[f32]) -> FlexTensor {
        let width = self.width(start);
        let mut logits = self.logits(start);
        values_mut(&mut logits).par_chunks_mut(width).enumerate().for_each(|(index, row)| {
            let target = (self.targets[index] as usize).checked_sub(start);
            into_gradient(row, log_totals[index], output[index], target);
        });
        logits
    }

    /// Of hidden states and weight.
    fn gradients(&self, log_totals: &[f32], output: &[f32], [hidden, weight]: [bool; 2]) -> [Option<FlexTensor>; 2] {
        let n = output.len();
        let [v, d]: [usize; 2] = self.weight.layout().shape().dims();
        let mut of_hidden = hidden.then(|| vec![0.0; n * d]);
        let mut of_weight = weight.then(|| Vec::with_capacity(v * d));
        for start in self.chunks() {
            let of_logits = self.of_logits(start, log_totals, output);
            if let Some(sums) = &mut of_hidden {
                let part = Flex::float_matmul(of_logits.clone(), self.weight(start));
                let parts = sums.par_chunks_mut(d).zip(values(&part).par_chunks(d));
                parts.for_each(|(sums, part)| add(sums, part));
            }
            if let Some(rows) = &mut of_weight {
                let part = Flex::float_matmul(of_logits.transpose(0, 1), self.hidden.clone());
                rows.extend_from_slice(values(&part));
            }
        }
        [of_hidden.map(|sums| tensor(sums, [n, d])), of_weight.map(|rows| tensor(rows, [v, d]))]
    }
}
