//! Statistics of rates: intervals for shares, tests and intervals for paired differences, means and quantiles.
//!
//! Shares are 0 to 1 here; tables multiply by 100.

pub mod agreement;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The 97.5 % point of the standard normal distribution, for two-sided 95 % intervals.
pub(crate) const Z: f64 = 1.959_963_984_540_054;

/// The mean; none without values.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The standard deviation of the values themselves (divided by n, not n - 1); none without values.
pub fn standard_deviation(values: &[f64]) -> Option<f64> {
    let mean = mean(values)?;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((squares / values.len() as f64).sqrt())
}

/// The middle value, or the mean of the two middle ones; none without values.
pub fn median(values: &[f64]) -> Option<f64> {
    quantile(values, 0.5)
}

/// The value below which a share of the values lies, linear between neighbors (Hyndman and Fan 1996, type 7);
/// none without values.
pub fn quantile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let position = share.clamp(0.0, 1.0) * (sorted.len().checked_sub(1)? as f64);
    let (below, above) = (sorted[position.floor() as usize], sorted[position.ceil() as usize]);
    Some(below + (above - below) * position.fract())
}

/// A share's 95 % interval, which holds at 0 and 1 and for few cases too; none without cases.
///
/// Source: Wilson 1927, the score interval without continuity correction.
pub fn wilson_interval(successes: usize, n: usize) -> Option<(f64, f64)> {
    if n == 0 {
        return None;
    }
    let (share, n) = (successes as f64 / n as f64, n as f64);
    let center = share + Z * Z / (2.0 * n);
    let spread = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z * Z / n;
    // Rounding would leave the ends slightly inside.
    let low = if share == 0.0 { 0.0 } else { (center - spread) / scale };
    let high = if share == 1.0 { 1.0 } else { (center + spread) / scale };
    Some((low, high))
}

/// The 95 % interval of a weighted sum of independent shares from their own intervals, `(weight, share, (low, high))`
/// each.
///
/// Source: Zou and Donner 2008, method of variance estimates recovery.
pub fn weighted_interval(shares: &[(f64, f64, (f64, f64))]) -> (f64, f64) {
    let sum: f64 = shares.iter().map(|(weight, share, _)| weight * share).sum();
    let below: f64 = shares.iter().map(|(weight, share, (low, _))| (weight * (share - low)).powi(2)).sum();
    let above: f64 = shares.iter().map(|(weight, share, (_, high))| (weight * (high - share)).powi(2)).sum();
    (sum - below.sqrt(), sum + above.sqrt())
}

/// The same cases judged twice: how many were yes both times, only the first, only the second, neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PairedCounts {
    /// Yes both times.
    pub both: usize,
    /// Yes the first time only.
    pub first_only: usize,
    /// Yes the second time only.
    pub second_only: usize,
    /// No both times.
    pub neither: usize,
}

impl FromIterator<(bool, bool)> for PairedCounts {
    fn from_iter<I: IntoIterator<Item = (bool, bool)>>(pairs: I) -> Self {
        let mut counts = Self::default();
        for pair in pairs {
            counts.add(pair);
        }
        counts
    }
}

impl PairedCounts {
    /// Counts one more case.
    pub fn add(&mut self, pair: (bool, bool)) {
        match pair {
            (true, true) => self.both += 1,
            (true, false) => self.first_only += 1,
            (false, true) => self.second_only += 1,
            (false, false) => self.neither += 1,
        }
    }

    /// How many cases there are.
    pub fn n(&self) -> usize {
        self.both + self.first_only + self.second_only + self.neither
    }

    /// The second share minus the first; none without cases.
    pub fn difference(&self) -> Option<f64> {
        (self.n() > 0).then(|| (self.second_only as f64 - self.first_only as f64) / self.n() as f64)
    }

    /// The difference's 95 % interval, which has a width even where no case changed sides; none without cases.
    ///
    /// Source: Newcombe 1998 (Statistics in Medicine 17, 2635-2650), method 10: score limits of both shares, joined by
    /// their correlation with continuity correction.
    pub fn difference_interval(&self) -> Option<(f64, f64)> {
        let difference = self.difference()?;
        let (first, second) = (self.both + self.first_only, self.both + self.second_only);
        let (first_low, first_high) = wilson_interval(first, self.n())?;
        let (second_low, second_high) = wilson_interval(second, self.n())?;
        let [first, second] = [first, second].map(|count| count as f64 / self.n() as f64);
        let below = self.joined(second - second_low, first_high - first);
        let above = self.joined(second_high - second, first - first_low);
        Some(((difference - below).max(-1.0), (difference + above).min(1.0)))
    }

    /// Two half-widths joined by the correlation of the pairs.
    fn joined(&self, a: f64, b: f64) -> f64 {
        (a * a - 2.0 * self.corrected_correlation() * a * b + b * b).max(0.0).sqrt()
    }

    /// The two-sided p-value: the probability of a split of the discordant pairs at least as uneven as theirs, if both
    /// directions were equally likely.
    ///
    /// Source: McNemar 1947 in its exact form, a binomial test on the discordant pairs.
    pub fn mcnemar_p(&self) -> f64 {
        let discordant = self.first_only + self.second_only;
        let fewer = self.first_only.min(self.second_only);
        let mut log_probability = -(discordant as f64) * std::f64::consts::LN_2;
        let mut tail = log_probability.exp();
        for k in 1..=fewer {
            log_probability += ((discordant - k + 1) as f64).ln() - (k as f64).ln();
            tail += log_probability.exp();
        }
        (2.0 * tail).min(1.0)
    }

