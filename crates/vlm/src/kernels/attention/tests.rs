//! Blockwise attention against the formula, over shapes of every kind.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use proptest::prelude::*;

use super::super::tests::{check, leaf, numbers};
use super::inputs::{AttentionMask, Qkv, Segment, Span};

fn attention(
    queries: Tensor<4>,
    keys: Tensor<4>,
    values: Tensor<4>,
    segments: &Arc<[Segment]>,
    mask: AttentionMask,
    eager: bool,
) -> Tensor<4> {
    super::attention(Qkv { queries, keys, values }, segments, mask, eager)
}

/// Whether a token of a row attends to another.
fn attends(segments: &[Segment], mask: AttentionMask, row: usize, query: usize, key: usize) -> bool {
    (key <= query || mask == AttentionMask::Full)
        && segments.iter().any(|segment| {
            let (prefix, own) = (segment.prefix.range(), segment.own.range());
            segment.row == row && own.contains(&query) && (own.contains(&key) || prefix.contains(&key))
        })
}

/// Repeats key heads for the query heads that share them.
fn repeated(heads: Tensor<4>, h: usize) -> Tensor<4> {
    let [b, kv, t, d] = heads.dims();
    let heads = heads.reshape([b, kv, 1, t * d]).repeat_dim(2, h / kv);
    heads.reshape([b, h, t, d])
}

/// `[b, h, t, head_dim]` attention by the formula, with every score masked that has to be.
fn plain_attention(
    queries: Tensor<4>,
    keys: Tensor<4>,
    values: Tensor<4>,
    segments: &[Segment],
    mask: AttentionMask,
) -> Tensor<4> {
    let [b, h, t, _] = queries.dims();
    let visible: Vec<f32> = (0..b * t * t)
        .map(|index| attends(segments, mask, index / (t * t), index / t % t, index % t))
        .map(|attends| f32::from(u8::from(attends)))
        .collect();
    let visible = Tensor::<4>::from_data(TensorData::new(visible, [b, 1, t, t]), &Device::flex());
    let scores = queries.matmul(repeated(keys, h).swap_dims(2, 3)).exp() * visible.clone();
    // A row that attends to nothing has no sum to be divided by.
    let totals = scores.clone().sum_dim(3) + (-visible.max_dim(3) + 1.0);
    (scores / totals).matmul(repeated(values, h))
}

/// Tokens of a row that share nothing.
fn segment(row: usize, start: usize, length: usize) -> Segment {
    branch(row, 0, start, length)
}

/// The same, which attend to the first `n_shared` tokens of the row too.
fn branch(row: usize, n_shared: usize, start: usize, length: usize) -> Segment {
    Segment { row, prefix: Span { start: 0, length: n_shared }, own: Span { start, length } }
}

const MASKS: [AttentionMask; 2] = [AttentionMask::Causal, AttentionMask::Full];

#[test]
fn attention_agrees_over_odd_shapes() {
    let cases: [([usize; 5], Vec<Segment>); 6] = [
        // One sequence of several blocks, four query heads for two key heads.
        ([1, 4, 2, 150, 6], vec![segment(0, 0, 150)]),
        // A padded batch: no token attends to padding, nor padding to any.
        ([2, 3, 1, 70, 5], vec![segment(0, 0, 70), segment(1, 0, 3)]),
        // Sequences packed into one row.
        ([1, 2, 2, 140, 4], vec![segment(0, 0, 1), segment(0, 1, 66), segment(0, 67, 64), segment(0, 131, 9)]),
        ([1, 1, 1, 1, 3], vec![segment(0, 0, 1)]),
        // Exactly two blocks, and rows packed side by side.
        ([2, 6, 3, 128, 8], vec![segment(0, 0, 128), segment(1, 0, 64), segment(1, 64, 64)]),
        // Replies of none, one and many tokens that branch off the first 70 of 75, beside a row that shares nothing.
        (
            [2, 4, 2, 150, 6],
            vec![
                segment(0, 0, 75),
                branch(0, 70, 75, 1),
                branch(0, 70, 76, 0),
                branch(0, 70, 76, 74),
                segment(1, 0, 9),
            ],
        ),
    ];
    for (([b, h, kv, t, d], segments), mask) in cases.iter().flat_map(|case| MASKS.map(|mask| (case, mask))) {
        check_all(
            &(numbers([*b, *h, *t, *d], 1) * 0.7),
            numbers([*b, *kv, *t, *d], 2),
            numbers([*b, *kv, *t, *d], 3),
            segments,
            mask,
        );
    }
}

