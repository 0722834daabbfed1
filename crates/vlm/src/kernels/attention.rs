//! Attention that never holds a matrix of all queries by all keys, neither forward nor backward.
//!
//! As in FlashAttention (Dao et al., arXiv 2205.14135) only the output and the logarithm of each row's sum of
//! exponentials are kept, and the backward pass recomputes the probabilities. Differs: work goes in blocks of
//! [`query_block::QUERY_BLOCK`] queries by all keys that are visible to them, not in square tiles, so that a softmax
//! needs no running rescaling; a thread holds two blocks, `64 · t` numbers each.

mod eager;
pub(super) mod inputs;
mod query_block;

use std::sync::Arc;

use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;
use rayon::prelude::*;

use super::autodiff::{Input, record, supported, tensor, values};
use super::numeric::add;
use eager::eager_attention;
use inputs::{AttentionMask, Qkv, Segment};
use query_block::{HeadGradients, HeadView};

/// Attention within each segment. Tokens of no segment (padding) come back meaningless.
///
/// Blockwise, unless `eager` requests all scores at once or the device has no fused operations.
///
/// Shapes: `queries` `[b, h, t, head_dim]`, already scaled; `keys` and `values` `[b, kv, t, head_dim]`, `h` a multiple
/// of `kv` → `[b, h, t, head_dim]`.
pub(crate) fn attention(qkv: Qkv, segments: &Arc<[Segment]>, mask: AttentionMask, eager: bool) -> Tensor<4> {
    if eager || !supported(&qkv.queries) { eager_attention(qkv, segments, mask) } else { fused(qkv, segments, mask) }
}

fn fused(qkv: Qkv, segments: &Arc<[Segment]>, mask: AttentionMask) -> Tensor<4> {
    let Qkv { queries, keys, values } = qkv;
    let [_, n_heads, t, head_dim] = queries.dims();
    let [_, kv_heads, _, _] = keys.dims();
    let (queries, keys, values) = (Input::new(queries), Input::new(keys), Input::new(values));
    let shape = HeadShape { n_heads, kv_heads, t, head_dim, mask };
    let nodes = [queries.node, keys.node, values.node];
    let inputs = [queries.value, keys.value, values.value];
    let (output, log_totals) = forward(&inputs, shape, segments);
    let kept = Kept { inputs, output: output.clone(), log_totals, segments: segments.clone(), shape };
    record(nodes, output, move |gradient, wanted| kept.gradients(&gradient, wanted))
}

#[derive(Clone, Copy, Debug)]
struct HeadShape {
    n_heads: usize,
    kv_heads: usize,
    t: usize,
    head_dim: usize,
    mask: AttentionMask,
}

impl HeadShape {
    fn head_length(self) -> usize {
        self.t * self.head_dim
    }

    /// The key head of query head `index`, both counted through the whole batch.
    fn key_head(self, index: usize) -> usize {
        let (row, head) = (index / self.n_heads, index % self.n_heads);
        row * self.kv_heads + head / (self.n_heads / self.kv_heads)
    }

    /// Query head `index` and the keys and values it attends to.
    fn view(self, index: usize, [queries, keys, values]: &[FlexTensor; 3]) -> HeadView {
        HeadView {
            queries: self.matrix(queries, index),
            keys: self.matrix(keys, self.key_head(index)),
            values: self.matrix(values, self.key_head(index)),
            mask: self.mask,
        }
    }

    /// One head of a contiguous tensor as a matrix `[t, head_dim]`, without copying.
    fn matrix(self, heads: &FlexTensor, index: usize) -> FlexTensor {
        let count = heads.layout().num_elements() / self.head_length();
        let matrices = heads.reshape([count * self.t, self.head_dim].into());
        matrices.narrow(0, index * self.t, self.t)
    }

    fn segments_of(self, index: usize, segments: &[Segment]) -> impl Iterator<Item = Segment> {
        let row = index / self.n_heads;
        segments.iter().copied().filter(move |segment| segment.row == row)
    }
}

/// The output, and of each of its rows the logarithm of the sum of exponentials.
fn forward(inputs: &[FlexTensor; 3], shape: HeadShape, segments: &[Segment]) -> (FlexTensor, Vec<f32>) {
    let dims = inputs[0].layout().shape().clone();
    let mut output = vec![0.0; dims.num_elements()];
    let mut log_totals = vec![0.0; output.len() / shape.head_dim];
    let heads = output.par_chunks_mut(shape.head_length());
    heads.zip(log_totals.par_chunks_mut(shape.t)).enumerate().for_each(|(index, (output, log_totals))| {
        let view = shape.view(index, inputs);
        for segment in shape.segments_of(index, segments) {
            view.forward(segment, output, log_totals);
        }
    });
    (tensor(output, dims), log_totals)
}

/// What the backward pass needs.
#[derive(Clone)]
struct Kept {
    inputs: [FlexTensor; 3],
    output: FlexTensor,
    log_totals: Vec<f32>,
    segments: Arc<[Segment]>,
    shape: HeadShape,
}

impl Kept {
    fn gradients(&self, gradient: &FlexTensor, wanted: [bool; 3]) -> [Option<FlexTensor>; 3] {
        let shape = self.shape;
        let n_heads = self.log_totals.len() / shape.t;
        let heads: Vec<HeadGradients> =
            (0..n_heads).into_par_iter().map(|index| self.of_head(index, gradient)).collect();
        let [queries, keys, _] = self.inputs.each_ref().map(|input| input.layout().shape().clone());
        // Every query head that shares keys and values adds to their gradients, in order.
        let mut of_keys = vec![0.0; keys.num_elements()];
        let mut of_values = vec![0.0; keys.num_elements()];
        let mut of_queries = Vec::with_capacity(queries.num_elements());
        for (index, head) in heads.into_iter().enumerate() {
            of_queries.extend(head.queries);
            let offset = shape.key_head(index) * shape.head_length();
            add(&mut of_keys[offset..], &head.keys);
            add(&mut of_values[offset..], &head.values);
        }
        [
            wanted[0].then(|| tensor(of_queries, queries)),
            wanted[1].then(|| tensor(of_keys, keys.clone())),
            wanted[2].then(|| tensor(of_values, keys)),
        ]
    }

    fn of_head(&self, index: usize, gradient: &FlexTensor) -> HeadGradients {
        let shape = self.shape;
        let view = shape.view(index, &self.inputs);
        let gradient = shape.matrix(gradient, index);
        let output = &values(&self.output)[index * shape.head_length()..][..shape.head_length()];
        let log_totals = &self.log_totals[index * shape.t..][..shape.t];
        let mut sums = HeadGradients::zeros(shape.head_length());
        for segment in shape.segments_of(index, &self.segments) {
            view.backward(segment, &gradient, output, log_totals, &mut sums);
        }
        sums
    }
}

#[cfg(test)]
mod tests;
