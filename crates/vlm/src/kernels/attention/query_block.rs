//! One head's attention, block by block: some queries of a segment by all keys that are visible to the last of them.

use std::ops::Range;

use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, ops::FloatTensorOps};

use super::super::autodiff::{values, values_mut};
use super::super::numeric::{self, dot, exp, exp_in_place, maximum};
use super::inputs::{AttentionMask, Segment, Span};

/// Queries of one block.
pub(super) const QUERY_BLOCK: usize = 64;

/// The queries of one head and the keys and values it attends to, `[t, head_dim]` each.
pub(super) struct HeadView {
    pub queries: FlexTensor,
    pub keys: FlexTensor,
    pub values: FlexTensor,
    pub mask: AttentionMask,
}

/// Gradients of a [`HeadView`], `t · head_dim` numbers each.
pub(super) struct HeadGradients {
    pub queries: Vec<f32>,
    pub keys: Vec<f32>,
    pub values: Vec<f32>,
}

impl HeadGradients {
    pub fn zeros(length: usize) -> Self {
        Self { queries: vec![0.0; length], keys: vec![0.0; length], values: vec![0.0; length] }
    }
}

/// Some of a segment's own tokens, and the keys visible to the last of them; all counted from the first token that is
/// visible to the segment, its prefix before its own.
struct QueryBlock {
    tokens: Range<usize>,
    n_keys: usize,
    // The index of the first of the tokens in its row.
    first: usize,
    mask: AttentionMask,
}

impl QueryBlock {
    /// The blocks of a segment; under a causal mask its last are the widest.
    fn of(segment: Segment, mask: AttentionMask) -> impl Iterator<Item = Self> {
        let Segment { prefix, own, .. } = segment;
        let end = prefix.length + own.length;
        (prefix.length..end).step_by(QUERY_BLOCK).map(move |start| {
            let tokens = start..(start + QUERY_BLOCK).min(end);
            Self {
                n_keys: match mask {
                    AttentionMask::Causal => tokens.end,
                    AttentionMask::Full => end,
                },
                first: own.start + start - prefix.length,
                tokens,
                mask,
            }
        })
    }

    /// The indexes of its tokens in their row.
    fn indexes(&self) -> Range<usize> {
        self.first..self.first + self.tokens.len()
    }

    /// Each token's index in its row and how many of the block's keys are visible to it.
    fn visible(&self) -> impl Iterator<Item = (usize, usize)> {
        let (n_keys, mask) = (self.n_keys, self.mask);
        self.indexes().zip(self.tokens.clone()).map(move |(index, token)| match mask {
            AttentionMask::Causal => (index, token + 1),
            AttentionMask::Full => (index, n_keys),
        })
    }
}

impl HeadView {
    /// Writes the segment's rows of `output` `[t, head_dim]` and of `log_totals` `[t]`.
    pub fn forward(&self, segment: Segment, output: &mut [f32], log_totals: &mut [f32]) {
        let head_dim = self.queries.layout().shape()[1];
        let (keys, head_values) = (visible(&self.keys, segment), visible(&self.values, segment));
        for block in QueryBlock::of(segment, self.mask) {
            let mut weights = self.scores(&block, &keys);
            let factors = exponentials(&block, values_mut(&mut weights), log_totals);
            let sums = product(weights, rows(&head_values, &(0..block.n_keys)));
            let outputs = output[block.first * head_dim..].chunks_mut(head_dim);
            for (output, (sums, factor)) in outputs.zip(values(&sums).chunks(head_dim).zip(factors)) {
                output.iter_mut().zip(sums).for_each(|(output, sum)| *output = sum * factor);
            }
        }
    }

