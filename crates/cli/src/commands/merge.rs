//! `scruple merge`: a model and an adapter in, one model out.

use std::path::PathBuf;

use align::engine::{Engine, SaveKind};
use clap::Args;
use engine::Trainable;

use crate::arguments::ModelArguments;
use crate::config::required;
use crate::config::tables::ModelSettings;
use crate::context::Context;
use crate::errors::{Failure, Result};
use crate::model;
use crate::output_folder::OutputFolder;
use crate::terminal::print_line;

const AFTER_HELP: &str = "\
DIR then holds a Hugging Face folder that needs no adapter any more: keys, files and types as the
model has them, or in the type that `model.dtype` names.

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
/// Errors: of settings without an adapter or where the folder is there already; of output when it cannot be written;
/// whatever the engine meets.
pub fn run(arguments: &Arguments, context: &Context) -> Result {
    let out = &arguments.out;
    let table = arguments.model.load::<ModelSettings>([])?.settings.model;
    required(table.adapter.as_ref(), "model.adapter")?;
    if out.exists() {
        let problem = format!("{}: already exists: expected a new folder", out.display());
        return Err(Failure::settings(problem).hint("choose another `--out`"));
    }
    let _folder = OutputFolder::make(out)?;
    let mut engine = model::open(&table, Trainable::Frozen, 0, context.global.device)?;
    engine.merge_adapter();
    engine.save(out, SaveKind::Weights)?;
    Ok(print_line(&out.display().to_string())?)
}
