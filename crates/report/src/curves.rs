//! Training curves: which metrics are shown, what they are called, and how they are thinned.

use std::collections::BTreeMap;
use std::path::Path;

use align::json_lines::read_json_lines;
use serde_json::{Map, Value};

use crate::contents::Curve;
use crate::error::ReportError;

/// The metrics shown, in order, and their names in words. Others stay in `metrics.jsonl`.
const SHOWN: [(&str, &str); 16] = [
    ("loss", "Loss"),
    ("reward", "Reward, mean (0 to 1)"),
    ("reward_std", "Reward, standard deviation"),
    ("kl", "KL to the reference (nats)"),
    ("entropy", "Entropy (nats a token)"),
    ("reflection/rate", "Share of responses reflected on"),
    ("reflection/accepted_rate", "Share of corrections accepted"),
    ("reflection/gain", "Reward gained by a correction"),
    ("frac_reward_zero_std", "Share of groups without spread"),
    ("clip_ratio/region_mean", "Share of tokens clipped"),
    ("off_policy/ratio_mean", "Off-policy ratio, corrections"),
    ("off_policy/clip_ratio", "Share clipped, corrections"),
    ("completions/mean_length", "Length of a response (tokens)"),
    ("unscored/count", "Unscored responses"),
    ("grad_norm", "Gradient norm before clipping"),
    ("learning_rate", "Learning rate"),
];

/// A metric's name in words.
pub fn label(metric: &str) -> &str {
    SHOWN.iter().find(|(name, _)| *name == metric).map_or(metric, |(_, label)| label)
}

/// Reads a run's metrics: how many steps there are, and the curves to show.
///
/// Errors: `Data` naming file and line; `Corrupt` for a line without a step.
pub fn read(path: &Path) -> Result<(usize, Vec<Curve>), ReportError> {
    let lines: Vec<Map<String, Value>> = read_json_lines(path)?;
    let mut points: BTreeMap<&str, Vec<(usize, f64)>> = BTreeMap::new();
    for (index, line) in lines.iter().enumerate() {
        let step = line.get("step").and_then(Value::as_u64).ok_or_else(|| ReportError::Corrupt {
            file: path.to_owned(),
            problem: format!("line {}: expected a whole number under `step`", index + 1),
        })?;
        for (metric, value) in line {
            if let Some(value) = value.as_f64() {
                points.entry(metric).or_default().push((step as usize, value));
            }
        }
    }
    let mut curves = Vec::new();
    for (metric, _) in SHOWN {
        if let Some(points) = points.remove(metric).filter(|points| points.len() >= 2) {
            curves.push(Curve { metric: metric.to_owned(), points });
        }
    }
    Ok((lines.len(), curves))
}

/// At most `limit` points, each the mean of its neighbors, so that a long run stays small and legible.
pub fn thinned(points: &[(usize, f64)], limit: usize) -> Vec<(f64, f64)> {
    let mut means = Vec::new();
    for bucket in points.chunks(points.len().div_ceil(limit).max(1)) {
        let n = bucket.len() as f64;
        let step = bucket.iter().map(|(step, _)| *step as f64).sum::<f64>() / n;
        means.push((step, bucket.iter().map(|(_, value)| value).sum::<f64>() / n));
    }
    means
}

/// The mean of each point and its neighbors up to `reach` away on either side, fewer at the ends.
pub fn smoothed(points: &[(f64, f64)], reach: usize) -> Vec<(f64, f64)> {
    let mut smoothed = Vec::new();
    for (index, (step, _)) in points.iter().enumerate() {
        let reach = reach.min(index).min(points.len() - 1 - index);
        let near = &points[index - reach..=index + reach];
        smoothed.push((*step, near.iter().map(|(_, value)| value).sum::<f64>() / near.len() as f64));
    }
    smoothed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_metrics_are_read_in_order_and_gaps_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let text = "{\"step\":1,\"reward\":0.5,\"loss\":2.0,\"step_time\":1}\n\
                    {\"step\":2,\"reward\":null,\"loss\":1.0}\n{\"step\":3,\"reward\":0.75,\"loss\":0.5,\"kl\":0.1}\n";
        std::fs::write(&path, text).unwrap();
        let (steps, curves) = read(&path).unwrap();
        assert_eq!(steps, 3);
        assert_eq!(curves.iter().map(|curve| curve.metric.as_str()).collect::<Vec<_>>(), ["loss", "reward"]);
        assert_eq!(curves[1].points, [(1, 0.5), (3, 0.75)]);
        std::fs::write(&path, "{\"loss\":1}\n").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("metrics.jsonl: line 1: expected a whole number"));
    }

    #[test]
    fn thinning_keeps_means_and_smoothing_keeps_lines() {
        let line: Vec<(usize, f64)> = (0..10).map(|step| (step, 2.0 * step as f64)).collect();
        assert_eq!(thinned(&line, 5), [(0.5, 1.0), (2.5, 5.0), (4.5, 9.0), (6.5, 13.0), (8.5, 17.0)]);
        let points = thinned(&line, 100);
        assert_eq!(smoothed(&points, 3), points);
        assert_eq!(smoothed(&[(0.0, 0.0), (1.0, 3.0), (2.0, 0.0)], 1)[1], (1.0, 1.0));
    }
}
