//! `scruple data convert`: a data file of one format in, one of another out, with a list of what was not kept.

use std::path::PathBuf;

use clap::Args;
use formats::{ConvertReport, ConvertRequest, Format, convert};

use crate::context::Context;
use crate::data::check_no_test_set;
use crate::errors::Result;
use crate::output_folder::OutputFolder;
use crate::terminal::{print_json, print_line};

const AFTER_HELP: &str = "\
`scruple data --help` lists the formats. PATH appears only when it is complete. A source with a
malformed row is not converted; `scruple data check` lists its problems.

If the target holds images as paths, paths stay paths, relative to PATH, and embedded images become
files named by their hash. If it holds them as bytes, image files are embedded.

What the target cannot hold is printed by field, with the number of rows and the reason. It is found
by reading every written row back.

Examples:
  scruple data convert train.jsonl --to sharegpt --out lf/train.json
  scruple data convert train.jsonl --to trl --out train.parquet
  scruple data convert geo3k.parquet --to openai --out geo3k.jsonl --images geo3k_images";

/// Convert a data file from one format to another.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// The file to read
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The file to write
    #[arg(long, value_name = "PATH")]
    out: PathBuf,
    /// Its format
    #[arg(long, value_name = "NAME")]
    to: Format,
    /// The format of FILE [default: detected by name and content]
    #[arg(long, value_name = "NAME")]
    from: Option<Format>,
    /// The folder for images that become files [default: PATH without its extension, and `_images`]
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,
    /// Print one JSON object instead
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// Errors: of settings for a file extension that the format is not written to; of data for a source that cannot be used; of
/// output where results cannot be written.
pub fn run(arguments: &Arguments, context: &mut Context) -> Result {
    let request = ConvertRequest {
        input: &arguments.file,
        from: arguments.from,
        output: &arguments.out,
        to: arguments.to,
        images: arguments.images.as_deref(),
    };
    // Other tools train on what is written, and nothing in it would say whose it is.
    check_no_test_set(&arguments.file)?;
    let _folder = OutputFolder::make_for(&arguments.out)?;
    let report = convert(&request, &mut context.progress)?;
    if arguments.json {
        print_json(&report)?;
    } else {
        print_line(text(&report, &arguments.out).trim_end())?;
    }
    Ok(())
}

fn text(report: &ConvertReport, out: &std::path::Path) -> String {
    let ConvertReport { from, to, items_read, items_written, images_written, losses } = report;
    let mut text = format!("{items_written} of {items_read} items, {from} to {to}: {}\n", out.display());
    if *images_written > 0 {
        text.push_str(&format!("{images_written} image files written\n"));
    }
    if losses.is_empty() {
        return text + "nothing was lost\n";
    }
    text.push_str("\nnot kept, or not as it was:\n");
    let width = losses.iter().map(|loss| loss.field.chars().count()).max().unwrap_or(0);
    for loss in losses {
        let rows = if loss.rows == 1 { "row" } else { "rows" };
        text.push_str(&format!(
            "  {:<width$}  {:>7} {rows:<4}  from row {}: {}\n",
            loss.field, loss.rows, loss.first_row, loss.why
        ));
    }
    text
}
