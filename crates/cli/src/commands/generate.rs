//! `scruple generate`: a data file of dialogues in, completions out, line by line as they come.

use std::collections::HashMap;
use std::path::PathBuf;

use align::engine::{Engine, FinishReason, SampleRequest, Sampled, SamplingParams};
use align::progress::Progress;
use align::types::{Item, Role};
use clap::Args;
use engine::Trainable;
use serde::Serialize;

use super::Context;
use super::model::{self, ModelArguments};
use crate::data::{check_apart, read_checked};
use crate::errors::Failure;
use crate::interrupt;
use crate::lines::{LineWriter, lines_by_id};

const AFTER_HELP: &str = "\
Data is one JSON object a line, image paths relative to the data file:
  {\"id\": \"1\", \"messages\": [{\"role\": \"user\", \"content\": [
    {\"type\": \"image\", \"image\": \"cat.png\"}, {\"type\": \"text\", \"text\": \"What is this?\"}]}]}
A closing message of the assistant's, if there is one, is a label and is left out of the prompt.

Each line of --out holds `id`, `prompt_ids`, `output_ids`, `text`, `finish_reason` (`stop` or
`length`), and with --num-samples above 1 also `sample`. Lines are written as they come; --resume
goes on after a stop.

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
    let mut engine = model::open(&arguments.model.table(), Trainable::Frozen, 0, context.global.device)?;
    complete(&mut engine, &items, &params, arguments, &mut context.progress)
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

fn complete(
    engine: &mut dyn Engine,
    items: &[Item],
    params: &SamplingParams,
    arguments: &Arguments,
    progress: &mut dyn Progress,
) -> anyhow::Result<()> {
    let written = if arguments.resume {
        lines_by_id(&arguments.out)?
    } else {
        HashMap::new()
    };
    let samples_of = |item: &Item| written.get(&item.id).copied().unwrap_or(0)..arguments.num_samples;
    let missing: Vec<&Item> = items.iter().filter(|item| !samples_of(item).is_empty()).collect();
    let mut writer = LineWriter::new(&arguments.out, arguments.resume);
    progress.begin("generate", missing.len());
    for batch in missing.chunks(arguments.batch_size) {
        if progress.interrupted() {
            return Err(interrupt::stopped().into());
        }
        let request = |item: &&Item| SampleRequest {
            id: item.id.clone(),
            messages: item.prompt().to_vec(),
            seeds: samples_of(item)
                .map(|sample| arguments.seed.wrapping_add(sample as u64))
                .collect(),
        };
        let requests: Vec<SampleRequest> = batch.iter().map(request).collect();
        for (item, sampled) in batch.iter().zip(engine.sample(&requests, params)?) {
            let first = samples_of(item).start;
            writer.write(&lines(item, &sampled, (arguments.num_samples > 1).then_some(first)))?;
        }
        progress.advance(batch.len());
    }
    progress.end();
    writer.finish()
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
