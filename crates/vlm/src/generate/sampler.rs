//! One token from one row of scores: ban, adjustments, temperature, truncation, and a generator of its own for each sequence.
//!
//! All arithmetic is on the host in `f64`, sequence by sequence, so that a token depends on that sequence's scores and
//! seed alone.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::adjustments::{Adjustments, History};
use super::probabilities::{keep_top, weights};

/// A token and how likely it was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sampled {
    /// The token's id.
    pub token: u32,
    /// Its log-probability (nats) under the distribution it was sampled from.
    pub logprob: f32,
}

/// How to turn scores into a token.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sampler<'a> {
    /// 0 is greedy.
    pub temperature: f64,
    /// 1 keeps all.
    pub top_p: f64,
    /// Never sampled.
    pub banned: &'a [u32],
    /// What a request adjusts beyond that, after the tokens of its sequence.
    pub adjustments: &'a Adjustments,
    /// These tokens.
    pub history: &'a History,
}

/// The generator of one sequence.
pub(super) fn generator(seed: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    ChaCha8Rng::from_seed(key)
}

/// A number in [0, 1) with 53 random bits.
fn uniform(generator: &mut ChaCha8Rng) -> f64 {
    (generator.next_u64() >> 11) as f64 * f64::powi(2.0, -53)
}

impl Sampler<'_> {
    /// Samples a token.
    ///
    /// Shapes: `scores`: `[v]`, the logits of one position. Ban, bias, penalties, temperature, min-p, top-k and top-p
    /// follow each other, as in vLLM. The log-probability is that of the distribution sampled from: after all of
    /// them, what is kept scaled back to 1. Temperature 0 is greedy: it takes the most likely token (the lowest id of
    /// equals) and reports its log-probability at temperature 1 after ban, bias and penalties.
    ///
    /// None if the scores are not finite, as after training has diverged.
    pub fn sample(&self, scores: &[f32], generator: &mut ChaCha8Rng) -> Option<Sampled> {
        let mut scores: Vec<f64> = scores.iter().map(|&score| f64::from(score)).collect();
        if !scores.iter().all(|score| score.is_finite()) {
            return None;
        }
        for &token in self.banned {
            if let Some(score) = scores.get_mut(token as usize) {
                *score = f64::NEG_INFINITY;
            }
        }
        self.adjustments.shift(&mut scores, self.history);
        if self.temperature == 0.0 { greedy(&scores) } else { self.sample_at_temperature(&scores, generator) }
    }

    fn sample_at_temperature(&self, scores: &[f64], generator: &mut ChaCha8Rng) -> Option<Sampled> {
        let (mut weights, total) = weights(scores, self.temperature);
        let mut total = self.adjustments.truncate(&mut weights, total);
        if self.top_p < 1.0 {
            total = keep_top(&mut weights, self.top_p * total);
        }
        let target = uniform(generator) * total;
        let mut cumulative = 0.0;
        let mut chosen = None;
        for (token, &weight) in weights.iter().enumerate() {
            if weight > 0.0 {
                cumulative += weight;
                chosen = Some(Sampled { token: token as u32, logprob: (weight / total).ln() as f32 });
                if target < cumulative {
                    break;
                }
            }
        }
        chosen
    }
}

