//! The learning rate over the steps.

use serde::{Deserialize, Serialize};

/// The learning rate after warm-up; names as in Hugging Face's `lr_scheduler_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SchedulerType {
    /// It stays the same.
    Constant,
    /// It falls in a straight line to zero.
    Linear,
    /// It falls to zero along half a cosine wave.
    Cosine,
}

/// A learning rate over a known number of steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// The highest learning rate.
    pub learning_rate: f64,
    /// How the rate changes after warm-up.
    pub kind: SchedulerType,
    /// How many steps the rate takes to rise to its highest.
    pub warmup_steps: usize,
    /// How many steps there are.
    pub total_steps: usize,
}

impl Schedule {
    /// A schedule whose warm-up is a share of all steps, rounded up.
    pub fn new(learning_rate: f64, kind: SchedulerType, warmup_ratio: f64, total_steps: usize) -> Self {
        Self { learning_rate, kind, warmup_steps: (warmup_ratio * total_steps as f64).ceil() as usize, total_steps }
    }

    /// The learning rate of a step, counted from one.
    ///
    /// Differs from Hugging Face's schedules, whose first step has a rate of zero and so is lost: here warm-up begins
    /// one step up.
    pub fn at(&self, step: usize) -> f64 {
        if step <= self.warmup_steps {
            return self.learning_rate * step as f64 / self.warmup_steps as f64;
        }
        let after_warmup = (step - self.warmup_steps - 1) as f64;
        let progress = after_warmup / (self.total_steps.saturating_sub(self.warmup_steps)).max(1) as f64;
        let factor = match self.kind {
            SchedulerType::Constant => 1.0,
            SchedulerType::Linear => 1.0 - progress,
            SchedulerType::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
        };
        self.learning_rate * factor.max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(kind: SchedulerType) -> Vec<f64> {
        let schedule = Schedule::new(8.0, kind, 0.4, 5);
        (1..=5).map(|step| (schedule.at(step) * 1e6).round() / 1e6).collect()
    }

    #[test]
    fn rates_warm_up_and_then_follow_their_schedule() {
        assert_eq!(rates(SchedulerType::Constant), [4.0, 8.0, 8.0, 8.0, 8.0]);
        assert_eq!(rates(SchedulerType::Linear), [4.0, 8.0, 8.0, 5.333_333, 2.666_667]);
        assert_eq!(rates(SchedulerType::Cosine), [4.0, 8.0, 8.0, 6.0, 2.0]);
    }

    #[test]
    fn without_warm_up_the_first_step_has_the_highest_rate() {
        assert_eq!(Schedule::new(3.0, SchedulerType::Cosine, 0.0, 4).at(1), 3.0);
    }
}
