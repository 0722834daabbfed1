//! Rotary position embedding (RoPE) of queries and keys, and heads put before tokens, in one pass.

use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;

use super::autodiff::{Input, record, supported, tensor, values};

/// Cosine and sine of every pair `(i, i + head_dim / 2)` of a head, for every token: `[n, head_dim / 2]` each.
#[derive(Clone, Debug)]
pub(crate) struct RopeTable {
    pub cos: Arc<[f32]>,
    pub sin: Arc<[f32]>,
}

/// Rotates the heads of each token by its angles, scales them by `factor` and puts heads before tokens.
///
/// Shapes: `x` `[b·t, h·head_dim]` → `[b, h, t, head_dim]`.
pub(crate) fn apply_rope(
    x: Tensor<2>,
    table: &RopeTable,
    shape: [usize; 2],
    head_dim: usize,
    factor: f64,
) -> Tensor<4> {
    if supported(&x) { fused(x, table, shape, head_dim, factor) } else { composed(x, table, shape, head_dim, factor) }
}

pub(super) fn composed(x: Tensor<2>, table: &RopeTable, [b, t]: [usize; 2], head_dim: usize, factor: f64) -> Tensor<4> {
    let (half, device) = (head_dim / 2, x.device().without_autodiff());
    let [cos, sin] = [&table.cos, &table.sin]
        .map(|values| Tensor::<4>::from_data(TensorData::new(values.to_vec(), [b, t, 1, half]), &device) * factor);
    let heads = x.dims()[1] / head_dim;
    let x = x.reshape([b, t, heads, head_dim]);
    let (first, second) = (x.clone().narrow(3, 0, half), x.narrow(3, half, half));
    let rotated_first = first.clone() * cos.clone() - second.clone() * sin.clone();
    let rotated_second = second * cos + first * sin;
    Tensor::cat(vec![rotated_first, rotated_second], 3).swap_dims(1, 2)
}

fn fused(x: Tensor<2>, table: &RopeTable, [b, t]: [usize; 2], head_dim: usize, factor: f64) -> Tensor<4> {
    let [_, width] = x.dims();
    let input = Input::new(x);
    let rotation = Rotation { table: table.clone(), t, head_dim, width, factor: factor as f32 };
    let output = rotation.rotate_to_heads(values(&input.value));
    record([input.node], tensor(output, [b, width / head_dim, t, head_dim]), move |output, [wanted]| {
        [wanted.then(|| tensor(rotation.rotate_to_rows(values(&output)), [b * t, width]))]
    })
}

#[derive(Clone, Debug)]
struct Rotation {
    table: RopeTable,
    t: usize,
    head_dim: usize,
    // Of a token's row: all heads end to end.
    width: usize,
    factor: f32,
}

impl Rotation {
    fn rotate_to_heads(&self, rows: &[f32]) -> Vec<f32> {
        let Self { t, head_dim, width, .. } = *self;
        let mut heads = vec![0.0; rows.len()];
        heads.par_chunks_mut(t * head_dim).enumerate().for_each(|(index, head)| {
            let (sequence, offset) = (index / (width / head_dim), index % (width / head_dim) * head_dim);
            for (token_idx, output) in head.chunks_mut(head_dim).enumerate() {
                let token_idx = sequence * t + token_idx;
                let start = token_idx * width + offset;
                self.rotate(token_idx, &rows[start..start + head_dim], output, 1.0);
            }
        });
        heads
    }

    // The gradient of a rotation is the rotation by the opposite angle.
    fn rotate_to_rows(&self, heads: &[f32]) -> Vec<f32> {
        let Self { t, head_dim, width, .. } = *self;
        let mut rows = vec![0.0; heads.len()];
        rows.par_chunks_mut(width).enumerate().for_each(|(token_idx, row)| {
            let (sequence, in_sequence) = (token_idx / t, token_idx % t);
            for (head, output) in row.chunks_mut(head_dim).enumerate() {
                let start = ((sequence * (width / head_dim) + head) * t + in_sequence) * head_dim;
                self.rotate(token_idx, &heads[start..start + head_dim], output, -1.0);
            }
        });
        rows
    }

    fn rotate(&self, token_idx: usize, input: &[f32], output: &mut [f32], direction: f32) {
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