/// Compares values and all gradients with the formula's.
fn check_all(queries: &Tensor<4>, keys: Tensor<4>, values: Tensor<4>, segments: &[Segment], mask: AttentionMask) {
    let shared: Arc<[Segment]> = segments.into();
    check(
        queries.clone(),
        keys.clone(),
        |queries, keys| attention(queries, keys, values.clone(), &shared, mask, false),
        |queries, keys| plain_attention(queries, keys, values.clone(), segments, mask),
    );
    check(
        keys,
        values,
        |keys, values| attention(queries.clone(), keys, values, &shared, mask, false),
        |keys, values| plain_attention(queries.clone(), keys, values, segments, mask),
    );
}

#[test]
fn eager_attention_agrees_where_there_is_no_padding() {
    let packed = [segment(0, 0, 1), segment(0, 1, 66), segment(0, 67, 13)];
    let branched = [segment(0, 0, 75), branch(0, 70, 75, 5)];
    for (segments, mask) in [
        (&[segment(0, 0, 80)][..], AttentionMask::Causal),
        (&packed, AttentionMask::Causal),
        (&branched, AttentionMask::Causal),
        (&[segment(0, 0, 80)], AttentionMask::Full),
    ] {
        let kv = if mask == AttentionMask::Full { 4 } else { 2 };
        let (shared, values) = (segments.into(), numbers([1, kv, 80, 6], 3));
        check(
            numbers([1, 4, 80, 6], 1) * 0.7,
            numbers([1, kv, 80, 6], 2),
            |queries, keys| attention(queries, keys, values.clone(), &shared, mask, true),
            |queries, keys| plain_attention(queries, keys, values.clone(), segments, mask),
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn attention_agrees_over_any_shape(
        lengths in prop::collection::vec(1_usize..90, 1..4),
        (kv, group, d) in (1_usize..3, 1_usize..4, 1_usize..9),
        padding in 0_usize..5,
        seed in 0_u32..1000,
        n_shared in 0_usize..90,
        mask in prop::sample::select(MASKS.to_vec()),
    ) {
        let mut start = 0;
        let segments = lengths.iter().map(|&length| {
            start += length;
            // All but the first branch off it.
            let n_shared = if start > length { n_shared.min(lengths[0]) } else { 0 };
            branch(0, n_shared, start - length, length)
        });
        let segments: Vec<Segment> = segments.collect();
        let t = start + padding;
        let [queries, keys, values] =
            [(kv * group, 1), (kv, 2), (kv, 3)].map(|(heads, salt)| numbers([1, heads, t, d], seed * 4 + salt) * 0.7);
        check_all(&queries, keys, values, &segments, mask);
    }
}

#[test]
fn attention_does_not_depend_on_threads() {
    let segments: Arc<[Segment]> = [segment(0, 0, 1400)].into();
    let [one, three] = [1, 3].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap().install(|| {
            let inputs = [1, 2, 3].map(|seed| leaf(&numbers([1, if seed == 1 { 4 } else { 2 }, 1400, 96], seed)));
            let [queries, keys, values] = inputs.clone();
            let output = attention(queries, keys, values, &segments, AttentionMask::Causal, false);
            let gradients = (output.clone() * numbers(output.dims(), 7)).sum().backward();
            inputs.map(|input| input.grad(&gradients).unwrap().into_data())
        })
    });
    assert_eq!(one, three);
}
