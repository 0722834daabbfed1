//! `scruple generate`: a data file of dialogues in, completions out, line by line as they come.

use std::ops::Range;
use std::path::PathBuf;

use align::engine::{Engine, FinishReason, SampleRequest, Sampled, SamplingParams};
use align::progress::Progress;
use align::types::{Item, Role};
use clap::Args;
use engine::Trainable;
use serde::Serialize;
use serde_json::Value;

use super::Context;
use super::model::{self, ModelArguments};
use crate::data::{check_apart, located, read_checked};
use crate::errors::Failure;
use crate::interrupt;
use crate::lines::LineWriter;

const AFTER_HELP: &str = "\
Data is one JSON object a line, image paths relative to the data file:
  {\"id\": \"1\", \"messages\": [{\"role\": \"user\", \"content\": [
    {\"type\": \"image\", \"image\": \"cat.png\"}, {\"type\": \"text\", \"text\": \"What is this?\"}]}]}
A closing message of the assistant's, if there is one, is a label and is left out of the prompt.

Each line of --out holds `id`, `prompt_ids`, `output_ids`, `text`, `finish_reason` (`stop` or
`length`), and with --num-samples above 1 also `sample`. Lines are written as they come. --resume
goes on after a stop, with the model and the settings that FILE.jsonl.settings.json names beside
--out; --num-samples may grow.

The exit code is 0 once every line is there, 3 where a line of the data cannot be used, 4 where the
model cannot, 6 after a stop; `scruple --help` has them all.

Examples:
  scruple generate --model MODEL --data asked.jsonl --out answers.jsonl
  scruple generate --model MODEL --data asked.jsonl --out many.jsonl --temperature 1 --num-samples 8";

/// Complete the dialogues of a data file.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// The dialogues: one JSON object a line with `id` and `messages`
    #[arg(long, value_name = "FILE.jsonl")]
    data: PathBuf,
    /// The file of completions
    #[arg(long, value_name = "FILE.jsonl")]
    out: PathBuf,
    /// 0 takes the likeliest token at each step; 1 draws from the model's own distribution
    #[arg(long, value_name = "T", default_value_t = 0.0)]
    temperature: f64,
    /// Draw from the smallest set of tokens whose probability reaches this
    #[arg(long, value_name = "P", default_value_t = 1.0)]
    top_p: f64,
    /// At most this many tokens a completion
    #[arg(long, value_name = "N", default_value_t = 128)]
    max_new_tokens: usize,
    /// Do not stop at the end token
    #[arg(long)]
    ignore_eos: bool,
    /// The seed of the first sample of each dialogue; sample i takes this plus i
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Completions for each dialogue
    #[arg(long, value_name = "N", default_value_t = 1)]
    num_samples: usize,
    /// Dialogues completed together; the results do not depend on it
    #[arg(long, value_name = "N", default_value_t = 16)]
    batch_size: usize,
    /// Keep the lines that --out holds and go on after them
    #[arg(long)]
    resume: bool,
}

/// One line of the results.
#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sample: Option<usize>,
    prompt_ids: &'a [u32],
    output_ids: &'a [u32],
    text: &'a str,
    finish_reason: FinishReason,
}

/// Runs the command.
///
/// Errors: of usage for a sampling setting out of range, of data for a dialogue without a question, of output when the
/// results cannot be written, and whatever the engine meets.
pub fn run(arguments: &Arguments, context: &mut Context) -> anyhow::Result<()> {
    let params = sampling(arguments)?;
    check_apart(&arguments.data, &arguments.out)?;
    let items = read_checked(&arguments.data, without_question)?;
    let (mut writer, written) = LineWriter::open(&arguments.out, settings(arguments, &params), arguments.resume)?;
    let mut engine = model::open(&arguments.model.table(), Trainable::Frozen, 0, context.global.device)?;
    let pending: Vec<Pending> = items
        .iter()
        .map(|item| Pending {
            item,
            samples: written.get(&item.id).copied().unwrap_or(0)..arguments.num_samples,
        })
        .filter(|pending| !pending.samples.is_empty())
        .collect();
    complete(
        &mut engine,
        &pending,
        &params,
        arguments,
        &mut writer,
        &mut context.progress,
    )?;
    writer.finish()
}

