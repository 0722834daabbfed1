//! Attention strip by strip against the formula, over shapes of every kind.

use burn::tensor::{Device, Tensor, TensorData};
use proptest::prelude::*;

use super::super::tests::{check, leaf, numbers};
use super::{Sees, Segment, Span, attention};

/// `[b, h, t, head_dim]` attention by the formula, with every score that is not to be seen hidden.
fn plain_attention(
    queries: Tensor<4>,
    keys: Tensor<4>,
    values: Tensor<4>,
    segments: &[Segment],
    sees: Sees,
) -> Tensor<4> {
    let ([b, h, t, d], [_, kv, _, _]) = (queries.dims(), keys.dims());
    let sees = |row: usize, query: usize, key: usize| {
        let together = |segment: &&Segment| {
            let (prefix, own) = (segment.prefix.range(), segment.own.range());
            segment.row == row && own.contains(&query) && (own.contains(&key) || prefix.contains(&key))
        };
        (key <= query || sees == Sees::All) && segments.iter().any(|segment| together(&segment))
    };
    let seen: Vec<f32> = (0..b * t * t)
        .map(|index| f32::from(u8::from(sees(index / (t * t), index / t % t, index % t))))
        .collect();
    let seen = Tensor::<4>::from_data(TensorData::new(seen, [b, 1, t, t]), &Device::flex());
    let shared = |heads: Tensor<4>| {
        let heads = heads.reshape([b, kv, 1, t * d]).repeat_dim(2, h / kv);
        heads.reshape([b, h, t, d])
    };
    let scores = queries.matmul(shared(keys).swap_dims(2, 3)).exp() * seen.clone();
    // A row that sees nothing has no sum to be divided by.
    let totals = scores.clone().sum_dim(3) + (-seen.max_dim(3) + 1.0);
    (scores / totals).matmul(shared(values))
}

/// Tokens of a row that share nothing.
fn segment(row: usize, start: usize, length: usize) -> Segment {
    branch(row, 0, start, length)
}

/// The same, which see the first `n_shared` tokens of the row besides.
fn branch(row: usize, n_shared: usize, start: usize, length: usize) -> Segment {
    Segment {
        row,
        prefix: Span {
            start: 0,
            length: n_shared,
        },
        own: Span { start, length },
    }
}

const BOTH: [Sees; 2] = [Sees::Earlier, Sees::All];

#[test]
fn attention_agrees_over_odd_shapes() {
    let cases: [([usize; 5], Vec<Segment>); 6] = [
        // One sequence of several strips, four query heads for two key heads.
        ([1, 4, 2, 150, 6], vec![segment(0, 0, 150)]),
        // A padded batch: no token of padding is seen or sees.
        ([2, 3, 1, 70, 5], vec![segment(0, 0, 70), segment(1, 0, 3)]),
        // Sequences packed into one row.
        (
            [1, 2, 2, 140, 4],
            vec![
                segment(0, 0, 1),
                segment(0, 1, 66),
                segment(0, 67, 64),
                segment(0, 131, 9),
            ],
        ),
        ([1, 1, 1, 1, 3], vec![segment(0, 0, 1)]),
        // Exactly two strips, and rows packed side by side.
        (
            [2, 6, 3, 128, 8],
            vec![segment(0, 0, 128), segment(1, 0, 64), segment(1, 64, 64)],
        ),
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
    for (([b, h, kv, t, d], segments), sees) in cases.into_iter().flat_map(|case| BOTH.map(|sees| (case.clone(), sees)))
    {
        let shared: std::sync::Arc<[Segment]> = segments.clone().into();
        let (queries, keys, values) = (
            numbers([b, h, t, d], 1) * 0.7,
            numbers([b, kv, t, d], 2),
            numbers([b, kv, t, d], 3),
        );
        check(
            queries.clone(),
            keys.clone(),
            |queries, keys| attention(queries, keys, values.clone(), &shared, sees),
            |queries, keys| plain_attention(queries, keys, values.clone(), &segments, sees),
        );
        check(
            keys,
            values,
            |keys, values| attention(queries.clone(), keys, values, &shared, sees),
            |keys, values| plain_attention(queries.clone(), keys, values, &segments, sees),
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
        sees in prop::sample::select(BOTH.to_vec()),
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
        let shared: std::sync::Arc<[Segment]> = segments.clone().into();
        let [queries, keys, values] =
            [(kv * group, 1), (kv, 2), (kv, 3)].map(|(heads, salt)| numbers([1, heads, t, d], seed * 4 + salt) * 0.7);
        check(
            queries.clone(),
            keys.clone(),
            |queries, keys| attention(queries, keys, values.clone(), &shared, sees),
            |queries, keys| plain_attention(queries, keys, values.clone(), &segments, sees),
        );
        check(
            queries,
            values.clone(),
            |queries, values| attention(queries, keys.clone(), values, &shared, sees),
            |queries, values| plain_attention(queries, keys.clone(), values, &segments, sees),
        );
    }
}

#[test]
fn attention_does_not_depend_on_threads() {
    let segments: std::sync::Arc<[Segment]> = [segment(0, 0, 1400)].into();
    let run = || {
        let inputs = [1, 2, 3].map(|seed| leaf(&numbers([1, if seed == 1 { 4 } else { 2 }, 1400, 96], seed)));
        let [queries, keys, values] = inputs.clone();
        let output = attention(queries, keys, values, &segments, Sees::Earlier);
        let gradients = (output.clone() * numbers(output.dims(), 7)).sum().backward();
        inputs.map(|input| input.grad(&gradients).unwrap().into_data())
    };
    let [one, three] = [1, 3].map(|threads| {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap()
            .install(run)
    });
    assert_eq!(one, three);
}
