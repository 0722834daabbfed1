//! `scruple score`: a data file of dialogues in, the log-probability of every token out.

use std::path::PathBuf;

use align::engine::{Reply, Sequence};
use align::progress::Progress;
use align::types::Item;
use clap::Args;
use engine::{ScoredDialogue, Trainable};
use serde::Serialize;
use serde_json::json;

use crate::arguments::{ModelArguments, RestartArguments, SettingsArguments, flag};
use crate::config::required;
use crate::config::tables::ScoreSettings;
use crate::context::Context;
use crate::data::{check_apart, located, read_checked, without_reply};
use crate::errors::Result;
use crate::interrupt;
use crate::lines::LineWriter;
use crate::model;

const AFTER_HELP: &str = "\
Data is one JSON object a line, image paths relative to the data file, the last message the
assistant's:
  {\"id\": \"1\", \"messages\": [{\"role\": \"user\", \"content\": [
    {\"type\": \"image\", \"image\": \"cat.png\"}, {\"type\": \"text\", \"text\": \"What is this?\"}]},
    {\"role\": \"assistant\", \"content\": \"A cat.\"}]}

Each line of --out holds `id`, `input_ids` (prompt and reply, image tokens expanded), `labels_mask`
(1 on the tokens of the last message, its end token included) and `logprobs`: entry t is the
log-probability (nats) of token t given those before it, null for the first. Lines are written as
they come. After a stop the same command resumes.

The exit code is 0 once every line is there, 3 where a line of the data cannot be used, 4 where the
model cannot, 6 after a stop; `scruple --help` has them all.

Example:
  scruple score --model MODEL --data dialogues.jsonl --out scores.jsonl";

/// Give the log-probability of every token of a data file's dialogues.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    #[command(flatten)]
    settings: SettingsArguments,
    #[command(flatten)]
    model: ModelArguments,
    /// The dialogues, one JSON object a line with `id` and `messages`, the last message the assistant's; short for
    /// `data.dialogues=…`
    #[arg(long, value_name = "FILE.jsonl")]
    data: Option<String>,
    /// The file of scores
    #[arg(long, value_name = "FILE.jsonl")]
    out: PathBuf,
    #[command(flatten)]
    restart: RestartArguments,
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
pub fn run(arguments: &Arguments, context: &mut Context) -> Result {
    let data = flag("--data", &["data", "dialogues"], arguments.data.as_ref());
    let flags = arguments.model.flags().into_iter().chain([data]);
    let settings = arguments.settings.load::<ScoreSettings>(flags)?.settings;
    let data = required(settings.data.dialogues.as_ref(), "data.dialogues")?;
    check_apart(data, &arguments.out)?;
    let items = read_checked(data, without_reply)?;
    let deciding = json!({ "command": "score", "model": settings.model });
    let (mut writer, written) = LineWriter::open(&arguments.out, deciding, !arguments.restart.restart)?;
    let mut engine = model::open(&settings.model, Trainable::Frozen, 0, context.global.device)?;
    let missing: Vec<&Item> = items.iter().filter(|item| !written.contains_key(&item.id)).collect();
    let progress = &mut context.progress;
    progress.begin("score", missing.len());
    for item in missing {
        if progress.interrupted() {
            return Err(interrupt::stopped());
        }
        let sequence = Sequence {
            id: item.id.clone(),
            messages: item.prompt().to_vec(),
            reply: Reply::Text(item.label().unwrap_or_default()),
        };
        let scored = engine.score(&sequence).map_err(|error| located(error, &[data]))?;
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
