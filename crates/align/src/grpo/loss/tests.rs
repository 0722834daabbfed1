//! Every branch of the loss against a plain restatement of its formula, and derivatives against finite differences.

use super::*;
use crate::engine::{Reply, Sequence};
use crate::grpo::Origin;

fn config() -> GrpoConfig {
    GrpoConfig { epsilon: 0.2, epsilon_high: 0.3, delta: 3.0, beta: 0.05, shaping_gamma: 0.1, ..GrpoConfig::default() }
}

/// The batch's loss by its formula alone: sums over members and tokens, one division at the end.
fn plain_loss(samples: &[TrainingSample], logprobs: &[Vec<f64>]) -> f64 {
    let (mut sum, mut n_tokens) = (0.0, 0.0);
    for (sample, logprobs) in samples.iter().zip(logprobs) {
        for (t, logprob) in logprobs.iter().enumerate() {
            let a = sample.advantage;
            let r = (logprob - f64::from(sample.old_logprobs[t])).clamp(-20.0, 20.0).exp();
            let clipped = (-a * r).max(-a * r.clamp(0.8, 1.3));
            let policy = if a < 0.0 { clipped.min(-a * 3.0) } else { clipped };
            let shaped = -a * logprob.exp() / (logprob.exp() + 0.1);
            let d = (f64::from(sample.reference_logprobs[t]) - logprob).clamp(-20.0, 20.0);
            let kl = (d.exp() - d - 1.0).clamp(-10.0, 10.0);
            sum += if sample.is_shaped { shaped } else { policy } + 0.05 * kl;
            n_tokens += 1.0;
        }
    }
    sum / n_tokens
}

fn sample(advantage: f64, is_shaped: bool, old: &[f32], reference: &[f32]) -> TrainingSample {
    TrainingSample {
        sequence: Sequence { id: "item".into(), messages: vec![], reply: Reply::Tokens(vec![0; old.len()]) },
        advantage,
        origin: if is_shaped { Origin::OffPolicy } else { Origin::OnPolicy },
        is_shaped,
        old_logprobs: old.to_vec(),
        reference_logprobs: reference.to_vec(),
        sampled: None,
    }
}

/// For both signs: ratio inside the range, clipped low, clipped high, beyond the dual clip, beyond ±20; references
/// near, and so far that the estimate or the log-ratio is cut.
fn batch() -> (Vec<TrainingSample>, Vec<Vec<f64>>) {
    let old = [-1.0, -1.0, -1.0, -3.0, -0.5, -23.0, -1.0];
    let reference = [-1.1, -3.0, -0.4, -0.9, -1.2, -0.5, -1.0];
    let logprobs = vec![-1.05, -1.9, -0.3, -0.6, -25.0, -0.25, -4.2];
    let samples = vec![
        sample(1.4, false, &old, &reference),
        sample(-0.7, false, &old, &reference),
        sample(0.9, true, &old, &reference),
    ];
    (samples, vec![logprobs.clone(), logprobs.clone(), logprobs])
}

fn scores(logprobs: &[f64]) -> TokenScores {
    TokenScores {
        token_ids: vec![0; logprobs.len()],
        logprobs: logprobs.iter().map(|logprob| *logprob as f32).collect(),
        entropies: vec![0.0; logprobs.len()],
    }
}

#[test]
fn the_loss_is_its_formula_in_every_branch() {
    let (samples, logprobs) = batch();
    let config = config();
    let loss = PolicyLoss::new(samples.iter().collect(), &config);
    let total: f64 = logprobs.iter().enumerate().map(|(index, row)| loss.evaluate(index, &scores(row)).loss).sum();
    let expected = plain_loss(&samples, &logprobs);
    assert!((total - expected).abs() < 1e-6, "expected {expected}, got {total}");
}

#[test]
fn gradients_are_finite_differences_in_every_branch() {
    let (samples, logprobs) = batch();
    let config = config();
    let loss = PolicyLoss::new(samples.iter().collect(), &config);
    for (row, values) in logprobs.iter().enumerate() {
        let gradient = loss.evaluate(row, &scores(values)).gradient;
        for (place, got) in gradient.iter().enumerate() {
            let [above, below] = [1e-6, -1e-6].map(|by| {
                let mut moved = logprobs.clone();
                moved[row][place] += by;
                plain_loss(&samples, &moved)
            });
            let slope = (above - below) / 2e-6;
            let close = (slope - f64::from(*got)).abs() < 1e-5 * slope.abs().max(1.0);
            assert!(close, "member {row}, token {place}: expected {slope}, got {got}");
        }
    }
}

#[test]
fn clips_stop_the_gradient_where_they_should() {
    fn gradient(ratio: f64, advantage: f64) -> f64 {
        clipped_term(ratio.ln(), 0.0, advantage, &config()).gradient
    }
    // A good token that is already likelier, a bad one that is already rarer, a bad one beyond the dual clip.
    assert_eq!(gradient(1.31, 1.0), 0.0);
    assert_eq!(gradient(0.79, -1.0), 0.0);
    assert_eq!(gradient(3.01, -1.0), 0.0);
    // Moves back towards the old policy are never stopped.
    assert!(gradient(0.5, 1.0) < 0.0);
    assert!(gradient(2.9, -1.0) > 0.0);
    let without_dual_clip = GrpoConfig { delta: 0.0, ..config() };
    assert!(clipped_term(5.0_f64.ln(), 0.0, -1.0, &without_dual_clip).gradient > 0.0);
}

#[test]
fn the_divergence_is_zero_at_the_reference_and_clamped_far_from_it() {
    for (logprob, reference, loss) in [(-1.0, -1.0, 0.0), (-30.0, -0.1, 10.0), (-0.1, -30.0, 10.0)] {
        assert_eq!(kl_term(logprob, reference), Term { loss, gradient: 0.0 });
    }
    assert!(kl_term(-1.0, -1.5).loss > 0.0 && kl_term(-1.0, -0.5).loss > 0.0);
}

#[test]
fn shaping_pulls_most_at_unlikely_tokens() {
    let [unlikely, possible, likely] =
        [0.01_f64, 0.1, 0.9].map(|probability| shaped_term(probability.ln(), 1.0, 0.1).gradient.abs() / probability);
    assert!(unlikely > possible && possible > likely);
}

#[test]
fn where_the_clip_binds_depends_on_the_sign() {
    for (ratio, advantage, region) in [
        (0.7_f64, -1.0, ClipRegion::Low),
        (0.7, 1.0, ClipRegion::Free),
        (1.4, 1.0, ClipRegion::High),
        (1.4, -1.0, ClipRegion::Free),
    ] {
        assert_eq!(clip_region(ratio.ln(), 0.0, advantage, &config()), region);
    }
}
