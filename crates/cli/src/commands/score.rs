//! `scruple score`: a data file of dialogues in, the log-probability of every token out.

use std::path::PathBuf;

use align::progress::Progress;
use align::types::{Item, Role};
use clap::Args;
use serde::Serialize;

use super::Context;
use super::model::ModelArguments;
use crate::data::{read_checked, without_reply};

const AFTER_HELP: &str = "\
Data is one JSON object a line with `id` and `messages`; the last message is the assistant's.

Each line of --out holds `id`, `input_ids` (prompt and reply, image tokens expanded), `labels_mask`
(1 on the tokens of the last message, its end token included) and `logprobs`: entry t is the
log-probability (nats) of token t given those before it, null for the first. Lines are written as
they come; --resume goes on after a stop.

Example:
  scruple score --model MODEL --data dialogues.jsonl --out scores.jsonl";

/// Give the log-probability of every token of a data file's dialogues.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// The dialogues: one JSON object a line with `id` and `messages`, the last message the assistant's
    #[arg(long, value_name = "FILE.jsonl")]
    data: PathBuf,
    /// The file of scores
    #[arg(long, value_name = "FILE.jsonl")]
    out: PathBuf,
    /// Dialogues scored together; the results do not depend on it
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    batch_size: u16,
    /// Keep the lines that --out holds and go on after them
    #[arg(long)]
    resume: bool,
}

/// One line of the results.
#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    input_ids: &'a [u32],
    labels_mask: &'a [u8],
    logprobs: &'a [Option<f32>],
}

/// Runs the command.
///
/// Errors: of data for a dialogue that does not end with the assistant's message, of output when the results cannot be
/// written, and whatever the engine meets.
pub fn run(arguments: &Arguments, context: &mut Context) -> anyhow::Result<()> {
    let _items = read_checked(&arguments.data, without_reply)?;
    let _ = context;
    anyhow::bail!("not yet")
}