    /// Adds the segment's part to the gradients of one head, from those of its output, `[t, head_dim]`.
    pub fn backward(
        &self,
        segment: Segment,
        gradient: &FlexTensor,
        output: &[f32],
        log_totals: &[f32],
        sums: &mut HeadGradients,
    ) {
        let head_dim = self.queries.layout().shape()[1];
        let (keys, head_values) = (visible(&self.keys, segment), visible(&self.values, segment));
        for block in QueryBlock::of(segment, self.mask) {
            let of_output = rows(gradient, &block.indexes());
            let mut probabilities = self.scores(&block, &keys);
            let width = block.n_keys;
            for ((index, visible), scores) in block.visible().zip(values_mut(&mut probabilities).chunks_mut(width)) {
                let log_total = log_totals[index];
                scores[..visible].iter_mut().for_each(|score| *score = exp(*score - log_total));
                scores[visible..].fill(0.0);
            }
            let of_values = product(probabilities.transpose(0, 1), of_output.clone());
            add(&mut sums.values, segment, head_dim, values(&of_values));

            let mut of_scores = product(of_output.clone(), rows(&head_values, &(0..width)).transpose(0, 1));
            let weights = values(&probabilities).chunks(width);
            let gradients = values_mut(&mut of_scores).chunks_mut(width);
            for ((index, visible), (scores, weights)) in block.visible().zip(gradients.zip(weights)) {
                // Σ probability · gradient over a row is the product of the output with its own gradient.
                let numbers = index * head_dim..(index + 1) * head_dim;
                let mean = dot(&output[numbers], row_of(gradient, index));
                for (score, weight) in scores[..visible].iter_mut().zip(weights) {
                    *score = weight * (*score - mean);
                }
                scores[visible..].fill(0.0);
            }
            let of_keys = product(of_scores.transpose(0, 1), rows(&self.queries, &block.indexes()));
            add(&mut sums.keys, segment, head_dim, values(&of_keys));
            let of_queries = product(of_scores, rows(&keys, &(0..width)));
            let numbers = block.first * head_dim..block.indexes().end * head_dim;
            sums.queries[numbers].copy_from_slice(values(&of_queries));
        }
    }

    /// Of the block's tokens by the `keys` visible to the segment. Shape: `[tokens, n_keys]`.
    fn scores(&self, block: &QueryBlock, keys: &FlexTensor) -> FlexTensor {
        let keys = rows(keys, &(0..block.n_keys));
        product(rows(&self.queries, &block.indexes()), keys.transpose(0, 1))
    }
}

/// The rows of a head that are visible to a segment: its prefix's and its own, one after the other. Copied only where
/// they are apart.
fn visible(head: &FlexTensor, Segment { prefix, own, .. }: Segment) -> FlexTensor {
    let own = rows(head, &own.range());
    if prefix.length == 0 {
        return own;
    }
    Flex::float_cat(vec![rows(head, &prefix.range()), own], 0)
}

/// Turns scores into exponentials, masked ones into zeros; writes each row's logarithm of their sum and returns the
/// reciprocals of the sums.
fn exponentials(block: &QueryBlock, scores: &mut [f32], log_totals: &mut [f32]) -> Vec<f32> {
    let mut factors = Vec::with_capacity(block.tokens.len());
    for ((index, visible), scores) in block.visible().zip(scores.chunks_mut(block.n_keys)) {
        let (visible, masked) = scores.split_at_mut(visible);
        let largest = maximum(visible);
        let total = exp_in_place(visible, largest);
        masked.fill(0.0);
        log_totals[index] = largest + total.ln();
        factors.push(1.0 / total);
    }
    factors
}

fn rows(matrix: &FlexTensor, indexes: &Range<usize>) -> FlexTensor {
    matrix.narrow(0, indexes.start, indexes.len())
}

/// One row of a matrix whose rows are contiguous.
fn row_of(matrix: &FlexTensor, row: usize) -> &[f32] {
    let layout = matrix.layout();
    let width = layout.shape()[1];
    let start = layout.start_offset() + row * width;
    &matrix.storage::<f32>()[start..start + width]
}

fn product(left: FlexTensor, right: FlexTensor) -> FlexTensor {
    Flex::float_matmul(left, right)
}

/// Adds the gradients of the first tokens visible to a segment to the sums of their head.
fn add(sums: &mut [f32], segment: Segment, head_dim: usize, parts: &[f32]) {
    let Segment { prefix, own, .. } = segment;
    let (of_prefix, of_own) = parts.split_at(parts.len().min(prefix.length * head_dim));
    for (Span { start, .. }, parts) in [(prefix, of_prefix), (own, of_own)] {
        numeric::add(&mut sums[start * head_dim..], parts);
    }
}
