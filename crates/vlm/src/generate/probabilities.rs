//! From scores to probabilities, and the order of tokens by them.

use std::cmp::Ordering;

use super::completion::ModelLogprobs;

/// The log-probabilities (nats) that the model itself gives a token and the `n_top` most likely, at temperature 1, with
/// nothing banned or truncated: those of a scorer.
pub(super) fn model_logprobs(scores: &[f32], token: u32, n_top: usize) -> ModelLogprobs {
    let scores: Vec<f64> = scores.iter().map(|&score| f64::from(score)).collect();
    let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let log_total = highest + weights(&scores, 1.0).1.ln();
    let mut order: Vec<usize> = (0..scores.len()).collect();
    if n_top < order.len() {
        order.select_nth_unstable_by(n_top, |&a, &b| larger_first(&scores, a, b));
        order.truncate(n_top);
    }
    order.sort_unstable_by(|&a, &b| larger_first(&scores, a, b));
    ModelLogprobs {
        sampled: (scores[token as usize] - log_total) as f32,
        top: order.into_iter().map(|token| (token as u32, (scores[token] - log_total) as f32)).collect(),
    }
}

/// exp((score - highest) / temperature) of each token, and their sum.
pub(super) fn weights(scores: &[f64], temperature: f64) -> (Vec<f64>, f64) {
    let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = scores.iter().map(|score| ((score - highest) / temperature).exp()).collect();
    let total = weights.iter().sum();
    (weights, total)
}

/// Of two tokens, that of the larger value first; of equals, the lower id.
pub(super) fn larger_first(values: &[f64], a: usize, b: usize) -> Ordering {
    values[b].total_cmp(&values[a]).then(a.cmp(&b))
}

/// Zeroes all but the smallest set of most likely tokens whose weights reach `wanted`; returns what is kept. Of equals,
/// lower ids are kept first.
pub(super) fn keep_top(weights: &mut [f64], wanted: f64) -> f64 {
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by(|&a, &b| larger_first(weights, a, b));
    let mut kept = 0.0;
    for token in order {
        if kept < wanted {
            kept += weights[token];
        } else {
            weights[token] = 0.0;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_s_log_probabilities_know_neither_bans_nor_temperature() {
        let scores = [0.5_f32, 0.25, 0.15, 0.1].map(f32::ln);
        let ModelLogprobs { sampled, top } = model_logprobs(&scores, 3, 2);
        assert!((sampled - 0.1_f32.ln()).abs() < 1e-6);
        let expected = [(0, 0.5_f32), (1, 0.25)].map(|(token, probability)| (token, probability.ln()));
        assert!(
            top.iter()
                .zip(expected)
                .all(|(got, expected)| { got.0 == expected.0 && (got.1 - expected.1).abs() < 1e-6 })
        );
        assert_eq!(top.len(), 2);
        assert_eq!(model_logprobs(&scores, 0, 9).top.len(), 4);
    }
}
