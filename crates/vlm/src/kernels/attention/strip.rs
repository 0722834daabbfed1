//! One head's attention, strip by strip: some queries of a segment by all keys that the last of them sees.

use std::ops::Range;

use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, ops::FloatTensorOps};

use super::super::autodiff::{values, values_mut};
use super::super::numeric::{dot, exp, exp_in_place, maximum};
use super::{STRIP_ROWS, Sees, Segment, Span};

/// What one query head compares and mixes, `[t, head_dim]` each.
pub(super) struct HeadView {
    pub queries: FlexTensor,
    pub keys: FlexTensor,
    pub values: FlexTensor,
    pub sees: Sees,
}

/// Gradients of what one query head compared and mixed, `t · head_dim` numbers each.
pub(super) struct HeadGradients {
    pub queries: Vec<f32>,
    pub keys: Vec<f32>,
    pub values: Vec<f32>,
}

impl HeadGradients {
    pub fn zeros(length: usize) -> Self {
        Self {
            queries: vec![0.0; length],
            keys: vec![0.0; length],
            values: vec![0.0; length],
        }
    }
}

/// Some of a segment's own tokens, and the keys that the last of them sees; all counted from the first token of what
/// the segment sees, its prefix before its own.
struct Strip {
    tokens: Range<usize>,
    n_keys: usize,
    // Where the first of the tokens stands in its row.
    place: usize,
    sees: Sees,
}

impl Strip {
    /// The strips of a segment; where tokens see earlier ones alone, its last are the widest.
    fn of(segment: Segment, sees: Sees) -> impl Iterator<Item = Self> {
        let Segment { prefix, own, .. } = segment;
        let end = prefix.length + own.length;
        let firsts = (prefix.length..end).step_by(STRIP_ROWS);
        firsts.map(move |first| {
            let tokens = first..(first + STRIP_ROWS).min(end);
            Self {
                n_keys: match sees {
                    Sees::Earlier => tokens.end,
                    Sees::All => end,
                },
                place: own.start + first - prefix.length,
                tokens,
                sees,
            }
        })
    }

    /// The places of its tokens in their row.
    fn places(&self) -> Range<usize> {
        self.place..self.place + self.tokens.len()
    }

    /// Each token's place in its row and how many of the strip's keys it sees.
    fn visible(&self) -> impl Iterator<Item = (usize, usize)> {
        let (n_keys, sees) = (self.n_keys, self.sees);
        self.places()
            .zip(self.tokens.clone())
            .map(move |(place, token)| match sees {
                Sees::Earlier => (place, token + 1),
                Sees::All => (place, n_keys),
            })
    }
}

