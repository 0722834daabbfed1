//! From rewards to advantages, within groups.

use serde::{Deserialize, Serialize};

use crate::statistics::mean;

/// Added to standard deviations before dividing by them.
const EPSILON: f64 = 1e-6;

/// Rewards of a group that differ by no more than this are equal.
pub const ZERO_SPREAD: f64 = 1e-9;

/// What advantages are divided by; names as in TRL's `scale_rewards`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScaleRewards {
    /// The standard deviation of the group (GRPO, arXiv 2402.03300).
    Group,
    /// The standard deviation of the whole batch (Lite PPO, arXiv 2508.08221).
    Batch,
    /// Nothing (Dr. GRPO, arXiv 2503.20783).
    None,
}

/// The advantage of each member: its reward less its group's mean, divided as `scale` says.
///
/// Shapes: `rewards` `[group][member]`, and so is what is returned. A member without a reward is left out: it has no
/// advantage, and counts in no mean or deviation. Deviations divide by one less than the number of members, as
/// `torch.std` does.
pub fn advantages(rewards: &[Vec<Option<f64>>], scale: ScaleRewards) -> Vec<Vec<Option<f64>>> {
    let all: Vec<f64> = rewards.iter().flatten().flatten().copied().collect();
    let mut advantages = Vec::with_capacity(rewards.len());
    for group in rewards {
        let scored: Vec<f64> = group.iter().flatten().copied().collect();
        let divisor = match scale {
            ScaleRewards::Group => standard_deviation(&scored) + EPSILON,
            ScaleRewards::Batch => standard_deviation(&all) + EPSILON,
            ScaleRewards::None => 1.0,
        };
        let mean = mean(&scored).unwrap_or_default();
        let members = group.iter();
        advantages.push(members.map(|reward| Some((reward.as_ref()? - mean) / divisor)).collect());
    }
    advantages
}

/// The difference between the largest and the smallest value; 0 for none.
pub fn spread(values: &[f64]) -> f64 {
    let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
    values.iter().map(|value| value - lowest).fold(0.0, f64::max)
}

/// The standard deviation of a sample (divided by n - 1); 0 for fewer than two values.
pub fn standard_deviation(values: &[f64]) -> f64 {
    let mean = mean(values).unwrap_or_default();
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / values.len().saturating_sub(1).max(1) as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_close(got: &[Option<f64>], expected: &[Option<f64>]) {
        assert_eq!(got.len(), expected.len());
        for (got, expected) in got.iter().zip(expected) {
            let close = match (got, expected) {
                (Some(got), Some(expected)) => (got - expected).abs() < 1e-5,
                (got, expected) => got == expected,
            };
            assert!(close, "expected {expected:?}, got {got:?}");
        }
    }

    fn rewards() -> Vec<Vec<Option<f64>>> {
        vec![vec![Some(1.0), Some(0.0), None, Some(0.5)], vec![Some(0.2), Some(0.4), Some(0.6), Some(0.4)]]
    }

    #[test]
    fn each_scale_divides_by_its_own() {
        let group = advantages(&rewards(), ScaleRewards::Group);
        // The first group's deviation is 0.5, the second's the root of 0.08 / 3.
        assert_close(&group[0], &[Some(1.0), Some(-1.0), None, Some(0.0)]);
        assert_close(&group[1], &[Some(-1.224_737), Some(0.0), Some(1.224_737), Some(0.0)]);
        let none = advantages(&rewards(), ScaleRewards::None);
        assert_close(&none[0], &[Some(0.5), Some(-0.5), None, Some(0.0)]);
        let batch = advantages(&rewards(), ScaleRewards::Batch);
        let all = standard_deviation(&[1.0, 0.0, 0.5, 0.2, 0.4, 0.6, 0.4]);
        assert_close(&batch[1], &[Some(-0.2 / all), Some(0.0), Some(0.2 / all), Some(0.0)]);
    }

    #[test]
    fn unscored_members_never_count() {
        let without = vec![vec![Some(1.0), Some(0.0), Some(0.5)]];
        for scale in [ScaleRewards::Group, ScaleRewards::Batch, ScaleRewards::None] {
            let with = advantages(&rewards()[..1], scale);
            let scored: Vec<Option<f64>> = with[0].iter().flatten().copied().map(Some).collect();
            assert_eq!(scored, advantages(&without, scale)[0]);
        }
    }

    #[test]
    fn equal_rewards_and_lone_members_have_no_advantage() {
        let rewards = [vec![Some(0.7); 3], vec![Some(0.3)], vec![None, None]];
        let group = advantages(&rewards, ScaleRewards::Group);
        assert_close(&group[0], &[Some(0.0); 3]);
        assert_close(&group[1], &[Some(0.0)]);
        assert_eq!(group[2], [None, None]);
    }
}
