//! Attention by the formula, with the scores of all queries by all keys at once.

use burn::tensor::{Device, Tensor, activation};

use super::inputs::{AttentionMask, Qkv, Segment, Span};
use crate::kernels::softmax::{additive_mask, softmax};

/// Eager attention; under a full mask every row is one segment.
pub(super) fn eager_attention(qkv: Qkv, segments: &[Segment], mask: AttentionMask) -> Tensor<4> {
    let Qkv { queries, keys, values } = qkv;
    let [b, n_heads, t, head_dim] = queries.dims();
    if mask == AttentionMask::Full {
        return softmax(queries.matmul(keys.swap_dims(2, 3)), None).matmul(values);
    }
    // The query heads that share a key head are rows of one product, so that keys are never repeated.
    let kv_heads = keys.dims()[1];
    let rows = n_heads / kv_heads * t;
    let queries = queries.reshape([b, kv_heads, rows, head_dim]);
    let scores = queries.matmul(keys.swap_dims(2, 3)); // [b, kv, rows, columns]
    let weights = if segments.len() > b {
        let mask = segment_mask(segments, [b, t], rows, &scores.device().without_autodiff());
        activation::softmax(scores + mask, 3)
    } else {
        softmax(scores, Some(t))
    };
    weights.matmul(values).reshape([b, n_heads, t, head_dim])
}

/// What is added to the scores of packed rows, `[b, 1, rows, t]`; `rows` is a multiple of `t`, a head's rows after
/// another's.
fn segment_mask(segments: &[Segment], [b, t]: [usize; 2], rows: usize, device: &Device) -> Tensor<4> {
    // For each token its prefix, and the first token of its own sequence; for padding the first of the row.
    let mut visible_from = vec![(Span::default(), 0); b * t];
    for Segment { row, prefix, own } in segments {
        visible_from[row * t + own.start..][..own.length].fill((*prefix, own.start));
    }
    additive_mask([b, 1, rows, t], device, |index, column| {
        let (row, token_idx) = (index / rows, index % rows % t);
        let (prefix, first) = visible_from[row * t + token_idx];
        prefix.range().contains(&column) || (first..=token_idx).contains(&column)
    })
}
