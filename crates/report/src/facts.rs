//! Short facts: seed, time and memory of a report, steps and seed of a run.

use crate::contents::{About, Report, TrainingRun};
use crate::numbers::duration;

/// Judge, seed, time and memory, as pairs of a name and a value.
pub fn about(report: &Report) -> Vec<(&'static str, String)> {
    let about = &report.about;
    let mut facts = Vec::new();
    let mut judges: Vec<&str> = report.models.iter().map(|model| model.judge.as_str()).collect();
    judges.sort_unstable();
    judges.dedup();
    if !judges.is_empty() {
        facts.push(("Judge", judges.join(", ")));
    }
    facts.extend(about.seed.map(|seed| ("Seed", seed.to_string())));
    facts.extend(about.wall_s.map(|seconds| ("Wall time", duration(seconds))));
    facts.extend(about.peak_rss_mb.map(|size| ("Peak memory", format!("{size:.0} MB"))));
    facts
}

/// Each stage with its wall time.
pub fn stages(about: &About) -> Vec<(&str, String)> {
    let stages = about.stages.iter();
    stages.map(|stage| (stage.name.as_str(), duration(stage.wall_s))).collect()
}

/// A run's facts in one line.
pub fn run(run: &TrainingRun) -> String {
    let mut facts = vec![format!("{} steps", run.num_steps)];
    if let Some(seed) = run.seed {
        facts.push(format!("seed {seed}"));
    }
    if let Some(commit) = &run.git_commit {
        facts.push(format!("commit {}", commit.chars().take(10).collect::<String>()));
    }
    facts.join(", ")
}
