//! `scruple report`: a folder of runs and evaluations in, one page out.

use std::path::PathBuf;

use clap::Args;

use crate::arguments::SettingsArguments;
use crate::config::tables::ReportSettings;
use crate::errors::Result;
use crate::terminal::print_line;

const AFTER_HELP: &str = "\
DIR is the folder of a finished `scruple demo`, or one of your own in the same layout:
  eval/<model>/summary.json, responses.jsonl      from `scruple eval --out DIR/eval/<model>`
  eval/<model>/<suite>/…                          from the same with --suite
  runs/<name>/metrics.jsonl, rollouts.jsonl       from `scruple sft` and `scruple rl`
  curate/summary.json, qi_box.svg                 from `scruple curate --out DIR/curate`
What is missing is left out, and the report lists it. report.html, report.md and report.json are
written into DIR.

Examples:
  scruple report out/demo
  scruple report runs report.title='Three seeds' report.baseline=mirage";

/// Write the report of a folder of runs and evaluations as HTML, Markdown and JSON.
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
/// Errors: of settings; of data where the folder holds nothing to report or a file is damaged.
pub fn run(arguments: &Arguments) -> Result {
    let loaded = arguments.settings.load::<ReportSettings>([])?;
    let page = report::run(&arguments.folder, &loaded.settings.report)?;
    Ok(print_line(&page.display().to_string())?)
}
