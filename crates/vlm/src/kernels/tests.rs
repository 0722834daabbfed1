//! Every fused operation against the composed one that other devices run: values and gradients.

use burn::tensor::{Device, FloatDType, Tensor, TensorData, activation};

use super::*;

/// Numbers without pattern in [-2, 2).
pub(super) fn numbers<const D: usize>(shape: [usize; D], seed: u32) -> Tensor<D> {
    let count: usize = shape.iter().product();
    let values: Vec<f32> = (0..count as u32)
        .map(|index| {
            let mixed = (index ^ (seed << 20)).wrapping_mul(0x9E37_79B9).rotate_left(13).wrapping_mul(0x85EB_CA6B);
            (mixed >> 8) as f32 / 4_194_304.0 - 2.0
        })
        .collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

pub(super) fn leaf<const D: usize>(tensor: &Tensor<D>) -> Tensor<D> {
    tensor.clone().autodiff().require_grad()
}

#[track_caller]
fn assert_close<const D: usize>(what: &str, got: Tensor<D>, expected: Tensor<D>) {
    assert_eq!(got.dims(), expected.dims(), "{what}");
    let pairs = got.into_data().iter::<f32>().zip(expected.into_data().iter::<f32>()).collect::<Vec<_>>();
    let scale = pairs.iter().fold(1.0_f32, |scale, (_, expected)| scale.max(expected.abs()));
    for (index, (got, expected)) in pairs.into_iter().enumerate() {
        assert!((got - expected).abs() <= 2e-6 * scale, "{what}[{index}]: got {got}, expected {expected}");
    }
}

/// Compares two functions of two tensors: values, and both gradients under an uneven output gradient.
#[expect(clippy::needless_pass_by_value, reason = "calls read better without a reference before every closure")]
pub(super) fn check<const A: usize, const B: usize, const O: usize>(
    a: Tensor<A>,
    b: Tensor<B>,
    fused: impl Fn(Tensor<A>, Tensor<B>) -> Tensor<O>,
    composed: impl Fn(Tensor<A>, Tensor<B>) -> Tensor<O>,
) {
    assert_close("without autodiff", fused(a.clone(), b.clone()), composed(a.clone(), b.clone()));
    let [got, expected] = [&fused as &dyn Fn(Tensor<A>, Tensor<B>) -> Tensor<O>, &composed].map(|function| {
        let (a, b) = (leaf(&a), leaf(&b));
        let output = function(a.clone(), b.clone());
        let weights = numbers(output.dims(), 7);
        let gradients = (output.clone() * weights).sum().backward();
        (output.without_autodiff(), a.grad(&gradients), b.grad(&gradients))
    });
    assert_close("output", got.0, expected.0);
    for (what, got, expected) in
        [("first", got.1.is_some(), expected.1.is_some()), ("second", got.2.is_some(), expected.2.is_some())]
    {
        assert_eq!(got, expected, "{what} gradient is there");
    }
    if let (Some(got), Some(expected)) = (got.1, expected.1) {
        assert_close("first gradient", got, expected);
    }
    if let (Some(got), Some(expected)) = (got.2, expected.2) {
        assert_close("second gradient", got, expected);
    }
}

#[test]
fn rms_norm_agrees() {
    check(
        numbers([150, 19], 1),
        numbers([19], 2),
        |x, weight| rms_norm(x, weight, 1e-6),
        |x: Tensor<2>, weight| rms_norm::composed(x, weight, 1e-6),
    );
}

#[test]
fn swiglu_agrees() {
    let (gate, up) = (numbers([130, 150], 1), numbers([130, 150], 2));
    check(gate, up, swiglu, swiglu::composed);
}

#[test]
fn linear_agrees_with_and_without_a_bias() {
    let (x, weight, bias) = (numbers([130, 24], 3), numbers([10, 24], 4), numbers([10], 5));
    check(
        x.clone(),
        weight.clone(),
        |x, weight| linear(x, weight, None),
        |x, weight| linear::composed(x, weight, None),
    );
    check(
        x,
        bias,
        |x, bias| linear(x, weight.clone(), Some(bias)),
        |x, bias| linear::composed(x, weight.clone(), Some(bias)),
    );
}

#[test]
fn softmax_agrees_with_and_without_a_causal_mask() {
    let shape = [2, 3, 10, 5];
    for period in [Some(5), None] {
        // The second input makes the scores something that is not shared, as in attention.
        check(
            numbers(shape, 5),
            numbers(shape, 6),
            |scores, shift: Tensor<4>| softmax(scores + shift, period),
            |scores, shift: Tensor<4>| softmax::composed(scores + shift, period),
        );
    }
}

#[test]
fn a_causal_mask_leaves_a_row_the_columns_up_to_its_own() {
    let probabilities = softmax(numbers([1, 1, 10, 5], 5), Some(5)).into_data();
    for (index, probability) in probabilities.iter::<f32>().enumerate() {
        assert_eq!(probability > 0.0, index % 5 <= index / 5 % 5, "{index}");
    }
}

#[test]
fn softmax_leaves_shared_scores_as_they_were() {
    let scores = numbers([1, 1, 3, 4], 8);
    let before = scores.to_data();
    softmax(scores.clone(), None);
    assert_eq!(scores.to_data(), before);
}

#[test]
fn rotated_heads_agree() {
    let ([b, t], heads, head_dim) = ([2, 3], 2, 4);
    let angles: Vec<f32> = (0..b * t * head_dim / 2).map(|index| index as f32 * 0.37).collect();
    let table = RopeTable {
        cos: angles.iter().map(|angle| angle.cos()).collect(),
        sin: angles.iter().map(|angle| angle.sin()).collect(),
    };
    check(
        numbers([b * t, heads * head_dim], 1),
        numbers([heads * head_dim], 2),
        |x: Tensor<2>, scale: Tensor<1>| apply_rope(x * scale.unsqueeze(), &table, [b, t], head_dim, 0.5),
        |x: Tensor<2>, scale: Tensor<1>| rope::composed(x * scale.unsqueeze(), &table, [b, t], head_dim, 0.5),
    );
}

#[test]
fn token_logprobs_agree() {
    let targets = [3_u32, 0, 69, 5];
    let shift = numbers([4, 70], 2);
    let one_hot = targets.map(|target| (0..70).map(move |index| f32::from(u8::from(index == target))));
    let one_hot: Vec<f32> = one_hot.into_iter().flatten().collect();
    let one_hot = Tensor::<2>::from_data(TensorData::new(one_hot, [4, 70]), &Device::flex());
    for both in [token_logprobs, token_logprobs::composed] {
        check(
            numbers([4, 70], 1),
            shift.clone(),
            |logits, shift: Tensor<2>| both(logits + shift, &targets).0,
            |logits, shift: Tensor<2>| {
                let distribution = activation::log_softmax(logits + shift, 1);
                (distribution * one_hot.clone()).sum_dim(1).reshape([4])
            },
        );
        let logprobs = activation::log_softmax(shift.clone(), 1);
        let entropies: Tensor<1> = -(logprobs.clone().exp() * logprobs).sum_dim(1).reshape([4]);
        assert_close("entropies", both(shift.clone(), &targets).1, entropies);
    }
}

#[test]
fn constants_get_no_gradient_and_results_do_not_depend_on_threads() {
    let (x, weight) = (leaf(&numbers([300, 16], 1)), numbers([16], 2));
    let [one, many] = [1, 0].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap().install(|| {
            let gradients = rms_norm(x.clone(), weight.clone(), 1e-6).square().sum().backward();
            x.grad(&gradients).unwrap().into_data()
        })
    });
    assert_eq!(one, many);
}

