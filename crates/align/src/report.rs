//! The report: a folder of evaluations, runs and curations in, one page that shows what changed out.
//!
//! ```text
//! <folder>/demo.json                       optional: seed, wall_s, peak_rss_mb, stages, models (their order)
//! <folder>/eval/<model>/summary.json       figures by split
//! <folder>/eval/<model>/responses.jsonl    responses, for paired differences
//! <folder>/runs/<name>/metrics.jsonl       training curves; rollouts.jsonl; config.resolved.json
//! <folder>/curate/summary.json             the QI-Box; qi_box.svg
//! <folder>/curate/<name>/summary.json      or several
//! ```
//!
//! Whatever is missing is left out, and the report says so. The same [`Report`] becomes `report.json`, `report.md` and
//! `report.html`, which needs no other file and no network.

mod bars;
mod collect;
mod curves;
mod differences;
mod images;
mod line_chart;
mod markdown;
mod numbers;
mod page;
mod pick;
mod rollout_card;
mod tables;
mod verdicts;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::curate::CurationSummary;
use crate::eval::{Comparison, EvalSummary};
use crate::rollout::RolloutRecord;
use crate::run_dir::write_atomically;
use crate::types::DataError;

/// The version of `report.json`'s layout. A reader may rely on the fields of a version; new ones may be added to it.
pub const SCHEMA: u32 = 1;

/// What a report shows, beside what the folder holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReportConfig {
    /// The heading.
    pub title: String,
    /// The model that the others are compared with, and that stands first.
    pub baseline: String,
    /// Another model to compare with, where it was evaluated.
    pub against: Option<String>,
    /// How many rollouts to show.
    pub num_rollouts: usize,
}

impl Default for ReportConfig {
    fn default() -> Self {
        Self {
            title: "What alignment changed".into(),
            baseline: "base".into(),
            against: Some("mirage".into()),
            num_rollouts: 12,
        }
    }
}

/// Everything a report shows; `report.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The layout's version, [`SCHEMA`].
    pub schema: u32,
    /// The heading.
    pub title: String,
    /// How it came about.
    pub about: About,
    /// Figures by model, the baseline first.
    pub models: Vec<EvalSummary>,
    /// Paired differences between models.
    pub comparisons: Vec<Comparison>,
    /// Training runs, by name.
    pub runs: Vec<TrainingRun>,
    /// Curations of training prompts, by name.
    pub curations: Vec<CurationReport>,
    /// Some rollouts, chosen to show what training meets.
    pub rollouts: Vec<ShownRollout>,
    /// What the folder does not hold, in words.
    pub missing: Vec<String>,
}

/// How the figures came about, as far as `demo.json` tells.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct About {
    /// The seed of everything.
    pub seed: Option<u64>,
    /// Wall-clock time in seconds.
    pub wall_s: Option<f64>,
    /// The most memory resident at once, in MB.
    pub peak_rss_mb: Option<f64>,
    /// The stages, in order.
    pub stages: Vec<Stage>,
}

/// One stage of a demo.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// What it did.
    pub name: String,
    /// Wall-clock time in seconds.
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
    /// The picture, relative to the report's folder.
    pub picture: Option<PathBuf>,
}

/// A rollout and the run it belongs to. Image paths below the report's folder are relative to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShownRollout {
    /// The run's name.
    pub run: String,
    /// What became of the response.
    pub record: RolloutRecord,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The folder holds nothing that a report shows.
    #[error("{}: nothing to report: expected eval/<model>/summary.json, runs/<name>/metrics.jsonl or curate/summary.json", folder.display())]
    Nothing {
        /// The folder.
        folder: PathBuf,
    },
    /// A file is not what it should be.
    #[error("{}: {problem}", file.display())]
    Corrupt {
        /// The file.
        file: PathBuf,
        /// What was expected and what was found.
        problem: String,
    },
    /// A file of lines could not be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A file could not be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Where a report was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportFiles {
    /// The page.
    pub html: PathBuf,
    /// The same as Markdown; its pictures are links.
    pub markdown: PathBuf,
    /// The same as JSON.
    pub json: PathBuf,
}

/// Reads a folder, and writes `report.html`, `report.md` and `report.json` into it.
///
/// Errors: `Nothing` naming a folder without anything to show; `Corrupt`, `Data` and `Io` naming the file.
pub fn run(folder: &Path, config: &ReportConfig) -> Result<ReportFiles, ReportError> {
    let report = collect::collect(folder, config)?;
    let files = ReportFiles {
        html: folder.join("report.html"),
        markdown: folder.join("report.md"),
        json: folder.join("report.json"),
    };
    let json = serde_json::to_string_pretty(&report).map_err(std::io::Error::from)?;
    write_atomically(&files.json, json.as_bytes())?;
    write_atomically(&files.markdown, markdown::render(&report).as_bytes())?;
    write_atomically(&files.html, page::render(&report, folder).as_bytes())?;
    Ok(files)
}