fn greedy(scores: &[f64]) -> Option<Sampled> {
    let (token, &highest) =
        scores.iter().enumerate().reduce(|best, other| if other.1 > best.1 { other } else { best })?;
    let (_, total) = weights(scores, 1.0);
    highest.is_finite().then(|| Sampled { token: token as u32, logprob: -total.ln() as f32 })
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    /// Probabilities .5, .25, .15, .1 as scores.
    fn scores() -> Vec<f32> {
        [0.5_f32, 0.25, 0.15, 0.1].map(f32::ln).to_vec()
    }

    static NEUTRAL: LazyLock<(Adjustments, History)> = LazyLock::new(Default::default);

    /// One that nothing adjusts.
    fn sampler(temperature: f64, top_p: f64, banned: &[u32]) -> Sampler<'_> {
        let (adjustments, history) = &*NEUTRAL;
        Sampler { temperature, top_p, banned, adjustments, history }
    }

    fn counts(sampler: &Sampler, n: usize) -> [usize; 4] {
        let mut generator = generator(7);
        let mut counts = [0; 4];
        for _ in 0..n {
            counts[sampler.sample(&scores(), &mut generator).expect("finite scores").token as usize] += 1;
        }
        counts
    }

    #[test]
    fn samples_follow_the_distribution() {
        let counts = counts(&sampler(1.0, 1.0, &[]), 40_000);
        for (count, probability) in counts.into_iter().zip([0.5, 0.25, 0.15, 0.1]) {
            let share = count as f64 / 40_000.0;
            assert!((share - probability).abs() < 0.01, "{share} for {probability}");
        }
    }

    #[test]
    fn log_probability_is_that_of_the_distribution_sampled_from() {
        // Temperature 0.5 squares the probabilities: .25, .0625, .0225, .01 of .345; top-p .9 keeps the first two.
        let sampler = sampler(0.5, 0.9, &[]);
        let mut generator = generator(3);
        for _ in 0..200 {
            let sampled = sampler.sample(&scores(), &mut generator).expect("finite scores");
            let expected = [0.25_f32 / 0.3125, 0.0625 / 0.3125][sampled.token as usize].ln();
            assert!((sampled.logprob - expected).abs() < 1e-6);
        }
    }

    #[test]
    fn top_p_keeps_the_smallest_set_that_reaches_it() {
        let counts = counts(&sampler(1.0, 0.76, &[]), 4_000);
        assert!(counts[..3].iter().all(|&count| count > 0) && counts[3] == 0, "{counts:?}");
    }

    #[test]
    fn log_probability_is_that_after_adjustments_and_truncation() {
        // The first token's score falls by ln 2: .25, .25, .15, .1. Top-k 3 leaves the first three, top-p .7 of those
        // two.
        let adjustments =
            Adjustments { presence_penalty: std::f64::consts::LN_2, top_k: Some(3), ..Adjustments::default() };
        let mut history = History::default();
        history.push(0);
        let mut generator = generator(3);
        let truncating = Sampler { adjustments: &adjustments, history: &history, ..sampler(1.0, 0.7, &[]) };
        let mut seen = [0; 4];
        for _ in 0..200 {
            let sampled = truncating.sample(&scores(), &mut generator).expect("finite scores");
            assert!((sampled.logprob - 0.5_f32.ln()).abs() < 1e-6, "{sampled:?}");
            seen[sampled.token as usize] += 1;
        }
        assert!(seen[0] > 50 && seen[1] > 50, "{seen:?}");
        // Greedy, the penalty alone counts.
        let heavy = Adjustments { presence_penalty: 1.0, ..adjustments };
        let greedy = Sampler { adjustments: &heavy, history: &history, ..sampler(0.0, 1.0, &[]) };
        let sampled = greedy.sample(&scores(), &mut generator).expect("finite scores");
        let total = 0.5_f32 / std::f32::consts::E + 0.5;
        assert_eq!(sampled.token, 1);
        assert!((sampled.logprob - (0.25 / total).ln()).abs() < 1e-6, "{sampled:?}");
    }

    #[test]
    fn banned_tokens_are_never_sampled_and_the_rest_is_scaled_up() {
        let counts = counts(&sampler(1.0, 1.0, &[0, 2]), 4_000);
        assert!(counts[0] == 0 && counts[2] == 0, "{counts:?}");
        let sampled = sampler(0.0, 1.0, &[0, 2]).sample(&scores(), &mut generator(0)).expect("finite scores");
        assert_eq!(sampled.token, 1);
        assert!((sampled.logprob - (0.25_f32 / 0.35).ln()).abs() < 1e-6);
    }

    #[test]
    fn temperature_zero_takes_the_lowest_id_of_equals() {
        let sampled = sampler(0.0, 1.0, &[]).sample(&[1.0, 2.0, 2.0], &mut generator(0));
        assert_eq!(sampled.map(|sampled| sampled.token), Some(1));
    }

    #[test]
    fn scores_that_are_not_finite_give_nothing() {
        assert_eq!(sampler(1.0, 1.0, &[]).sample(&[0.0, f32::NAN], &mut generator(0)), None);
        assert_eq!(sampler(1.0, 1.0, &[0, 1]).sample(&[0.0, 1.0], &mut generator(0)), None);
    }
}
