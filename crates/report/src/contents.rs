//! What a report holds, and what its reader may choose; the layout of `report.json`.

use std::path::PathBuf;

use align::curate::CurationSummary;
use align::eval::{Comparison, EvalSummary};
use align::rollout::RolloutRecord;
use align::settings::settings_table;
use serde::{Deserialize, Serialize};

use crate::suites::contents::SuiteReport;

/// The version of `report.json`'s layout. A reader may rely on the fields of a version; new ones may be added to it.
pub const SCHEMA: u32 = 2;

settings_table! {
    /// What a report shows, beside what the folder holds.
    #[derive(Eq)]
    pub struct ReportConfig {
        /// The heading.
        pub title: String = "What alignment changed".into(),
        /// The model that the others are compared with. It comes first.
        pub baseline: String = "base".into(),
        /// Another model to compare with, where it was evaluated.
        pub against: Option<String> = Some("mirage".into()),
        /// How many rollouts to show.
        pub num_rollouts: usize = 12,
        /// How many items whose verdict flips to show of each benchmark.
        pub num_flips: usize = 6,
    }
}

impl ReportConfig {
    /// Where a model comes: the baseline, then in the order given, then by name.
    pub(crate) fn place(&self, model: &str, order: &[String]) -> (bool, usize, String) {
        let index = order.iter().position(|known| known == model).unwrap_or(order.len());
        (model != self.baseline, index, model.to_owned())
    }

    /// The models that others are compared with.
    pub(crate) fn baselines(&self) -> impl Iterator<Item = &str> {
        let other = self.against.as_ref().filter(|against| **against != self.baseline);
        std::iter::once(&self.baseline).chain(other).map(String::as_str)
    }

    /// Whether a model is compared with one of the baselines. The baseline itself is not compared with the other one: that
    /// is there already, the other way round.
    pub(crate) fn is_compared(&self, model: &str, baseline: &str) -> bool {
        model != baseline && model != self.baseline
    }
}

/// Everything a report shows; `report.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The layout's version, [`SCHEMA`].
    pub schema: u32,
    /// The heading.
    pub title: String,
    /// Seed, time and memory.
    pub about: About,
    /// Rates by model, the baseline first.
    pub models: Vec<EvalSummary>,
    /// Paired differences between models.
    pub comparisons: Vec<Comparison>,
    /// Benchmarks, by name.
    #[serde(default)]
    pub suites: Vec<SuiteReport>,
    /// Training runs, by name.
    pub runs: Vec<TrainingRun>,
    /// Curations of training prompts, by name.
    pub curations: Vec<CurationReport>,
    /// Some rollouts of every kind of event.
    pub rollouts: Vec<ShownRollout>,
    /// What the folder does not hold, in words.
    pub missing: Vec<String>,
}

/// Seed, time and memory, as far as `demo.json` says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct About {
    /// The seed of everything.
    pub seed: Option<u64>,
    /// Wall time in seconds.
    pub wall_s: Option<f64>,
    /// Peak resident memory in MB.
    pub peak_rss_mb: Option<f64>,
    /// The stages, in order.
    pub stages: Vec<Stage>,
}

/// One stage of a demo.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// What it did.
    pub name: String,
    /// Wall time in seconds.
    pub wall_s: f64,
}

/// One training run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingRun {
    /// The run's folder.
    pub name: String,
    /// Its seed.
    pub seed: Option<u64>,
    /// The commit of the code it ran.
    pub git_commit: Option<String>,
    /// Every setting.
    pub config: serde_json::Value,
    /// How many steps its metrics cover.
    pub num_steps: usize,
    /// Its metrics over time, in the order to show them.
    pub curves: Vec<Curve>,
}

/// One metric over the steps of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// The metric's name in `metrics.jsonl`.
    pub metric: String,
    /// Step and value; steps without a finite value are left out.
    pub points: Vec<(usize, f64)>,
}

/// How the training prompts were chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurationReport {
    /// What it was for; empty where there is but one.
    pub name: String,
    /// Counts and settings.
    pub summary: CurationSummary,
    /// The plot of the QI-Box, relative to the report's folder.
    pub plot: Option<PathBuf>,
}

/// A rollout and the run it belongs to. Image paths below the report's folder are relative to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShownRollout {
    /// The run's name.
    pub run: String,
    /// What became of the response.
    pub record: RolloutRecord,
}

impl Report {
    /// The models' names, each once: those evaluated on items first.
    pub(crate) fn model_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        let of_suites = self.suites.iter().flat_map(|suite| &suite.models).map(|model| model.model.as_str());
        for name in self.models.iter().map(|model| model.model.as_str()).chain(of_suites) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}
