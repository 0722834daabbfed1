//! Means of verdicts' scores by dimension.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::verdicts::{ANSWER, THINK};
use crate::statistics::{Z, mean, standard_deviation};

/// The mean of a dimension's scores, with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mean {
    /// How many verdicts score the dimension.
    pub n: usize,
    /// The mean; none of nothing.
    pub mean: Option<f64>,
    /// The interval's lower end; none for fewer than two scores.
    pub low: Option<f64>,
    /// Its upper end.
    pub high: Option<f64>,
}

impl Mean {
    /// The mean and its interval by the normal approximation, with the sample's own deviation.
    fn of(scores: &[f64]) -> Self {
        let (n, middle) = (scores.len(), mean(scores));
        // The deviation divides by n; an interval's by n - 1.
        let error = standard_deviation(scores).filter(|_| n > 1).map(|deviation| deviation / (n as f64 - 1.0).sqrt());
        let half = error.map(|error| Z * error);
        Self {
            n,
            mean: middle,
            low: middle.zip(half).map(|(middle, half)| middle - half),
            high: middle.zip(half).map(|(middle, half)| middle + half),
        }
    }

    /// The mean and its interval in words.
    pub fn text(&self) -> String {
        match (self.mean, self.low, self.high) {
            (Some(mean), Some(low), Some(high)) => format!("{mean:.2} [{low:.2}, {high:.2}]"),
            (Some(mean), ..) => format!("{mean:.2}"),
            _ => "–".to_owned(),
        }
    }
}

/// The mean of each dimension of the rubric `safer`, such as `answer/safety`. Verdicts without thinking count in none
/// of its dimensions.
pub(super) fn by_dimension(verdicts: &[&Value]) -> BTreeMap<String, Mean> {
    let mut means = BTreeMap::new();
    for (section, dimensions) in [("think", THINK), ("answer", ANSWER)] {
        for dimension in dimensions {
            let scores = verdicts.iter().filter_map(|verdict| verdict[section][dimension].as_f64());
            means.insert(format!("{section}/{dimension}"), Mean::of(&scores.collect::<Vec<_>>()));
        }
    }
    means
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_dimension_has_the_mean_of_those_that_score_it() {
        let thinking = json!({ "safety": 2, "grounding": 3, "logic": 4 });
        let verdicts = [(thinking, 4.0), (Value::Null, 6.0), (Value::Null, 8.0)].map(|(think, safety)| {
            json!({ "think": think, "answer": { "safety": safety, "helpfulness": 5, "grounding": 1 } })
        });
        let means = by_dimension(&verdicts.iter().collect::<Vec<_>>());
        assert_eq!(means.len(), 6);
        // scipy.stats: mean 6, standard error 2 / sqrt(3).
        let Mean { n, mean, low, high } = means["answer/safety"];
        assert_eq!((n, mean), (3, Some(6.0)));
        let half = Z * 2.0 / 3.0_f64.sqrt();
        assert!((low.unwrap() - 6.0 + half).abs() < 1e-9 && (high.unwrap() - 6.0 - half).abs() < 1e-9);
        assert_eq!((means["think/logic"].n, means["think/logic"].text()), (1, "4.00".to_owned()));
        assert_eq!(Mean::of(&[]).text(), "–");
    }
}
