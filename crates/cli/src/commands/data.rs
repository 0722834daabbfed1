//! `scruple data`: data files of any known format, checked and converted.

mod check;
mod convert;

use crate::context::Context;
use crate::errors::Result;
use clap::{Args, Subcommand};
use formats::Format;

const AFTER_HELP: &str = "\
Formats, by name:
  openai      our own: OpenAI messages, a JSON object a line          .jsonl     paths
  sharegpt    LLaMA-Factory, with its entry in dataset_info.json      .json(l)   paths
  alpaca      LLaMA-Factory's other layout, with its entry there      .json(l)   paths
  swift       ms-swift                                                .jsonl     paths
  verl        verl                                                    .parquet   bytes
  easyr1      EasyR1                                                  .parquet   bytes
  trl         TRL: prompts and completions                            .parquet   bytes
  hf          Hugging Face datasets: messages and images              .parquet   bytes
  vlmevalkit  VLMEvalKit                                              .tsv       bytes
  mis         MIS as released: for tests, and for training            .json(l)   paths
  vlguard     VLGuard                                                 .json(l)   paths
  figstep     FigStep's questions.csv                                 .csv       paths
  xstest      XSTest: prompts or completions                          .csv       text alone
  puzzlevqa   PuzzleVQA                                               .jsonl     paths
  msts        MSTS: prompts or responses                              .csv       text alone

Examples:
  scruple data check train.jsonl
  scruple data convert train.jsonl --to hf --out train.parquet
  scruple data convert geo3k.parquet --to openai --out geo3k.jsonl";

/// Check data files of any format, and convert them.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    #[command(subcommand)]
    command: DataCommand,
}

#[derive(Debug, Subcommand)]
enum DataCommand {
    /// Tell what a data file holds, and everything that is wrong with it
    Check(check::Arguments),
    /// Convert a data file from one format to another
    Convert(convert::Arguments),
}

/// Runs the command.
///
/// Errors: of data where a file cannot be used; of output where results cannot be written.
pub fn run(arguments: &Arguments, context: &mut Context) -> Result {
    match &arguments.command {
        DataCommand::Check(arguments) => check::run(arguments, context),
        DataCommand::Convert(arguments) => convert::run(arguments, context),
    }
}

/// A format by its name.
fn format(name: &str) -> Result<Format, String> {
    name.parse().map_err(|error: formats::UnknownFormat| error.to_string())
}
