//! One head's attention, strip by strip: some queries of a segment by all keys that the last of them sees.

use std::ops::Range;

use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, ops::FloatTensorOps};

use super::super::autodiff::{values, values_mut};
use super::super::numeric::{dot, exp, exp_in_place, maximum};
use super::{STRIP_ROWS, Sees, Segment};

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

/// Some rows of a segment, and the keys that its last row sees.
struct Strip {
    rows: Range<usize>,
    keys: Range<usize>,
    sees: Sees,
}

impl Strip {
    /// The strips of a segment; where tokens see earlier ones alone, its last are the widest.
    fn of(segment: Segment, sees: Sees) -> impl Iterator<Item = Self> {
        let Segment { start, length, .. } = segment;
        let firsts = (start..start + length).step_by(STRIP_ROWS);
        firsts.map(move |first| {
            let end = (first + STRIP_ROWS).min(start + length);
            let seen = match sees {
                Sees::Earlier => end,
                Sees::All => start + length,
            };
            Self {
                rows: first..end,
                keys: start..seen,
                sees,
            }
        })
    }

    /// Each row's place in the sequence and how many of the strip's keys it sees.
    fn visible(&self) -> impl Iterator<Item = (usize, usize)> {
        let (keys, sees) = (self.keys.clone(), self.sees);
        self.rows.clone().map(move |row| match sees {
            Sees::Earlier => (row, row - keys.start + 1),
            Sees::All => (row, keys.len()),
        })
    }
}

impl HeadView {
    /// Writes the segment's rows of `output` `[t, head_dim]` and of `log_totals` `[t]`.
    pub fn forward(&self, segment: Segment, output: &mut [f32], log_totals: &mut [f32]) {
        let head_dim = self.queries.layout().shape()[1];
        for strip in Strip::of(segment, self.sees) {
            let mut weights = self.scores(&strip);
            let factors = exponentials(&strip, values_mut(&mut weights), log_totals);
            let mixed = product(weights, rows(&self.values, &strip.keys));
            let rows = values(&mixed).chunks(head_dim).zip(factors);
            let places = output[strip.rows.start * head_dim..].chunks_mut(head_dim);
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
        for strip in Strip::of(segment, self.sees) {
            let of_output = rows(gradient, &strip.rows);
            let mut probabilities = self.scores(&strip);
            let width = strip.keys.len();
            for ((row, seen), scores) in strip.visible().zip(values_mut(&mut probabilities).chunks_mut(width)) {
                let log_total = log_totals[row];
                scores[..seen]
                    .iter_mut()
                    .for_each(|score| *score = exp(*score - log_total));
                scores[seen..].fill(0.0);
            }
            let keys = strip.keys.start * head_dim..strip.keys.end * head_dim;
            let of_values = product(probabilities.transpose(0, 1), of_output.clone());
            add(&mut sums.values[keys.clone()], values(&of_values));

            let mut of_scores = product(of_output.clone(), rows(&self.values, &strip.keys).transpose(0, 1));
            let weights = values(&probabilities).chunks(width);
            let gradients = values_mut(&mut of_scores).chunks_mut(width);
            for ((row, seen), (scores, weights)) in strip.visible().zip(gradients.zip(weights)) {
                // Σ probability · gradient over a row is the product of the output with its own gradient.
                let place = row * head_dim..(row + 1) * head_dim;
                let mean = dot(&output[place], row_of(gradient, row));
                for (score, weight) in scores[..seen].iter_mut().zip(weights) {
                    *score = weight * (*score - mean);
                }
                scores[seen..].fill(0.0);
            }
            let of_keys = product(of_scores.transpose(0, 1), rows(&self.queries, &strip.rows));
            add(&mut sums.keys[keys], values(&of_keys));
            let of_queries = product(of_scores, rows(&self.keys, &strip.keys));
            let places = strip.rows.start * head_dim..strip.rows.end * head_dim;
            sums.queries[places].copy_from_slice(values(&of_queries));
        }
    }

    /// Shape: `[rows, keys]`.
    fn scores(&self, strip: &Strip) -> FlexTensor {
        let keys = rows(&self.keys, &strip.keys);
        product(rows(&self.queries, &strip.rows), keys.transpose(0, 1))
    }
}

/// Turns scores into exponentials, hidden ones into zeros; writes each row's logarithm of their sum and returns the
/// reciprocals of the sums.
fn exponentials(strip: &Strip, scores: &mut [f32], log_totals: &mut [f32]) -> Vec<f32> {
    let rows = strip.visible().zip(scores.chunks_mut(strip.keys.len()));
    rows.map(|((row, seen), scores)| {
        let (seen, hidden) = scores.split_at_mut(seen);
        let largest = maximum(seen);
        let total = exp_in_place(seen, largest);
        hidden.fill(0.0);
        log_totals[row] = largest + total.ln();
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

fn add(sums: &mut [f32], parts: &[f32]) {
    sums.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
}
