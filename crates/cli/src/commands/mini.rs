//! `scruple mini`: a seed in, the miniature world as data files out.

use std::path::PathBuf;

use clap::Args;
use mini::splits;

use crate::arguments::{SettingsArguments, flag};
use crate::config::tables::MiniSettings;
use crate::context::Context;
use crate::errors::Result;
use crate::output_folder::OutputFolder;
use crate::terminal::print_line;

const AFTER_HELP: &str = "\
DIR then holds train.jsonl (prompts), labels/*.jsonl (samples for fine-tuning), the evaluation
splits easy, hard, real, benign, verb (benign-prompt twins), black (blank-image twins) and general,
and the images. The same settings give the same bytes.

Examples:
  scruple mini --out world
  scruple mini --out world --config configs/mini.toml --seed 7 mini.hard=500";

/// Write the miniature world's splits and labels as data files.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    #[command(flatten)]
    settings: SettingsArguments,
    /// The folder for the world
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The seed that everything follows from; short for `mini.seed=…`
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

/// Runs the command.
///
/// Errors: of settings for bad settings, of output when the files cannot be written.
pub fn run(arguments: &Arguments, context: &mut Context) -> Result {
    let flags = [flag("--seed", &["mini", "seed"], arguments.seed)];
    let loaded = arguments.settings.load::<MiniSettings>(flags)?;
    loaded.check(loaded.settings.mini.validate("mini"))?;
    let settings = loaded.settings;
    let _folder = OutputFolder::make(&arguments.out)?;
    for (name, count) in splits::write(&settings.mini, &arguments.out, &mut context.progress)? {
        print_line(&format!("{count:>6}  {}", arguments.out.join(name).display()))?;
    }
    Ok(())
}
