//! `scruple merge`: a model and an adapter in, one model out.

use std::path::PathBuf;

use align::engine::{Engine, SaveKind};
use clap::Args;
use engine::Trainable;

use super::Context;
use super::model::{self, ModelArguments};
use crate::errors::Failure;
use crate::output_folder::OutputFolder;
use crate::terminal::print_line;

const AFTER_HELP: &str = "\
DIR then holds a Hugging Face folder that needs no adapter any more: keys, files and types as the
model has them, or in the type that --dtype names.

Example:
  scruple merge --model MODEL --adapter runs/safer/checkpoint-40 --out models/safer";

/// Add a LoRA adapter to the weights of its model.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// The folder for the merged model, which must not exist yet
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Runs the command.
///
/// Errors: of usage without an adapter or where the folder is there already; of output when it cannot be written;
/// whatever the engine meets.
pub fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<()> {
    let out = &arguments.out;
    if arguments.model.adapter.is_none() {
        return Err(Failure::usage("--adapter is not given: expected a LoRA adapter to merge").into());
    }
    if out.exists() {
        let problem = format!("{}: is there already: expected a folder that is not", out.display());
        return Err(Failure::usage(problem).hint("choose another `--out`").into());
    }
    let _folder = OutputFolder::make(out)?;
    let mut engine = model::open(&arguments.model.table(), Trainable::Frozen, 0, context.global.device)?;
    engine.merge_adapter();
    engine.save(out, SaveKind::Weights)?;
    Ok(print_line(&out.display().to_string())?)
}
