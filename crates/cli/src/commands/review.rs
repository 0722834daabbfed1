//! `scruple review`: items or responses in, what a person decides about them out.

use std::path::PathBuf;

use clap::Args;
use serve::review::{Cases, Decisions, agreement, serve};

use crate::errors::{Failure, Result};
use crate::interrupt;
use crate::output_folder::OutputFolder;
use crate::terminal::print_line;

const AFTER_HELP: &str = "\
Open the address that is printed. Images are blurred until you reveal them (R); S says safe, U
unsafe, K skips, Z takes the last decision back. Only programs of this machine can reach the page.

Items are those of `scruple forge` (DIR, or a file of items): a hazardous item counts as called
unsafe by the judge, a benign twin as safe. Lines with a `response` are reviewed as replies; with
--verdicts, a file that `scruple judge` wrote, the judge's verdict on each is the one in that file.

Each decision is a line of --out with who and when (UTC); of several by one reviewer on the same
item the latest counts. The same command resumes where it stopped. When all is decided, or with
--agreement, agreement is printed: each reviewer with the judge (Cohen's kappa), and the reviewers
with one another (Fleiss's kappa, Krippendorff's alpha).

Examples:
  scruple review --data forged --out decisions.jsonl --reviewer ada
  scruple review --data r.jsonl --verdicts v.jsonl --out decisions.jsonl --reviewer ada --port 8800
  scruple review --data forged --out decisions.jsonl --agreement";

/// Review items on a local page and record the decisions.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// The folder of a forge, or a file of items or responses
    #[arg(long, value_name = "DIR|FILE.jsonl")]
    data: PathBuf,
    /// Verdicts of `scruple judge` on the same ids
    #[arg(long, value_name = "FILE.jsonl")]
    verdicts: Option<PathBuf>,
    /// The journal of decisions
    #[arg(long, value_name = "FILE.jsonl")]
    out: PathBuf,
    /// Who decides
    #[arg(long, value_name = "NAME", required_unless_present = "agreement")]
    reviewer: Option<String>,
    /// The port to listen on; 0 takes one that is free
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    port: u16,
    /// Print agreement by the decisions so far, and serve nothing
    #[arg(long)]
    agreement: bool,
}

/// Runs the command.
///
/// Errors: of data for files that cannot be used; of settings for an address that cannot be had; interrupted where the
/// user stops before all is decided; of output where decisions cannot be written.
pub fn run(arguments: &Arguments) -> Result {
    let cases = Cases::read(&arguments.data, arguments.verdicts.as_deref())?;
    if let Some(reviewer) = arguments.reviewer.as_deref().filter(|_| !arguments.agreement) {
        if reviewer.trim().is_empty() {
            return Err(Failure::settings("--reviewer: expected a name, got an empty one"));
        }
        let _folder = OutputFolder::make_for(&arguments.out)?;
        let decisions = Decisions::open(&arguments.out, reviewer)?;
        let agreement = serve(cases, decisions, arguments.port, &interrupt::requested, &print_line)?;
        return Ok(print_line(&agreement)?);
    }
    let all = Decisions::read(&arguments.out)?;
    Ok(print_line(&agreement(&cases, &all))?)
}
