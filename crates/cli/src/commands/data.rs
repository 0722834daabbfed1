//! `scruple data`: data files of any known format, checked and converted.

mod check;
mod convert;

use clap::{Args, Subcommand};
use formats::{Format, ImageStorage};

use crate::context::Context;
use crate::errors::Result;

const EXAMPLES: &str = "\
Examples:
  scruple data check train.jsonl
  scruple data convert train.jsonl --to hf --out train.parquet
  scruple data convert geo3k.parquet --to openai --out geo3k.jsonl";

/// Check data files of any format, and convert them.
#[derive(Debug, Args)]
#[command(after_help = after_help())]
pub struct Arguments {
    #[command(subcommand)]
    command: DataCommand,
}

#[derive(Debug, Subcommand)]
enum DataCommand {
    /// Report a data file's contents and problems
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

/// The formats, and examples.
fn after_help() -> String {
    let mut text = "Formats, the files they are written to, and how they hold images:\n".to_owned();
    let formats = Format::by_name();
    let name_width = formats.iter().map(|format| format.name().len()).max().unwrap_or(0);
    let width = formats.iter().map(|format| format.about().len()).max().unwrap_or(0);
    for format in formats {
        let (name, about) = (format.name(), format.about());
        let extensions: Vec<String> = format.extensions().map(|extension| format!(".{extension}")).collect();
        let images = match format.images() {
            ImageStorage::Paths => "paths",
            ImageStorage::Bytes => "bytes",
            ImageStorage::TextOnly => "text only",
        };
        let extensions = if extensions.is_empty() { "only read".to_owned() } else { extensions.join(", ") };
        text.push_str(&format!("  {name:<name_width$}  {about:<width$}  {extensions:<13}  {images}\n"));
    }
    text + "\n" + EXAMPLES
}
