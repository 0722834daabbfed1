//! `scruple score`: a data file of dialogues in, the log-probability of every token out.

use std::path::PathBuf;

use align::engine::{Reply, Sequence};
use align::progress::Progress;
use align::types::Item;
use clap::Args;
use engine::{ScoredDialogue, Trainable};
use serde::Serialize;

use super::Context;
use super::model::{self, ModelArguments};
use crate::data::{check_apart, located, read_checked, without_reply};
use crate::interrupt;
use crate::lines::LineWriter;

const AFTER_HELP: &str = "\
Data is one JSON object a line, image paths relative to the data file, the last message the
assistant's:
  {\"id\": \"1\", \"messages\": [{\"role\": \"user\", \"content\": [
    {\"type\": \"image\", \"image\": \"cat.png\"}, {\"type\": \"text\", \"text\": \"What is this?\"}]},
    {\"role\": \"assistant\", \"content\": \"A cat.\"}]}

Each line of --out holds `id`, `input_ids` (prompt and reply, image tokens expanded), `labels_mask`
(1 on the tokens of the last message, its end token included) and `logprobs`: entry t is the
log-probability (nats) of token t given those before it, null for the first. Lines are written as
they come. --resume goes on after a stop, with the model that FILE.jsonl.settings.json names beside
--out.

The exit code is 0 once every line is there, 3 where a line of the data cannot be used, 4 where the
model cannot, 6 after a stop; `scruple --help` has them all.

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
    /// Keep the lines that --out holds and go on after them
    #[arg(long)]
    resume: bool,
}

/// One line of the results.
#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    input_ids: &'a [u32],
    labels_mask: Vec<u8>,
    logprobs: &'a [Option<f32>],
}

/// Runs the command.
///
/// Errors: of data for a dialogue that does not end with the assistant's message, of output when the results cannot be
/// written, and whatever the engine meets.
pub fn run(arguments: &Arguments, context: &mut Context) -> anyhow::Result<()> {
    check_apart(&arguments.data, &arguments.out)?;
    let items = read_checked(&arguments.data, without_reply)?;
    let mut settings = arguments.model.deciding();
    settings["command"] = "score".into();
    let (mut writer, written) = LineWriter::open(&arguments.out, settings, arguments.resume)?;
    let mut engine = model::open(&arguments.model.table(), Trainable::Frozen, 0, context.global.device)?;
    let missing: Vec<&Item> = items.iter().filter(|item| !written.contains_key(&item.id)).collect();
    let progress = &mut context.progress;
    progress.begin("score", missing.len());
    for item in missing {
        if progress.interrupted() {
            return Err(interrupt::stopped().into());
        }
        let sequence = Sequence {
            id: item.id.clone(),
            messages: item.prompt().to_vec(),
            reply: Reply::Text(item.label().unwrap_or_default()),
        };
        let scored = engine
            .score(&sequence)
            .map_err(|error| located(error, &[&arguments.data]))?;
        writer.write(&[line(item, &scored)])?;
        progress.advance(1);
    }
    progress.end();
    writer.finish()
}

fn line<'a>(item: &'a Item, scored: &'a ScoredDialogue) -> Line<'a> {
    let labels_mask = (0..scored.input_ids.len()).map(|token_idx| u8::from(token_idx >= scored.prompt_length));
    Line {
        id: &item.id,
        input_ids: &scored.input_ids,
        labels_mask: labels_mask.collect(),
        logprobs: &scored.logprobs,
    }
}
