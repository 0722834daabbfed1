//! `scruple generate`: a data file of dialogues in, completions out.

use std::path::{Path, PathBuf};

use align::chat::{ChatAnswer, ChatRequest, Unanswered};
use align::engine::FinishReason;
use align::types::{Item, Role, relative_to};
use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use super::answer_file::{AnswerFile, Answering};
use super::job;
use crate::arguments::{ModelArguments, RestartArguments, flag, flag_of};
use crate::config::required;
use crate::config::tables::GenerateSettings;
use crate::context::Context;
use crate::errors::Result;
use crate::roles::{self, Model, policy_settings};

const AFTER_HELP: &str = "\
Data is one JSON object a line, image paths relative to the data file:
  {\"id\": \"1\", \"messages\": [{\"role\": \"user\", \"content\": [
    {\"type\": \"image\", \"image\": \"cat.png\"}, {\"type\": \"text\", \"text\": \"What is this?\"}]}]}
A closing message of the assistant's, if there is one, is a label and is left out of the prompt.

The model is --model, or the one behind an endpoint that [role.policy] names. Each line of --out
holds `id`, `prompt_ids`, `output_ids` (both of --model alone), `text`, `finish_reason` (`stop` or
`length`), and with --num-samples above 1 also `sample`; where an endpoint gave no answer, `text` is
null and `unanswered` says why. Thinking that an endpoint returns beside the text stands before it as
<think>…</think>, or with role.policy.thinking=apart in `thinking`. Every answer is in FILE.journal.sqlite before it is used: the same
command resumes after a stop, makes no call twice and ends in the same bytes; --num-samples may
change. Pipes get lines as they come, and nothing is kept beside them.

The exit code is 0 once every line is there, 3 where a line of the data cannot be used, 4 where the
model cannot or gave no answer at all, 6 after a stop; `scruple --help` has them all.

Examples:
  scruple generate --model MODEL --data prompts.jsonl --out answers.jsonl
  scruple generate --model MODEL --data prompts.jsonl --out many.jsonl --temperature 1 --num-samples 8
  scruple generate --data prompts.jsonl --out answers.jsonl role.policy.url=URL role.policy.model=NAME";

/// Complete the dialogues of a data file.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
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
    /// Repeat calls that failed
    #[arg(long)]
    retry_failed: bool,
    #[command(flatten)]
    restart: RestartArguments,
}

/// One line of the results.
#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sample: Option<usize>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    prompt_ids: Vec<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    output_ids: Vec<u32>,
    text: Option<String>,
    /// Thinking that is no part of the text.
    #[serde(skip_serializing_if = "String::is_empty")]
    thinking: String,
    finish_reason: Option<FinishReason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unanswered: Option<String>,
}

/// Runs the command.
///
/// Errors: of settings for a setting out of range, of data for a dialogue without a question, of output when the results
/// cannot be written, and whatever the model meets.
pub fn run(arguments: &Arguments, context: &mut Context) -> Result {
    let settings = settings(arguments)?;
    let data = required(settings.data.prompts.as_ref(), "data.prompts")?;
    let deciding = deciding(&settings, data, &arguments.out);
    let (restart, retry_failed) = (arguments.restart, arguments.retry_failed);
    let out = AnswerFile::new(data, &arguments.out, deciding, &settings.role, restart, retry_failed, context);
    job::run(&Generating { settings: &settings, out }, context)
}

/// The completion of dialogues.
struct Generating<'a> {
    settings: &'a GenerateSettings,
    out: AnswerFile<'a>,
}

impl Answering for Generating<'_> {
    fn file(&self) -> &AnswerFile<'_> {
        &self.out
    }

    fn problem(item: &Item) -> Option<String> {
        let last = item.prompt().last().map(|last| last.role);
        (last != Some(Role::User)).then(|| "expected a message of the user's to answer".to_owned())
    }

    fn model(&self, _: &Context) -> Result<Model> {
        self.out.roles().policy(&self.settings.model, self.settings.sampling.batch_size)
    }

    fn answer(&self, items: &[Item], model: &Model, context: &mut Context) -> Result {
        let config = &self.settings.sampling;
        let samples = 0..items.len() * config.num_samples;
        let mut requests = samples.map(|index| {
            let sample = index % config.num_samples;
            ChatRequest::of_item(&items[index / config.num_samples], config.params(sample))
        });
        let mut n_written = 0;
        let mut line = |answer| {
            let (item, sample) = (&items[n_written / config.num_samples], n_written % config.num_samples);
            n_written += 1;
            line(item, (config.num_samples > 1).then_some(sample), answer)
        };
        self.out.write("generate", &**model, &mut requests, &mut line, context)
    }
}

fn settings(arguments: &Arguments) -> Result<GenerateSettings> {
    let sampling = [
        flag("--data", &["data", "prompts"], arguments.data.as_ref()),
        flag_of("sampling", "temperature", arguments.temperature),
        flag_of("sampling", "max_new_tokens", arguments.max_new_tokens),
        flag_of("sampling", "seed", arguments.seed),
        flag_of("sampling", "num_samples", arguments.num_samples),
    ];
    let loaded = arguments.model.load::<GenerateSettings>(sampling)?;
    loaded.check(loaded.settings.sampling.validate("sampling"))?;
    roles::check(&loaded, &loaded.settings.role)?;
    Ok(loaded.settings)
}

/// What decides about the completions of each dialogue.
fn deciding(settings: &GenerateSettings, data: &Path, out: &Path) -> Value {
    let folder = out.parent().unwrap_or(Path::new(""));
    let sampling = &settings.sampling;
    json!({
        "command": "generate",
        "data": relative_to(data, folder),
        "policy": policy_settings(&settings.model.relative_to(folder), &settings.role),
        "sampling": {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_new_tokens": sampling.max_new_tokens,
            "ignore_eos": sampling.ignore_eos,
            "seed": sampling.seed,
        },
    })
}

fn line(item: &Item, sample: Option<usize>, answer: Result<ChatAnswer, Unanswered>) -> Result<String> {
    let (answer, unanswered) = match answer {
        Ok(answer) => (Some(answer), None),
        Err(Unanswered { reason, .. }) => (None, Some(reason)),
    };
    let finish_reason = answer.as_ref().map(|answer| answer.finish_reason);
    let text = answer.as_ref().map(|answer| answer.text.clone());
    let ChatAnswer { prompt_ids, output_ids, thinking, .. } = answer.unwrap_or_else(|| ChatAnswer::of(""));
    let line = Line { id: &item.id, sample, prompt_ids, output_ids, text, thinking, finish_reason, unanswered };
    Ok(serde_json::to_string(&line).map_err(std::io::Error::from)?)
}