    fn corrected_correlation(&self) -> f64 {
        let [both, first_only, second_only, neither] =
            [self.both, self.first_only, self.second_only, self.neither].map(|count| count as f64);
        let margins = (both + first_only) * (second_only + neither) * (both + second_only) * (first_only + neither);
        if margins == 0.0 {
            return 0.0;
        }
        let product = both * neither - first_only * second_only;
        let corrected = if product > 0.0 { (product - self.n() as f64 / 2.0).max(0.0) } else { product };
        corrected / margins.sqrt()
    }
}

/// The 95 % interval of a mean by the percentile bootstrap, from 2,000 resamples; none without values. Given differences
/// case by case, it is the interval of a paired difference.
///
/// Source: Efron 1979.
pub fn bootstrap_mean_interval(values: &[f64], seed: u64) -> Option<(f64, f64)> {
    const RESAMPLES: usize = 2000;
    if values.is_empty() {
        return None;
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut means = Vec::with_capacity(RESAMPLES);
    for _ in 0..RESAMPLES {
        let resample = values.iter().map(|_| values[random.random_range(0..values.len())]);
        means.push(resample.sum::<f64>() / values.len() as f64);
    }
    Some((quantile(&means, 0.025)?, quantile(&means, 0.975)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn close(left: (f64, f64), right: (f64, f64)) -> bool {
        (left.0 - right.0).abs() < 5e-5 && (left.1 - right.1).abs() < 5e-5
    }

    fn counts(both: usize, first_only: usize, second_only: usize, neither: usize) -> PairedCounts {
        PairedCounts { both, first_only, second_only, neither }
    }

    #[test]
    fn summaries_of_few_values() {
        assert_eq!((mean(&[]), median(&[]), standard_deviation(&[])), (None, None, None));
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(quantile(&[0.0, 10.0], 0.25), Some(2.5));
        assert_eq!(standard_deviation(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]), Some(2.0));
    }

    /// 81/263 and 15/148 are the worked examples of Newcombe 1998 (Statistics in Medicine 17, 857-872), table I.
    #[test]
    fn wilson_intervals_as_published() {
        assert!(close(wilson_interval(81, 263).unwrap(), (0.2553, 0.3662)));
        assert!(close(wilson_interval(15, 148).unwrap(), (0.0624, 0.1605)));
        assert!(close(wilson_interval(0, 20).unwrap(), (0.0, 0.1611)));
        assert_eq!(wilson_interval(0, 0), None);
    }

    /// Newcombe's example, his first share less his second: 36, 12, 2, 0 gives .0569 to .3404.
    #[test]
    fn the_paired_interval_is_newcombes() {
        let (low, high) = counts(36, 12, 2, 0).difference_interval().unwrap();
        assert!(close((-high, -low), (0.0569, 0.3404)));
        assert!(close(counts(54, 0, 0, 0).difference_interval().unwrap(), (-0.0664, 0.0664)));
        assert_eq!(counts(0, 0, 0, 0).difference_interval(), None);
    }

    #[test]
    fn mcnemar_is_the_exact_binomial_tail() {
        assert!((counts(0, 12, 2, 9).mcnemar_p() - 0.012_939_453_125).abs() < 1e-12);
        assert!((counts(5, 1, 8, 0).mcnemar_p() - 0.039_062_5).abs() < 1e-12);
        assert!((counts(0, 121, 59, 0).mcnemar_p() - 4.434_449e-6).abs() < 1e-11);
        assert_eq!(counts(3, 5, 5, 3).mcnemar_p(), 1.0);
        assert_eq!(counts(3, 0, 0, 3).mcnemar_p(), 1.0);
    }

    #[test]
    fn the_bootstrap_follows_its_seed_and_covers_the_mean_as_the_normal_interval_does() {
        let values: Vec<f64> = (0..400).map(|index| f64::from(index % 20)).collect();
        let (low, high) = bootstrap_mean_interval(&values, 1).unwrap();
        assert_eq!(bootstrap_mean_interval(&values, 1), Some((low, high)));
        assert_ne!(bootstrap_mean_interval(&values, 2), Some((low, high)));
        let half_width = Z * standard_deviation(&values).unwrap() / 20.0;
        assert!((low - (9.5 - half_width)).abs() < 0.05 && (high - (9.5 + half_width)).abs() < 0.05);
    }

    proptest! {
        #[test]
        fn wilson_holds_the_share_and_mirrors(n in 1_usize..500, part in 0.0..=1.0_f64) {
            let successes = (part * n as f64) as usize;
            let (low, high) = wilson_interval(successes, n).unwrap();
            let share = successes as f64 / n as f64;
            prop_assert!(0.0 <= low && low <= share + 1e-12 && share <= high + 1e-12 && high <= 1.0);
            let (mirrored_low, mirrored_high) = wilson_interval(n - successes, n).unwrap();
            prop_assert!((low - (1.0 - mirrored_high)).abs() < 1e-9 && (high - (1.0 - mirrored_low)).abs() < 1e-9);
        }

        #[test]
        fn paired_figures_turn_with_the_order(a in 0_usize..60, b in 0_usize..60, c in 0_usize..60, d in 1_usize..60) {
            let (forth, back) = (counts(a, b, c, d), counts(a, c, b, d));
            let ((low, high), (back_low, back_high)) =
                (forth.difference_interval().unwrap(), back.difference_interval().unwrap());
            prop_assert!((low + back_high).abs() < 1e-9 && (high + back_low).abs() < 1e-9);
            let difference = forth.difference().unwrap();
            prop_assert!(low <= difference + 1e-12 && difference <= high + 1e-12);
            prop_assert_eq!(forth.mcnemar_p(), back.mcnemar_p());
            prop_assert!((0.0..=1.0).contains(&forth.mcnemar_p()));
        }
    }
}