impl HeadView {
    /// Writes the segment's rows of `output` `[t, head_dim]` and of `log_totals` `[t]`.
    pub fn forward(&self, segment: Segment, output: &mut [f32], log_totals: &mut [f32]) {
        let head_dim = self.queries.layout().shape()[1];
        let (keys, mixable) = (seen(&self.keys, segment), seen(&self.values, segment));
        for strip in Strip::of(segment, self.sees) {
            let mut weights = self.scores(&strip, &keys);
            let factors = exponentials(&strip, values_mut(&mut weights), log_totals);
            let mixed = product(weights, rows(&mixable, &(0..strip.n_keys)));
            let rows = values(&mixed).chunks(head_dim).zip(factors);
            let places = output[strip.place * head_dim..].chunks_mut(head_dim);
            for (output, (mixed, factor)) in places.zip(rows) {
                output
                    .iter_mut()
                    .zip(mixed)
                    .for_each(|(output, mixed)| *output = mixed * factor);
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
        let (keys, mixable) = (seen(&self.keys, segment), seen(&self.values, segment));
        for strip in Strip::of(segment, self.sees) {
            let of_output = rows(gradient, &strip.places());
            let mut probabilities = self.scores(&strip, &keys);
            let width = strip.n_keys;
            for ((place, seen), scores) in strip.visible().zip(values_mut(&mut probabilities).chunks_mut(width)) {
                let log_total = log_totals[place];
                scores[..seen]
                    .iter_mut()
                    .for_each(|score| *score = exp(*score - log_total));
                scores[seen..].fill(0.0);
            }
            let of_values = product(probabilities.transpose(0, 1), of_output.clone());
            add(&mut sums.values, segment, head_dim, values(&of_values));

            let mut of_scores = product(of_output.clone(), rows(&mixable, &(0..width)).transpose(0, 1));
            let weights = values(&probabilities).chunks(width);
            let gradients = values_mut(&mut of_scores).chunks_mut(width);
            for ((place, seen), (scores, weights)) in strip.visible().zip(gradients.zip(weights)) {
                // Σ probability · gradient over a row is the product of the output with its own gradient.
                let numbers = place * head_dim..(place + 1) * head_dim;
                let mean = dot(&output[numbers], row_of(gradient, place));
                for (score, weight) in scores[..seen].iter_mut().zip(weights) {
                    *score = weight * (*score - mean);
                }
                scores[seen..].fill(0.0);
            }
            let of_keys = product(of_scores.transpose(0, 1), rows(&self.queries, &strip.places()));
            add(&mut sums.keys, segment, head_dim, values(&of_keys));
            let of_queries = product(of_scores, rows(&keys, &(0..width)));
            let numbers = strip.place * head_dim..strip.places().end * head_dim;
            sums.queries[numbers].copy_from_slice(values(&of_queries));
        }
    }

    /// Of what the segment sees, `keys`, by the strip's tokens. Shape: `[tokens, n_keys]`.
    fn scores(&self, strip: &Strip, keys: &FlexTensor) -> FlexTensor {
        let keys = rows(keys, &(0..strip.n_keys));
        product(rows(&self.queries, &strip.places()), keys.transpose(0, 1))
    }
}

/// The rows of a head that a segment sees: its prefix's and its own, one after the other. Copied only where they lie
/// apart.
fn seen(head: &FlexTensor, Segment { prefix, own, .. }: Segment) -> FlexTensor {
    let own = rows(head, &own.range());
    if prefix.length == 0 {
        return own;
    }
    Flex::float_cat(vec![rows(head, &prefix.range()), own], 0)
}

/// Turns scores into exponentials, hidden ones into zeros; writes each row's logarithm of their sum and returns the
/// reciprocals of the sums.
fn exponentials(strip: &Strip, scores: &mut [f32], log_totals: &mut [f32]) -> Vec<f32> {
    let rows = strip.visible().zip(scores.chunks_mut(strip.n_keys));
    rows.map(|((place, seen), scores)| {
        let (seen, hidden) = scores.split_at_mut(seen);
        let largest = maximum(seen);
        let total = exp_in_place(seen, largest);
        hidden.fill(0.0);
        log_totals[place] = largest + total.ln();
        1.0 / total
    })
    .collect()
}

fn rows(matrix: &FlexTensor, places: &Range<usize>) -> FlexTensor {
    matrix.narrow(0, places.start, places.len())
}

/// One row of a matrix whose rows lie one after the other.
fn row_of(matrix: &FlexTensor, row: usize) -> &[f32] {
    let layout = matrix.layout();
    let width = layout.shape()[1];
    let start = layout.start_offset() + row * width;
    &matrix.storage::<f32>()[start..start + width]
}

fn product(left: FlexTensor, right: FlexTensor) -> FlexTensor {
    Flex::float_matmul(left, right)
}

/// Adds the gradients of the first tokens that a segment sees to the sums of their head.
fn add(sums: &mut [f32], segment: Segment, head_dim: usize, parts: &[f32]) {
    let Segment { prefix, own, .. } = segment;
    let (of_prefix, of_own) = parts.split_at(parts.len().min(prefix.length * head_dim));
    for (Span { start, .. }, parts) in [(prefix, of_prefix), (own, of_own)] {
        let sums = &mut sums[start * head_dim..][..parts.len()];
        sums.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
    }
}
