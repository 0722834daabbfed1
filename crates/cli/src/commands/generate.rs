//! `scruple generate`: a data file of dialogues in, completions out, line by line as they come.

use std::ops::Range;
use std::path::{Path, PathBuf};

use align::engine::{Engine, FinishReason, SampleRequest, Sampled, SamplingParams};
use align::progress::Progress;
use align::types::{Item, Role};
use clap::Args;
use engine::Trainable;
use serde::Serialize;
use serde_json::{Value, json};

use crate::arguments::{ModelArguments, RestartArguments, SettingsArguments, flag};
use crate::config::required;
use crate::config::tables::{GenerateSettings, SamplingTable};
use crate::context::Context;
use crate::data::{check_apart, located, read_checked};
use crate::errors::Result;
use crate::interrupt;
use crate::lines::LineWriter;
use crate::model;

const AFTER_HELP: &str = "\
Data is one JSON object a line, image paths relative to the data file:
  {\"id\": \"1\", \"messages\": [{\"role\": \"user\", \"content\": [
    {\"type\": \"image\", \"image\": \"cat.png\"}, {\"type\": \"text\", \"text\": \"What is this?\"}]}]}
A closing message of the assistant's, if there is one, is a label and is left out of the prompt.

Each line of --out holds `id`, `prompt_ids`, `output_ids`, `text`, `finish_reason` (`stop` or
`length`), and with --num-samples above 1 also `sample`. Lines are written as they come. After a stop
the same command resumes; --num-samples may grow, other settings are refused.

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
    settings: SettingsArguments,
    #[command(flatten)]
    model: ModelArguments,
    /// The dialogues, one JSON object a line with `id` and `messages`; short for `data.prompts=…`
    #[arg(long, value_name = "FILE.jsonl")]
    data: Option<String>,
    /// The file of completions
    #[arg(long, value_name = "FILE.jsonl")]
    out: PathBuf,
    /// 0 is greedy, 1 samples from the model's own distribution; short for `sampling.temperature=…`
    #[arg(long, value_name = "T")]
    temperature: Option<f64>,
    /// At most this many tokens a completion; short for `sampling.max_new_tokens=…`
    #[arg(long, value_name = "N")]
    max_new_tokens: Option<usize>,
    /// The seed of each dialogue's first sample, sample i takes this plus i; short for `sampling.seed=…`
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Completions of each dialogue; short for `sampling.num_samples=…`
    #[arg(long, value_name = "N")]
    num_samples: Option<usize>,
    #[command(flatten)]
    restart: RestartArguments,
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
/// Errors: of settings for a sampling setting out of range, of data for a dialogue without a question, of output when
/// the results cannot be written, and whatever the engine meets.
pub fn run(arguments: &Arguments, context: &mut Context) -> Result {
    let settings = settings(arguments)?;
    let (data, sampling) = (
        required(settings.data.prompts.as_ref(), "data.prompts")?,
        &settings.sampling,
    );
    check_apart(data, &arguments.out)?;
    let items = read_checked(data, without_question)?;
    let (mut writer, written) = LineWriter::open(&arguments.out, deciding(&settings), !arguments.restart.restart)?;
    let mut engine = model::open(&settings.model, Trainable::Frozen, 0, context.global.device)?;
    let mut pending = Vec::new();
    for item in &items {
        let samples = written.get(&item.id).copied().unwrap_or(0)..sampling.num_samples;
        if !samples.is_empty() {
            pending.push(Pending { item, samples });
        }
    }
    complete(
        &mut engine,
        &pending,
        data,
        sampling,
        &mut writer,
        &mut context.progress,
    )?;
    writer.finish()
}

fn settings(arguments: &Arguments) -> Result<GenerateSettings> {
    let sampling = [
        flag("--data", &["data", "prompts"], arguments.data.as_ref()),
        flag("--temperature", &["sampling", "temperature"], arguments.temperature),
        flag(
            "--max-new-tokens",
            &["sampling", "max_new_tokens"],
            arguments.max_new_tokens,
        ),
        flag("--seed", &["sampling", "seed"], arguments.seed),
        flag("--num-samples", &["sampling", "num_samples"], arguments.num_samples),
    ];
    let flags = arguments.model.flags().into_iter().chain(sampling);
    let loaded = arguments.settings.load::<GenerateSettings>(flags)?;
    loaded.check(loaded.settings.sampling.validate("sampling"))?;
    Ok(loaded.settings)
}

/// What decides about completions.
fn deciding(settings: &GenerateSettings) -> Value {
    let SamplingTable {
        temperature,
        top_p,
        max_new_tokens,
        ignore_eos,
        seed,
        ..
    } = settings.sampling;
    json!({
        "command": "generate",
        "model": settings.model,
        "sampling": {
            "temperature": temperature,
            "top_p": top_p,
            "max_new_tokens": max_new_tokens,
            "ignore_eos": ignore_eos,
            "seed": seed,
        },
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
    data: &Path,
    sampling: &SamplingTable,
    writer: &mut LineWriter,
    progress: &mut dyn Progress,
) -> Result {
    let params = SamplingParams {
        temperature: sampling.temperature,
        top_p: sampling.top_p,
        max_new_tokens: sampling.max_new_tokens,
        ignore_eos: sampling.ignore_eos,
    };
    progress.begin("generate", pending.len());
    for batch in pending.chunks(sampling.batch_size) {
        if progress.interrupted() {
            return Err(interrupt::stopped());
        }
        let request = |pending: &Pending| SampleRequest {
            id: pending.item.id.clone(),
            messages: pending.item.prompt().to_vec(),
            seeds: pending
                .samples
                .clone()
                .map(|sample| sampling.seed.wrapping_add(sample as u64))
                .collect(),
        };
        let requests: Vec<SampleRequest> = batch.iter().map(request).collect();
        let sampled = engine
            .sample(&requests, &params)
            .map_err(|error| located(error, &[data]))?;
        for (pending, sampled) in batch.iter().zip(sampled) {
            let first = (sampling.num_samples > 1).then_some(pending.samples.start);
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