/// What decides about completions.
fn settings(arguments: &Arguments, params: &SamplingParams) -> Value {
    let mut settings = arguments.model.deciding();
    settings["command"] = "generate".into();
    settings["temperature"] = params.temperature.into();
    settings["top_p"] = params.top_p.into();
    settings["max_new_tokens"] = params.max_new_tokens.into();
    settings["ignore_eos"] = params.ignore_eos.into();
    settings["seed"] = arguments.seed.into();
    settings
}

fn sampling(arguments: &Arguments) -> Result<SamplingParams, Failure> {
    let Arguments {
        temperature,
        top_p,
        max_new_tokens,
        num_samples,
        batch_size,
        ..
    } = *arguments;
    let faults = [
        (
            !(temperature.is_finite() && temperature >= 0.0),
            "--temperature",
            "a number of at least 0",
            temperature,
        ),
        (
            !(top_p > 0.0 && top_p <= 1.0),
            "--top-p",
            "a number above 0, at most 1",
            top_p,
        ),
        (max_new_tokens == 0, "--max-new-tokens", "at least 1", 0.0),
        (num_samples == 0, "--num-samples", "at least 1", 0.0),
        (batch_size == 0, "--batch-size", "at least 1", 0.0),
    ];
    if let Some((_, flag, expected, got)) = faults.iter().find(|(wrong, ..)| *wrong) {
        return Err(Failure::usage(format!("{flag}: expected {expected}, got {got}")));
    }
    Ok(SamplingParams {
        temperature,
        top_p,
        max_new_tokens,
        ignore_eos: arguments.ignore_eos,
    })
}

fn without_question(item: &Item) -> Option<String> {
    let last = item.prompt().last().map(|last| last.role);
    (last != Some(Role::User)).then(|| "expected a message of the user's to answer".to_owned())
}

/// A dialogue, and which of its samples are yet to be drawn.
struct Pending<'a> {
    item: &'a Item,
    samples: Range<usize>,
}

fn complete(
    engine: &mut dyn Engine,
    pending: &[Pending],
    params: &SamplingParams,
    arguments: &Arguments,
    writer: &mut LineWriter,
    progress: &mut dyn Progress,
) -> anyhow::Result<()> {
    progress.begin("generate", pending.len());
    for batch in pending.chunks(arguments.batch_size) {
        if progress.interrupted() {
            return Err(interrupt::stopped().into());
        }
        let request = |pending: &Pending| SampleRequest {
            id: pending.item.id.clone(),
            messages: pending.item.prompt().to_vec(),
            seeds: pending
                .samples
                .clone()
                .map(|sample| arguments.seed.wrapping_add(sample as u64))
                .collect(),
        };
        let requests: Vec<SampleRequest> = batch.iter().map(request).collect();
        let sampled = engine
            .sample(&requests, params)
            .map_err(|error| located(error, &[&arguments.data]))?;
        for (pending, sampled) in batch.iter().zip(sampled) {
            let first = (arguments.num_samples > 1).then_some(pending.samples.start);
            writer.write(&lines(pending.item, &sampled, first))?;
        }
        progress.advance(batch.len());
    }
    progress.end();
    Ok(())
}

/// The lines of one item; `first_sample` numbers them where there are several.
fn lines<'a>(item: &'a Item, sampled: &'a Sampled, first_sample: Option<usize>) -> Vec<Line<'a>> {
    let line = |(index, completion): (usize, &'a align::engine::Completion)| Line {
        id: &item.id,
        sample: first_sample.map(|first| first + index),
        prompt_ids: &sampled.prompt_ids,
        output_ids: &completion.token_ids,
        text: &completion.text,
        finish_reason: completion.finish_reason,
    };
    sampled.completions.iter().enumerate().map(line).collect()
}