#[test]
fn dropout_agrees_with_its_factors_and_drops_the_requested_share() {
    let mask = DropoutMask { rate: 0.3, row_keys: (0..200).collect(), layer: 5 };
    check(
        numbers([200, 50], 1),
        numbers([200, 50], 2),
        |x, shift: Tensor<2>| dropout(x + shift, &mask),
        |x, shift: Tensor<2>| dropout::composed(x + shift, &mask),
    );
    let dropped = mask.factors(50).iter().filter(|factor| **factor == 0.0).count();
    // 10,000 samples: five standard deviations are 230.
    assert!(dropped.abs_diff(3000) < 230, "{dropped} of 10,000 dropped");
    let other = DropoutMask { layer: 6, ..mask.clone() };
    assert_ne!(other.factors(50), mask.factors(50));
}

#[test]
fn large_products_do_not_depend_on_threads() {
    // Larger than what the matrix product shares out between threads.
    let (x, weight) = (leaf(&numbers([700, 600], 1)), leaf(&numbers([900, 600], 2)));
    let [one, two, five] = [1, 2, 5].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap().install(|| {
            let output = linear(x.clone(), weight.clone(), None);
            let gradients = (output.clone() * numbers(output.dims(), 7)).sum().backward();
            let of_inputs = [&x, &weight].map(|input| input.grad(&gradients).unwrap().into_data());
            (output.without_autodiff().into_data(), of_inputs)
        })
    });
    assert!(one == two && one == five);
}

#[test]
fn chunked_log_probabilities_agree_with_those_of_all_logits() {
    for v in [VOCABULARY_CHUNK - 3, VOCABULARY_CHUNK, 2 * VOCABULARY_CHUNK + 5] {
        let targets = [3, 0, v as u32 - 1, 5, (v / 2) as u32];
        let (hidden, weight) = (numbers([5, 7], 1), numbers([v, 7], 2));
        check(
            hidden.clone(),
            weight.clone(),
            |hidden, weight| chunked_logprobs(hidden, weight, &targets).0,
            |hidden, weight| token_logprobs(linear(hidden, weight, None), &targets).0,
        );
        let (_, entropies) = chunked_logprobs(hidden.clone(), weight.clone(), &targets);
        let (_, expected) = token_logprobs(linear(hidden, weight, None), &targets);
        assert_close("entropies", entropies, expected);
    }
}

#[test]
fn a_head_of_two_byte_weights_is_scored_chunk_by_chunk_as_its_values_in_f32() {
    let targets = [1, 1500, 7];
    let (hidden, weight) = (numbers([3, 8], 1), numbers([2 * VOCABULARY_CHUNK, 8], 2));
    let half = weight.cast(FloatDType::BF16);
    let same = half.clone().cast(FloatDType::F32);
    let [half, same] = [half, same].map(|weight| {
        let hidden = leaf(&hidden);
        let (logprobs, entropies) = chunked_logprobs(hidden.clone(), weight, &targets);
        let gradients = (logprobs.clone() * numbers([3], 7)).sum().backward();
        let of_hidden = hidden.grad(&gradients).unwrap();
        (logprobs.without_autodiff().into_data(), entropies.into_data(), of_hidden.into_data())
    });
    assert!(half == same);
}

#[test]
fn a_frozen_head_gets_no_gradient_from_chunks() {
    let (hidden, weight) = (leaf(&numbers([3, 4], 1)), numbers([VOCABULARY_CHUNK + 1, 4], 2));
    let gradients = chunked_logprobs(hidden.clone(), weight, &[1, 2, 1024]).0.sum().backward();
    assert!(hidden.grad(&gradients).is_some());
}
