//! The report: a folder of evaluations, runs and curations in, one page that shows what changed out.
//!
//! ```text
//! <folder>/demo.json                       optional: seed, wall_s, peak_rss_mb, stages, models (their order)
//! <folder>/eval/<model>/summary.json       rates by split
//! <folder>/eval/<model>/responses.jsonl    responses, for paired differences
//! <folder>/eval/<model>/<suite>/...        the same of a benchmark
//! <folder>/runs/<name>/metrics.jsonl       training curves; rollouts.jsonl; config.resolved.json
//! <folder>/curate/summary.json             the QI-Box; qi_box.svg
//! <folder>/curate/<name>/summary.json      or several
//! ```
//!
//! Whatever is missing is left out, and the report says so. The same [`Report`] becomes `report.json`, `report.md` and
//! `report.html`, which needs no other file and no network. [`qi_box`] plots a curation, [`text_tables`] are what commands
//! print, and [`inspect_log`] writes evaluations for `inspect_ai`.

mod contents;
mod error;

mod collect;
mod curves;
mod folders;
mod images;
mod pick;

mod facts;
mod numbers;

mod differences;
mod rollout_text;
mod tables;

mod markdown;
mod markdown_text;

mod bars;
mod html_table;
mod line_chart;
mod page;
mod quotes;
mod rollout_card;

mod suites;

pub mod inspect_log;
pub mod qi_box;

pub mod text_tables;

use std::path::{Path, PathBuf};

use align::files::write_atomically;

pub use contents::{About, CurationReport, Curve, Report, ReportConfig, SCHEMA, ShownRollout, Stage, TrainingRun};
pub use error::ReportError;
pub use suites::contents::{ComparedModels, FlipCounts, FlippedRate, ShownFlip, ShownResponse, SuiteReport};

/// Reads a folder, and writes `report.html`, `report.md`, whose images are links, and `report.json` into it; returns the
/// page.
///
/// Errors: `Nothing` naming a folder without anything to show; `Corrupt`, `Data` and `Io` naming the file.
pub fn run(folder: &Path, config: &ReportConfig) -> Result<PathBuf, ReportError> {
    let report = collect::collect(folder, config)?;
    let json = serde_json::to_string_pretty(&report).map_err(std::io::Error::from)?;
    write_atomically(&folder.join("report.json"), json.as_bytes())?;
    write_atomically(&folder.join("report.md"), markdown::render(&report).as_bytes())?;
    let page = folder.join("report.html");
    write_atomically(&page, page::render(&report, folder).as_bytes())?;
    Ok(page)
}
