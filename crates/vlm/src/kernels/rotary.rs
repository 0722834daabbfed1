//! Turning queries and keys and putting heads before tokens, in one pass.

use std::sync::Arc;

use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;
use rayon::prelude::*;

use super::autodiff::{FusedGradient, Input, record, tensor, values};

/// Cosine and sine of every pair `(i, i + head_dim / 2)` of a head, for every token: `[n, head_dim / 2]` each.
#[derive(Clone, Debug)]
pub(crate) struct RotaryTable {
    pub cos: Arc<[f32]>,
    pub sin: Arc<[f32]>,
}

/// Turns the heads of `x` `[b·t, h·head_dim]` by the tokens' angles, lengthens them by `factor` and gives them out as
/// `[b, h, t, head_dim]`.
pub(crate) fn rotate_heads(
    x: Tensor<2>,
    table: &RotaryTable,
    [b, t]: [usize; 2],
    head_dim: usize,
    factor: f32,
) -> Tensor<4> {
    let [_, width] = x.dims();
    let input = Input::new(x);
    let kept = Gradient {
        table: table.clone(),
        t,
        head_dim,
        width,
        factor,
    };
    let output = kept.turn_to_heads(values(&input.value));
    record([input.node], tensor(output, [b, width / head_dim, t, head_dim]), || {
        kept
    })
}

#[derive(Clone, Debug)]
struct Gradient {
    table: RotaryTable,
    t: usize,
    head_dim: usize,
    // Of a token's row: all heads side by side.
    width: usize,
    factor: f32,
}

impl Gradient {
    fn turn_to_heads(&self, rows: &[f32]) -> Vec<f32> {
        let Self { t, head_dim, width, .. } = *self;
        let mut heads = vec![0.0; rows.len()];
        heads
            .par_chunks_mut(t * head_dim)
            .enumerate()
            .for_each(|(index, head)| {
                let (sequence, offset) = (index / (width / head_dim), index % (width / head_dim) * head_dim);
                for (token_idx, output) in head.chunks_mut(head_dim).enumerate() {
                    let token_idx = sequence * t + token_idx;
                    let start = token_idx * width + offset;
                    self.turn(token_idx, &rows[start..start + head_dim], output, 1.0);
                }
            });
        heads
    }

    // The way back of a turn is the turn the other way.
    fn turn_to_rows(&self, heads: &[f32]) -> Vec<f32> {
        let Self { t, head_dim, width, .. } = *self;
        let mut rows = vec![0.0; heads.len()];
        rows.par_chunks_mut(width).enumerate().for_each(|(token_idx, row)| {
            let (sequence, place) = (token_idx / t, token_idx % t);
            for (head, output) in row.chunks_mut(head_dim).enumerate() {
                let start = ((sequence * (width / head_dim) + head) * t + place) * head_dim;
                self.turn(token_idx, &heads[start..start + head_dim], output, -1.0);
            }
        });
        rows
    }

    fn turn(&self, token_idx: usize, input: &[f32], output: &mut [f32], direction: f32) {
        let half = self.head_dim / 2;
        let angles = token_idx * half..(token_idx + 1) * half;
        let (cos, sin) = (&self.table.cos[angles.clone()], &self.table.sin[angles]);
        let (first, second) = input.split_at(half);
        let (first_output, second_output) = output.split_at_mut(half);
        for pair in 0..half {
            let (cos, sin) = (cos[pair] * self.factor, sin[pair] * self.factor * direction);
            first_output[pair] = first[pair] * cos - second[pair] * sin;
            second_output[pair] = second[pair] * cos + first[pair] * sin;
        }
    }
}

impl FusedGradient<1> for Gradient {
    fn inputs_from_output(self, output: FlexTensor, wanted: [bool; 1]) -> [Option<FlexTensor>; 1] {
        let rows = self.turn_to_rows(values(&output));
        let n = rows.len() / self.width;
        [wanted[0].then(|| tensor(rows, [n, self.width]))]
    }
}
