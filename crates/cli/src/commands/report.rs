//! `scruple report`: a folder of runs and evaluations in, one page out.

use std::path::PathBuf;

use clap::Args;

use crate::arguments::SettingsArguments;
use crate::config::tables::ReportSettings;
use crate::errors::Result;
use crate::terminal::print_line;

const AFTER_HELP: &str = "\
DIR is what `scruple demo` leaves behind, or a folder you put together in the same layout:
  eval/<model>/summary.json, responses.jsonl      from `scruple eval --out DIR/eval/<model>`
  runs/<name>/metrics.jsonl, rollouts.jsonl       from `scruple sft` and `scruple rl`
  curate/curation.jsonl, qi_box.svg               from `scruple curate --out DIR/curate`
What is missing is left out, and the report says so. It writes report.html, report.md and report.json into DIR.

Examples:
  scruple report out/demo
  scruple report runs report.title='Three seeds' report.baseline=mirage";

/// Draw up the report of a finished folder as HTML, Markdown and JSON.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// The folder to report on
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    #[command(flatten)]
    settings: SettingsArguments,
}

/// Runs the command.
///
/// Errors: of usage for bad settings, of data where the folder holds nothing to report, or a file is not what it should
/// be.
pub fn run(arguments: &Arguments) -> Result {
    let loaded = arguments.settings.load::<ReportSettings>([])?;
    let files = report::run(&arguments.folder, &loaded.settings.report)?;
    Ok(print_line(&files.html.display().to_string())?)
}
